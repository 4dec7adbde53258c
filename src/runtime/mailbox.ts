import type { Clock } from './clock.ts';

/** How much one turn of the loop may take before the rest waits for the next one. */
export interface MailboxBudget {
  readonly turnMs: number;
  readonly turnEvents: number;
}

const DEFAULT_BUDGET: MailboxBudget = { turnMs: 10, turnEvents: 512 };

/**
 * Hands events to an endpoint one at a time, in order (Flink's `RpcEndpoint` main thread). A long queue is
 * worked off in slices, so that timers and sockets of the same process get their turn in between.
 */
export class Mailbox {
  readonly #clock: Clock;
  readonly #budget: MailboxBudget;
  readonly #onError: (error: unknown) => void;
  #urgent: (() => void)[] = [];
  #queue: (() => void)[] = [];
  #head = 0;
  #draining = false;
  #scheduled = false;
  #closed = false;
  /** Since when the time is added up that events take, and how much of it they took. */
  #busySinceMs = -Infinity;
  #busyMs = 0;

  /** `onError` gets whatever an event throws: a broken invariant, after which the endpoint must not go on. */
  constructor(clock: Clock, onError: (error: unknown) => void, budget: MailboxBudget = DEFAULT_BUDGET) {
    this.#clock = clock;
    this.#onError = onError;
    this.#budget = budget;
  }

  /** Runs the event after all that were posted before it: now, when none are and none is running. False once it is closed. */
  post(event: () => void): boolean {
    if (this.#closed) return false;
    this.#queue.push(event);
    if (this.#draining || this.#scheduled) return true;
    // Thousands of sockets may be read in one turn of the loop, each with an event: no timer gets its turn in between.
    if (this.#isTurnUsedUp()) this.#schedule();
    else this.#drain();
    return true;
  }

  /**
   * As `post`, but ahead of all that wait: for the few that tell whether this endpoint is alive. A hung one does not
   * get to them either; one that merely has much to do does, between two events.
   */
  postUrgent(event: () => void): void {
    if (this.#closed) return;
    this.#urgent.push(event);
    if (!this.#draining && !this.#scheduled) this.#drain();
  }

  /** How many events wait. */
  get length(): number {
    return this.#urgent.length + this.#queue.length - this.#head;
  }

  /** Drops whatever waits and takes nothing more. */
  close(): void {
    this.#closed = true;
    this.#urgent = [];
    this.#queue = [];
    this.#head = 0;
  }

  #isTurnUsedUp(): boolean {
    const { turnMs } = this.#budget;
    return this.#busyMs >= turnMs && this.#clock.monotonicMs() - this.#busySinceMs < 2 * turnMs;
  }

  #schedule(): void {
    this.#scheduled = true;
    this.#clock.schedule(0, () => {
      this.#scheduled = false;
      this.#busyMs = 0;
      this.#drain();
    });
  }

  #drain(): void {
    this.#draining = true;
    const startMs = this.#clock.monotonicMs();
    if (this.#busyMs === 0 || startMs - this.#busySinceMs >= 2 * this.#budget.turnMs) {
      this.#busySinceMs = startMs;
      this.#busyMs = 0;
    }
    let done = 0;
    try {
      for (;;) {
        const event = this.#next();
        if (event === undefined) break;
        event();
        done += 1;
        if (done >= this.#budget.turnEvents || this.#clock.monotonicMs() - startMs >= this.#budget.turnMs)
          break;
      }
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#draining = false;
      this.#busyMs += this.#clock.monotonicMs() - startMs;
    }
    if (this.length === 0) {
      this.#queue = [];
      this.#head = 0;
      return;
    }
    this.#schedule();
  }

  #next(): (() => void) | undefined {
    const urgent = this.#urgent.shift();
    if (urgent !== undefined) return urgent;
    const event = this.#queue[this.#head];
    if (event !== undefined) this.#head += 1;
    return event;
  }
}
