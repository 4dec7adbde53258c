import { Processes, type Taken, type Turn } from './processes.ts';
import { type SlotMachines, slotConstants } from './slot-machines.ts';
import type { SlotMessage } from './slot-messages.ts';
import { unlikeBefore } from './slot-properties.ts';
import { isCut, parseItem, type SlotBounds, type SlotProcess, type SlotWorld } from './slot-world.ts';

/** The processes of the slot model and the messages between them, without any choice of what happens next. */
export class SlotEngine {
  readonly processes: Processes<SlotProcess, SlotMessage>;
  readonly names: readonly string[];
  readonly #messageTexts = new Map<number, string>();

  constructor(machines: SlotMachines, bounds: SlotBounds) {
    this.processes = new Processes(slotConstants(machines));
    const workers = Array.from({ length: bounds.taskExecutors }, (_, index) => `te${index}`);
    const jobs = bounds.wanted.map((_, index) => `jm${index}`);
    this.names = [...workers, ...jobs, 'rm1', 'rm2'];
  }

  /** Lets one process take a turn; what it sends is under way then. Nothing when it is not there. */
  act(
    world: SlotWorld,
    name: string,
    what: string,
    take: (process: SlotProcess, turn: Turn<SlotMessage>) => void,
  ): { world: SlotWorld; violation: string | null } {
    const at = this.names.indexOf(name);
    const id = world.processes[at];
    if (id === undefined || id === null) return { world, violation: null };
    const before = this.processes.state(id);
    const taken: Taken = this.processes.turn(id, `${what}@${world.nowMs}`, take);
    const violation = unlikeBefore(before, this.processes.state(taken.id), taken.notes);
    const processes = world.processes.map((each, index) => (index === at ? taken.id : each));
    let after: SlotWorld = { ...world, processes };
    const process = this.processes.state(taken.id);
    if (process.kind === 'rm' && process.over) {
      const others = (item: string): boolean => parseItem(item).to !== name;
      after = { ...after, wires: after.wires.filter(others), late: after.late.filter(others) };
    }
    return { world: this.send(after, name, taken.sent), violation };
  }

  /** Puts messages under way; those to nobody, and those that nothing lets through, are gone. */
  send(world: SlotWorld, from: string, sent: Taken['sent']): SlotWorld {
    const items = sent
      .filter(({ to }) => this.#listens(world, to) && !isCut(world.cut, `${from}>${to}`))
      .map(({ to, message }) => `${from}>${to}#${message}`);
    return items.length === 0 ? world : { ...world, wires: [...world.wires, ...items] };
  }

  /** When the process wants to look at the time; Infinity when it does not. */
  dueMs(world: SlotWorld, name: string): number {
    const process = this.process(world, name);
    if (process.kind === 'te') return process.book.nextDueMs();
    if (process.kind === 'jm') return process.pool.nextDueMs() ?? Infinity;
    return process.over ? Infinity : (process.manager.nextDueMs() ?? Infinity);
  }

  /** Every process that is there. */
  running(world: SlotWorld): { readonly process: SlotProcess; readonly runs: boolean }[] {
    return this.names
      .filter((name) => this.isThere(world, name))
      .map((name) => ({ process: this.process(world, name), runs: !world.paused.has(name) }));
  }

  /** False for a leader that has not been confirmed yet. */
  isThere(world: SlotWorld, name: string): boolean {
    const id = world.processes[this.names.indexOf(name)];
    return id !== undefined && id !== null;
  }

  /** Whoever knows that it leads no more hears nothing. */
  #listens(world: SlotWorld, name: string): boolean {
    if (!this.isThere(world, name)) return false;
    const process = this.process(world, name);
    return process.kind !== 'rm' || !process.over;
  }

  /** The process of that name as it is now. */
  process(world: SlotWorld, name: string): SlotProcess {
    return this.processes.state(world.processes[this.names.indexOf(name)] ?? -1);
  }

  /** Task executors, then job masters. */
  workers(): readonly string[] {
    return this.names.filter((name) => !name.startsWith('rm'));
  }

  /** A message, for people. */
  describe(message: number): string {
    const known = this.#messageTexts.get(message);
    if (known !== undefined) return known;
    const content = this.processes.message(message);
    const about = JSON.stringify(content, (key, value: unknown) => {
      if (key === 'type' || key === 'profile' || key === 'order') return undefined;
      return typeof value === 'bigint' ? value.toString() : value;
    });
    const text = `${content.type} ${about}`;
    this.#messageTexts.set(message, text);
    return text;
  }
}
