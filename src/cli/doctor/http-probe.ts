import { Agent, request } from 'undici';
import type { EtcdTls } from '../../ha/etcd/etcd-client.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { ClockOffset } from './measurements.ts';

/** What one GET brought; with a failure the rest is empty. */
export interface HttpAnswer {
  readonly failure: string | null;
  readonly body: string;
  readonly durationMs: number;
  readonly clockOffset: ClockOffset | null;
}

/** Asks a URL once, within a deadline; never rejects. */
export type HttpProbe = (url: string) => Promise<HttpAnswer>;

const MOST_BODY_BYTES = 8 * 1024 * 1024;
const DATE_RESOLUTION_MS = 1_000;

/** Probes with connections that are kept from one probe to the next until `close`. */
export class HttpProber {
  readonly #agent: Agent;
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  constructor(options: { clock: Clock; timeoutMs: number; tls?: EtcdTls | undefined }) {
    const { clock, timeoutMs, tls } = options;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#agent = new Agent({
      connect: { timeout: timeoutMs, ...tls },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
  }

  readonly probe: HttpProbe = async (url) => {
    const deadline = new AbortController();
    const timer = this.#clock.schedule(this.#timeoutMs, () =>
      deadline.abort(new Error(`no answer in ${this.#timeoutMs} ms`)),
    );
    const startMs = this.#clock.monotonicMs();
    const sentAtMs = this.#clock.wallMs();
    try {
      const answer = await request(url, { dispatcher: this.#agent, signal: deadline.signal });
      const durationMs = this.#clock.monotonicMs() - startMs;
      const clockOffset = offsetOf(answer.headers['date'], sentAtMs, this.#clock.wallMs());
      const body = await readBounded(answer.body);
      const failure = answer.statusCode === 200 ? null : `status ${answer.statusCode}`;
      return { failure, body, durationMs, clockOffset };
    } catch (error) {
      const failure = error instanceof Error ? error.message : String(error);
      return { failure, body: '', durationMs: this.#clock.monotonicMs() - startMs, clockOffset: null };
    } finally {
      timer.cancel();
    }
  };

  /** Lets go of every connection. */
  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

/** What a `Date` header, which leaves the milliseconds out, says of the other clock; null when it says nothing. */
export function offsetOf(
  date: string | string[] | undefined,
  sentAtMs: number,
  receivedAtMs: number,
): ClockOffset | null {
  const atMs = typeof date === 'string' ? Date.parse(date) : NaN;
  if (Number.isNaN(atMs)) return null;
  return { leastMs: atMs - receivedAtMs, mostMs: atMs + DATE_RESOLUTION_MS - sentAtMs };
}

async function readBounded(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > MOST_BODY_BYTES) throw new Error('the answer is too large');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
