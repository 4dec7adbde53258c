import type { Clock, Timer } from '../../src/runtime/clock.ts';

interface Entry {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
  cancelled: boolean;
}

/** Lets every promise that can settle now settle; nothing here waits for real input or output. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** So many immediates are set at once: promises settle between two of them, and the loop of the platform turns once for all. */
const TURNS_TOGETHER = 64;

/** Calls it, letting promises settle before each call, until it returns false or throws. */
function turns(next: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let over = false;
    const turn = (): void => {
      if (over) return;
      try {
        over = !next();
        if (over) resolve();
      } catch (error) {
        over = true;
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    };
    const together = (): void => {
      for (let count = 0; count < TURNS_TOGETHER; count++) setImmediate(turn);
      setImmediate(() => {
        if (!over) together();
      });
    };
    together();
  });
}

/** Time that stands still until a test moves it; callbacks run in order of their due time, then of their making. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #wallOffsetMs = Date.UTC(2026, 0, 1);
  #order = 0;
  readonly #heap: Entry[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  /** Sets the wall clock forward (or back) without the monotonic one. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  schedule(delayMs: number, callback: () => void): Timer {
    const entry: Entry = {
      dueMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#order++,
      callback,
      cancelled: false,
    };
    this.#push(entry);
    return {
      cancel: () => {
        entry.cancelled = true;
      },
    };
  }

  /** When the next callback is due; null when none is set. */
  nextDueMs(): number | null {
    this.#dropCancelled();
    return this.#heap[0]?.dueMs ?? null;
  }

  /** Moves to the next callback, runs it and lets promises settle; false when none is due up to `limitMs`. */
  async step(limitMs = Infinity): Promise<boolean> {
    if (!this.#turn(limitMs)) return false;
    await settle();
    return true;
  }

  /** Runs everything due in the next `ms` milliseconds and ends exactly there. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    while (await this.step(endMs));
    this.#nowMs = endMs;
  }

  /** Moves on until the condition holds; throws when it does not within `limitMs` of virtual time. */
  async until(condition: () => boolean, limitMs = 60_000, what = 'the condition'): Promise<void> {
    const endMs = this.#nowMs + limitMs;
    await settle();
    await turns(() => {
      if (condition()) return false;
      if (!this.#turn(endMs)) throw new Error(`${what} did not hold within ${limitMs} ms`);
      return true;
    });
  }

  /** Moves time at once past callbacks without running them, as a process does that was stopped. */
  freeze(ms: number): void {
    this.#nowMs += ms;
  }

  #turn(limitMs: number): boolean {
    this.#dropCancelled();
    const next = this.#heap[0];
    if (next === undefined || next.dueMs > limitMs) return false;
    this.#pop();
    this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    next.callback();
    return true;
  }

  #dropCancelled(): void {
    while (this.#heap[0]?.cancelled === true) this.#pop();
  }

  #before(a: Entry, b: Entry): boolean {
    return a.dueMs !== b.dueMs ? a.dueMs < b.dueMs : a.order < b.order;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !this.#before(entry, above)) break;
      heap[index] = above;
      heap[parent] = entry;
      index = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      let least = left;
      if (right !== undefined && this.#before(right, left)) {
        child += 1;
        least = right;
      }
      if (!this.#before(least, last)) break;
      heap[index] = least;
      index = child;
    }
    heap[index] = last;
  }
}
