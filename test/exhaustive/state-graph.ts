/** What `held.js` of a copy gives to each function that lives on in a state. */
interface Held {
  readonly self: object;
  readonly captured: object;
  readonly body: (...args: never) => unknown;
}
type HeldFunction = ((...args: never) => unknown) & { $held: Held };

/** Objects that never change (settings), by name: neither copied nor written out. */
export type Constants = ReadonlyMap<object, string>;

function heldOf(value: object): Held | null {
  return (value as Partial<HeldFunction>).$held ?? null;
}

function holdAgain(first: Held): HeldFunction {
  const call = (...given: unknown[]): unknown => {
    const { self, captured, body } = (call as unknown as HeldFunction).$held;
    return (body as (this: object, ...all: unknown[]) => unknown).call(self, captured, ...given);
  };
  return Object.assign(call, { $held: first }) as unknown as HeldFunction;
}

/** A copy of everything that can be reached from an object, with the same sharing. Throws at a function it cannot see into. */
export function copyGraph<T extends object>(root: T, constants: Constants): T {
  const copies = new Map<object, object>();
  const copy = (value: unknown): unknown => {
    if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return value;
    if (constants.has(value)) return value;
    const known = copies.get(value);
    if (known !== undefined) return known;
    if (typeof value === 'function') {
      const held = heldOf(value);
      if (held === null) throw new Error(`a function in a state: ${String(value)}`);
      const again = holdAgain({ ...held });
      copies.set(value, again);
      again.$held = {
        self: copy(held.self) as object,
        captured: copy(held.captured) as object,
        body: held.body,
      };
      return again;
    }
    if (Array.isArray(value)) {
      const list: unknown[] = [];
      copies.set(value, list);
      for (const item of value) list.push(copy(item));
      return list;
    }
    if (value instanceof Map) {
      const map = new Map<unknown, unknown>();
      copies.set(value, map);
      for (const [key, item] of value) map.set(copy(key), copy(item));
      return map;
    }
    if (value instanceof Set) {
      const set = new Set<unknown>();
      copies.set(value, set);
      for (const item of value) set.add(copy(item));
      return set;
    }
    const object = Object.create(Object.getPrototypeOf(value)) as Record<string, unknown>;
    copies.set(value, object);
    for (const key of Object.keys(value)) object[key] = copy((value as Record<string, unknown>)[key]);
    return object;
  };
  return copy(root) as T;
}

/**
 * Fields that say nothing of what a machine will do: each is written at the begin of every turn before it is read.
 * A queue of timers counts by what is due when and in which order, not by how it lies in memory.
 */
const WITHOUT_MEANING: Readonly<Record<string, readonly string[]>> = {
  PoolState: ['out'],
  TaskExecutorBook: ['$nowMs'],
  Turn: ['nowMs'],
  // Only watches read the past of the store, and the model reads its present instead.
  MvccState: ['$history'],
};

interface Due {
  readonly dueMs: number;
  readonly order: number;
  readonly action: unknown;
  readonly index: number;
}

/** By their text: with the same `this`, functions of one text are made at one place, or do the same. */
const functionNames = new Map<string, string>();

/** A text that two states have in common only if they behave alike from here on. */
export function describeGraph(root: object, constants: Constants): string {
  const numbers = new Map<object, number>();
  const parts: string[] = [];
  const write = (value: unknown): void => {
    switch (typeof value) {
      case 'string':
        parts.push(JSON.stringify(value));
        return;
      case 'bigint':
        parts.push(`${value}n`);
        return;
      case 'object':
      case 'function':
        if (value === null) parts.push('-');
        else writeObject(value);
        return;
      default:
        parts.push(String(value));
    }
  };
  const writeObject = (value: object): void => {
    const constant = constants.get(value);
    if (constant !== undefined) return void parts.push(`=${constant}`);
    const number = numbers.get(value);
    if (number !== undefined) return void parts.push(`@${number}`);
    numbers.set(value, numbers.size);
    if (typeof value === 'function') {
      const held = heldOf(value);
      if (held === null) throw new Error(`a function in a state: ${String(value)}`);
      const text = String(held.body);
      const name = functionNames.get(text) ?? `f${functionNames.size}`;
      functionNames.set(text, name);
      parts.push(name, '(');
      write(held.self);
      parts.push(',');
      write(held.captured);
      parts.push(')');
    } else if (Array.isArray(value)) {
      parts.push('[');
      for (const item of value) separated(item);
      parts.push(']');
    } else if (value instanceof Map) {
      parts.push('M[');
      for (const [key, item] of value) {
        write(key);
        parts.push(':');
        separated(item);
      }
      parts.push(']');
    } else if (value instanceof Set) {
      parts.push('S[');
      for (const item of value) separated(item);
      parts.push(']');
    } else writeFields(value as Record<string, unknown>);
  };
  const separated = (value: unknown): void => {
    write(value);
    parts.push(',');
  };
  const writeFields = (value: Record<string, unknown>): void => {
    const name = value.constructor.name;
    if (name === 'DueQueue') {
      const heap = value.$heap as readonly Due[];
      parts.push('due[');
      const inOrder = [...heap].sort((a, b) => a.dueMs - b.dueMs || a.order - b.order);
      for (const due of inOrder) separated(due);
      parts.push(']');
      return;
    }
    if (name === 'Object' && 'dueMs' in value && 'action' in value && 'index' in value) {
      const due = value as unknown as Due;
      parts.push(due.index < 0 ? 'over' : `at${due.dueMs}`);
      if (due.index >= 0) write(due.action);
      return;
    }
    const omitted = WITHOUT_MEANING[name];
    parts.push(name === 'Object' ? '{' : `${name}{`);
    for (const key of Object.keys(value)) {
      if (omitted?.includes(key) === true) continue;
      parts.push(key, ':');
      separated(value[key]);
    }
    parts.push('}');
  };
  write(root);
  return parts.join('');
}
