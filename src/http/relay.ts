import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import { request as httpRequest, type Dispatcher } from 'undici';
import { QuartermasterError, type LeaderHint } from '../core/problem.ts';
import type { Clock } from '../runtime/clock.ts';
import type { EventStreams } from './event-stream.ts';

/** Names the resource manager that passed a read on; a read that has it is never passed on again. */
export const RELAYED_BY_HEADER = 'quartermaster-relayed-by';

/** Bounds of a relayed read: the leader's first byte, its whole answer, and silence on a stream (which has keepalives). */
const FIRST_BYTE_MS = 3_000;
const WHOLE_ANSWER_MS = 10_000;
const STREAM_SILENCE_MS = 30_000;
const MOST_ANSWER_BYTES = 16 * 1024 * 1024;

/** Passes reads on to the leader and its answers, problems too, back unchanged. */
export class Relay {
  readonly #ownId: string;
  readonly #clock: Clock;
  readonly #streams: EventStreams;

  constructor(ownId: string, clock: Clock, streams: EventStreams) {
    this.#ownId = ownId;
    this.#clock = clock;
    this.#streams = streams;
  }

  /** Whether the caller asks for it and nobody has passed it on before. */
  wanted(request: Request): boolean {
    return request.query['relay'] === 'true' && request.headers[RELAYED_BY_HEADER] === undefined;
  }

  /** Asks the leader the same; throws `NO_ANSWER` when it cannot be reached or is too slow. */
  async pass(request: Request, response: Response, leader: LeaderHint): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const firstByte = this.#clock.schedule(FIRST_BYTE_MS, () => gone.abort());
    let answer: Dispatcher.ResponseData;
    try {
      answer = await httpRequest(this.#urlAt(leader, request), {
        method: 'GET',
        headers: this.#headersOf(request),
        headersTimeout: FIRST_BYTE_MS,
        bodyTimeout: STREAM_SILENCE_MS,
        signal: gone.signal,
      });
    } catch (cause) {
      throw noAnswer(leader, cause);
    } finally {
      firstByte.cancel();
    }
    const type = String(answer.headers['content-type'] ?? 'application/json');
    if (type.startsWith('text/event-stream')) return this.#passStream(answer, response);
    const whole = this.#clock.schedule(WHOLE_ANSWER_MS, () => gone.abort());
    try {
      const body = await readBounded(answer.body);
      response.status(answer.statusCode).setHeader('Content-Type', type);
      const retryAfter = answer.headers['retry-after'];
      if (typeof retryAfter === 'string') response.setHeader('Retry-After', retryAfter);
      response.end(body);
    } catch (cause) {
      throw noAnswer(leader, cause);
    } finally {
      whole.cancel();
    }
  }

  #urlAt(leader: LeaderHint, request: Request): URL {
    const url = new URL(`http://${leader.address}`);
    url.pathname = request.path;
    for (const [name, value] of Object.entries(request.query)) {
      if (name !== 'relay' && typeof value === 'string') url.searchParams.set(name, value);
    }
    return url;
  }

  #headersOf(request: Request): Record<string, string> {
    const headers: Record<string, string> = { [RELAYED_BY_HEADER]: this.#ownId };
    const lastEventId = request.headers['last-event-id'];
    if (typeof lastEventId === 'string') headers['last-event-id'] = lastEventId;
    return headers;
  }

  /** The leader's end is ours and ours is the leader's; a client that does not read makes the leader drop us both. */
  async #passStream(answer: Dispatcher.ResponseData, response: Response): Promise<void> {
    try {
      this.#streams.admit(response);
    } catch (error) {
      answer.body.destroy();
      throw error;
    }
    response.status(answer.statusCode);
    response.setHeader('Content-Type', String(answer.headers['content-type']));
    response.flushHeaders();
    await pipeline(answer.body, response).catch(() => response.destroy());
  }
}

async function readBounded(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MOST_ANSWER_BYTES) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function noAnswer(leader: LeaderHint, cause: unknown): QuartermasterError {
  const detail = `The leader, ${leader.resourceManagerId} at ${leader.address}, did not answer in time.`;
  return new QuartermasterError({ code: 'NO_ANSWER', detail, leader }, { cause });
}
