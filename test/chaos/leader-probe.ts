import { Agent, request } from 'undici';
import { pause } from '../../src/cli/pause.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import type { Gap } from './leaderless-gaps.ts';

const PROBE_MS = 25;
const CALL_TIMEOUT_MS = 200;

/** Asks every resource manager again and again whether it leads and serves (`/leaderz`). */
export class LeaderProbe {
  readonly gaps: Gap[] = [];
  readonly #clock: Clock;
  readonly #over = new AbortController();
  readonly #loops: Promise<void>[];
  #servedMs: number;

  constructor(clock: Clock, addresses: readonly string[]) {
    this.#clock = clock;
    this.#servedMs = clock.monotonicMs();
    this.#loops = addresses.map((address) => this.#ask(address));
  }

  /** A gap of which nobody has seen the end counts until now. */
  async stop(): Promise<void> {
    this.#over.abort();
    await Promise.all(this.#loops);
    this.#served(this.#clock.monotonicMs());
  }

  async #ask(address: string): Promise<void> {
    const { signal } = this.#over;
    const agent = new Agent({
      headersTimeout: CALL_TIMEOUT_MS,
      bodyTimeout: CALL_TIMEOUT_MS,
      connect: { timeout: CALL_TIMEOUT_MS },
    });
    try {
      while (!signal.aborted) {
        const askedMs = this.#clock.monotonicMs();
        if (await this.#serves(address, agent)) this.#served(askedMs);
        await pause(this.#clock, PROBE_MS, signal);
      }
    } finally {
      await agent.destroy();
    }
  }

  async #serves(address: string, dispatcher: Agent): Promise<boolean> {
    try {
      const { statusCode, body } = await request(`http://${address}/leaderz`, { dispatcher });
      await body.dump();
      return statusCode === 200;
    } catch {
      return false;
    }
  }

  /** Whoever answers served at some time after he was asked. */
  #served(askedMs: number): void {
    // Two that are asked in turn leave up to two probes between answers.
    if (askedMs - this.#servedMs > 2 * PROBE_MS) this.gaps.push({ fromMs: this.#servedMs, toMs: askedMs });
    this.#servedMs = Math.max(this.#servedMs, askedMs);
  }
}
