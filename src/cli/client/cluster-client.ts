import { Agent, request } from 'undici';
import type { z } from 'zod';
import { problem as problemSchema } from '../../core/messages/problem-schema.ts';
import { QuartermasterError, type Problem } from '../../core/problem.ts';
import type { Clock } from '../../runtime/clock.ts';

/** Another place to ask follows from at most this many answers `NOT_LEADER`. */
const MOST_HOPS = 3;
const MOST_ANSWER_BYTES = 64 * 1024 * 1024;

interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
}

/** An attempt that got no answer. `unsent`: whoever should have got it was not reached, so it has had no effect. */
class Unanswered extends Error {
  readonly unsent: boolean;

  constructor(address: string, unsent: boolean, cause: unknown) {
    super(`${address}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'Unanswered';
    this.unsent = unsent;
  }
}

export interface ClusterClientOptions {
  /** Some of the resource managers, in the order in which they are asked. */
  readonly resourceManagers: readonly string[];
  /** Deadline of each single call. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/**
 * The operator's HTTP of a cluster, whoever leads it: asks one resource manager after the other until one
 * answers, and follows `NOT_LEADER` to the leader. Rejections are `QuartermasterError`s: the problem that was
 * answered, `UNAVAILABLE` when nobody could be reached, `NO_ANSWER` for an order of which nothing is known.
 */
export class ClusterClient {
  readonly #options: ClusterClientOptions;
  readonly #agent: Agent;

  constructor(options: ClusterClientOptions) {
    this.#options = options;
    const { timeoutMs } = options;
    this.#agent = new Agent({
      connect: { timeout: timeoutMs },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      keepAliveTimeout: 1,
    });
  }

  /** Asks; repeats with the next resource manager whatever became of the call before. */
  async read<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.output<Schema>> {
    const answer = schema.safeParse(await this.#everywhere({ method: 'GET', path }));
    if (answer.success) return answer.data;
    throw new QuartermasterError({ code: 'INTERNAL', detail: `The answer to ${path} could not be read.` });
  }

  /** Orders; goes on to the next resource manager only when the order has certainly had no effect. */
  async order(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<void> {
    await this.#everywhere({ method, path, ...(body === undefined ? {} : { body }) });
  }

  /** Every row of a paged listing. */
  async readAll<Row, Schema extends z.ZodType<{ next: string | null }>>(
    path: string,
    schema: Schema,
    rowsOf: (page: z.output<Schema>) => readonly Row[],
    most = Infinity,
  ): Promise<Row[]> {
    const rows: Row[] = [];
    let after: string | null = null;
    do {
      const limit = Math.min(1_000, most - rows.length);
      const query: string = after === null ? '' : `&after=${encodeURIComponent(after)}`;
      const page: z.output<Schema> = await this.read(`${path}?limit=${limit}${query}`, schema);
      rows.push(...rowsOf(page));
      after = page.next;
    } while (after !== null && rows.length < most);
    return rows;
  }

  /** Lets go of every connection. */
  close(): Promise<void> {
    return this.#agent.destroy();
  }

  async #everywhere(call: Call): Promise<unknown> {
    const unanswered: string[] = [];
    let refusal: QuartermasterError | null = null;
    for (const address of this.#options.resourceManagers) {
      try {
        return await this.#follow(address, call);
      } catch (error) {
        if (error instanceof Unanswered) {
          if (!error.unsent && call.method !== 'GET') throw unknownOutcome(error);
          unanswered.push(error.message);
        } else if (error instanceof QuartermasterError && goesElsewhere(error)) {
          refusal ??= error;
        } else {
          throw error;
        }
      }
    }
    if (refusal !== null) throw refusal;
    const detail = `No resource manager answers: ${unanswered.join('; ')}.`;
    throw new QuartermasterError({ code: 'UNAVAILABLE', detail });
  }

  async #follow(first: string, call: Call): Promise<unknown> {
    let address = first;
    for (let hop = 0; ; hop += 1) {
      try {
        return await this.#once(address, call);
      } catch (error) {
        const leader = error instanceof QuartermasterError ? error.problem.leader : null;
        if (leader === null || leader === undefined || hop >= MOST_HOPS) throw error;
        if ((error as QuartermasterError).code !== 'NOT_LEADER') throw error;
        ({ address } = leader);
      }
    }
  }

  async #once(address: string, call: Call): Promise<unknown> {
    const { clock, timeoutMs } = this.#options;
    const deadline = new AbortController();
    const timer = clock.schedule(timeoutMs, () => deadline.abort(new Error(`no answer in ${timeoutMs} ms`)));
    try {
      const { statusCode, body } = await request(`http://${address}${call.path}`, {
        method: call.method,
        dispatcher: this.#agent,
        signal: deadline.signal,
        ...(call.body === undefined
          ? {}
          : { body: JSON.stringify(call.body), headers: { 'content-type': 'application/json' } }),
      });
      const text = await readBounded(body);
      if (statusCode >= 400) throw new QuartermasterError(problemOf(text, statusCode, address));
      return JSON.parse(text) as unknown;
    } catch (error) {
      if (error instanceof QuartermasterError) throw error;
      if (error instanceof SyntaxError) {
        const detail = `${address} answered something that is not JSON.`;
        throw new QuartermasterError({ code: 'INTERNAL', detail }, { cause: error });
      }
      throw new Unanswered(address, wasUnsent(error), error);
    } finally {
      timer.cancel();
    }
  }
}

/** Whether somebody else may know better. */
function goesElsewhere(error: QuartermasterError): boolean {
  return ['NO_LEADER', 'NOT_LEADER', 'SUSPENDED', 'UNAVAILABLE', 'NO_ANSWER'].includes(error.code);
}

function wasUnsent(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'UND_ERR_CONNECT_TIMEOUT'].some(
    (each) => each === code,
  );
}

function unknownOutcome(error: Unanswered): QuartermasterError {
  const detail = `Nothing is known of the order, which may have been carried out: ${error.message}.`;
  return new QuartermasterError({ code: 'NO_ANSWER', detail }, { cause: error });
}

function problemOf(text: string, status: number, address: string): Problem {
  try {
    const parsed = problemSchema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
  } catch {
    // Not JSON: somebody else listens there.
  }
  return { code: 'INTERNAL', detail: `${address} answered with status ${status}.` };
}

async function readBounded(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > MOST_ANSWER_BYTES) throw new Error(`the answer has more than ${MOST_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
