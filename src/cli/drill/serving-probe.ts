import { Agent, request } from 'undici';
import type { Clock } from '../../runtime/clock.ts';
import { pause } from '../pause.ts';

const PROBE_MS = 20;
const CALL_TIMEOUT_MS = 200;

/** Asks a leader again and again whether it serves (`/leaderz`), for drills in which it should go on. */
export class ServingProbe {
  readonly #clock: Clock;
  readonly #address: string;
  readonly #over = new AbortController();
  readonly #ended: Promise<void>;
  #idleMs = 0;

  constructor(clock: Clock, address: string) {
    this.#clock = clock;
    this.#address = address;
    this.#ended = this.#run();
  }

  /** Ends the probing; resolves to the time within which no probe was answered by a leader that serves. */
  async stop(): Promise<number> {
    this.#over.abort();
    await this.#ended;
    return this.#idleMs;
  }

  async #run(): Promise<void> {
    const { signal } = this.#over;
    const agent = new Agent({ headersTimeout: CALL_TIMEOUT_MS, connect: { timeout: CALL_TIMEOUT_MS } });
    try {
      while (!signal.aborted) {
        const beganMs = this.#clock.monotonicMs();
        const serves = await this.#ask(agent);
        await pause(this.#clock, PROBE_MS, signal);
        if (!serves) this.#idleMs += this.#clock.monotonicMs() - beganMs;
      }
    } finally {
      await agent.destroy();
    }
  }

  async #ask(agent: Agent): Promise<boolean> {
    try {
      const { statusCode, body } = await request(`http://${this.#address}/leaderz`, { dispatcher: agent });
      await body.dump();
      return statusCode === 200;
    } catch {
      return false;
    }
  }
}
