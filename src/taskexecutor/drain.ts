import type { Clock, Timer } from '../runtime/clock.ts';

/** What became of a drain. */
export interface DrainResult {
  /** Leases that still ran at its end; with any, no goodbye was said, and they stay in the state store. */
  readonly leasesLeft: number;
}

/** One drain under way, however often it is asked for. */
export class Drain {
  readonly result: Promise<DrainResult>;
  /** Whether a deadline has passed. */
  expired = false;
  /** Whether the wait is over and the goodbye has begun. */
  leaving = false;
  readonly #clock: Clock;
  readonly #timers: Timer[] = [];
  #resolve: (result: DrainResult) => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
    this.result = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Adds a deadline; the first one that passes counts. */
  limit(deadlineMs: number, onExpired: () => void): void {
    this.#timers.push(
      this.#clock.schedule(deadlineMs, () => {
        this.expired = true;
        onExpired();
      }),
    );
  }

  /** Takes the deadlines back. */
  close(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  finish(result: DrainResult): void {
    this.#resolve(result);
  }
}
