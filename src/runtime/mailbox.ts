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
  #queue: (() => void)[] = [];
  #head = 0;
  #draining = false;
  #scheduled = false;
  #closed = false;

  /** `onError` gets whatever an event throws: a broken invariant, after which the endpoint must not go on. */
  constructor(clock: Clock, onError: (error: unknown) => void, budget: MailboxBudget = DEFAULT_BUDGET) {
    this.#clock = clock;
    this.#onError = onError;
    this.#budget = budget;
  }

  /** Runs the event after all that were posted before it: now, when none are and none is running. */
  post(event: () => void): void {
    if (this.#closed) return;
    this.#queue.push(event);
    if (!this.#draining && !this.#scheduled) this.#drain();
  }

  /** How many events wait. */
  get length(): number {
    return this.#queue.length - this.#head;
  }

  /** Drops whatever waits and takes nothing more. */
  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#head = 0;
  }

  #drain(): void {
    this.#draining = true;
    const startMs = this.#clock.monotonicMs();
    let done = 0;
    try {
      for (;;) {
        const event = this.#queue[this.#head];
        if (event === undefined) break;
        this.#head += 1;
        event();
        done += 1;
        if (done >= this.#budget.turnEvents || this.#clock.monotonicMs() - startMs >= this.#budget.turnMs)
          break;
      }
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#draining = false;
    }
    if (this.#head >= this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
      return;
    }
    this.#scheduled = true;
    this.#clock.schedule(0, () => {
      this.#scheduled = false;
      this.#drain();
    });
  }
}
