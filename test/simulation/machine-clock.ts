import type { Clock, Timer } from '../../src/runtime/clock.ts';

/**
 * The clocks of one machine: the monotonic one runs at a rate of its own and stands still while the machine is
 * suspended, the wall clock can be set. Timers go by the monotonic one.
 */
export class MachineClock implements Clock {
  readonly #world: Clock;
  readonly #rate: number;
  #localMs = 0;
  #sinceMs = 0;
  #frozen = false;
  #wallOffsetMs = 0;
  /** What waits for the end of the suspension to count on. */
  #asleep: (() => void)[] = [];

  constructor(world: Clock, rate = 1) {
    this.#world = world;
    this.#rate = rate;
  }

  monotonicMs(): number {
    if (this.#frozen) return this.#localMs;
    return this.#localMs + (this.#world.monotonicMs() - this.#sinceMs) * this.#rate;
  }

  wallMs(): number {
    const ownMs = this.#rate === 1 ? 0 : (this.#world.monotonicMs() - this.#sinceMs) * (this.#rate - 1);
    return this.#world.wallMs() + this.#wallOffsetMs + (this.#frozen ? 0 : ownMs);
  }

  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  freeze(): void {
    this.#settle();
    this.#frozen = true;
  }

  thaw(): void {
    if (!this.#frozen) return;
    this.#frozen = false;
    this.#sinceMs = this.#world.monotonicMs();
    const asleep = this.#asleep;
    this.#asleep = [];
    for (const wake of asleep) wake();
  }

  schedule(delayMs: number, callback: () => void): Timer {
    const dueMs = this.monotonicMs() + Math.max(0, delayMs);
    let cancelled = false;
    let timer: Timer | null = null;
    const arm = (): void => {
      if (cancelled) return;
      timer = this.#world.schedule(Math.max(0, dueMs - this.monotonicMs()) / this.#rate, fire);
    };
    const fire = (): void => {
      if (this.#frozen) this.#asleep.push(arm);
      else if (this.monotonicMs() < dueMs - 0.001) arm();
      else {
        this.#reach(dueMs);
        callback();
      }
    };
    arm();
    return {
      cancel: () => {
        cancelled = true;
        timer?.cancel();
      },
    };
  }

  /** Whoever waited for a time finds it reached, whatever the rounding. */
  #reach(dueMs: number): void {
    if (this.monotonicMs() >= dueMs) return;
    this.#settle();
    this.#localMs = dueMs;
  }

  /** Counts from here. */
  #settle(): void {
    const nowMs = this.#world.monotonicMs();
    if (this.#rate !== 1) this.#wallOffsetMs += (nowMs - this.#sinceMs) * (this.#rate - 1);
    this.#localMs = this.monotonicMs();
    this.#sinceMs = nowMs;
  }
}
