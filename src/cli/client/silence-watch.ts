import type { Clock, Timer } from '../../runtime/clock.ts';

/** Aborts its signal when nothing was heard for a while, as from a process that is stopped: its sockets stay open. */
export class SilenceWatch {
  readonly #clock: Clock;
  readonly #silenceMs: number;
  readonly #silent = new AbortController();
  #timer: Timer | null = null;

  /** Begins to listen at once. */
  constructor(clock: Clock, silenceMs: number) {
    this.#clock = clock;
    this.#silenceMs = silenceMs;
    this.heard();
  }

  /** Aborts once it was silent for too long; never after `close`. */
  get signal(): AbortSignal {
    return this.#silent.signal;
  }

  heard(): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.schedule(this.#silenceMs, () => this.#silent.abort());
  }

  /** The same parts, each of them heard. */
  async *listen(parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const part of parts) {
      this.heard();
      yield part;
    }
  }

  close(): void {
    this.#timer?.cancel();
  }
}
