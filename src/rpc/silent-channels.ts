import type { Problem } from '../core/problem.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { MessageChannel } from './message-channel.ts';

/**
 * Hangs up, with `NO_ANSWER`, on channels over which nothing has come for `silentMs`, at the latest after twice
 * that time. A standstill of this process is not taken for the silence of others.
 */
export class SilentChannels {
  readonly #clock: Clock;
  readonly #silentMs: number;
  readonly #lastHeardMs = new Map<MessageChannel, number>();
  #sweep: Timer | null = null;

  constructor(clock: Clock, silentMs: number) {
    this.#clock = clock;
    this.#silentMs = silentMs;
  }

  /** How many channels are watched. */
  get size(): number {
    return this.#lastHeardMs.size;
  }

  /** Watches a channel from now on. */
  add(channel: MessageChannel): void {
    this.#lastHeardMs.set(channel, this.#clock.monotonicMs());
    this.#sweep ??= this.#schedule();
  }

  /** Something came over a channel; false when it is not watched. */
  heard(channel: MessageChannel): boolean {
    if (!this.#lastHeardMs.has(channel)) return false;
    this.#lastHeardMs.set(channel, this.#clock.monotonicMs());
    return true;
  }

  /** Watches a channel, which has ended, no more. */
  remove(channel: MessageChannel): void {
    this.#lastHeardMs.delete(channel);
    if (this.#lastHeardMs.size > 0) return;
    this.#sweep?.cancel();
    this.#sweep = null;
  }

  /** Hangs up on all of them, and watches none any more. */
  close(problem: Problem): void {
    const channels = [...this.#lastHeardMs.keys()];
    for (const channel of channels) this.remove(channel);
    for (const channel of channels) channel.close(problem);
  }

  #schedule(): Timer {
    const dueMs = this.#clock.monotonicMs() + this.#silentMs;
    return this.#clock.schedule(this.#silentMs, () => {
      this.#closeSilent(this.#clock.monotonicMs() - dueMs);
      this.#sweep = this.#lastHeardMs.size > 0 ? this.#schedule() : null;
    });
  }

  #closeSilent(lateMs: number): void {
    // What came meanwhile may still wait to be read.
    if (lateMs > this.#silentMs / 2) return;
    const sinceMs = this.#clock.monotonicMs() - this.#silentMs;
    for (const [channel, heardMs] of this.#lastHeardMs) {
      if (heardMs <= sinceMs) channel.close({ code: 'NO_ANSWER', detail: 'Nothing was heard for long.' });
    }
  }
}
