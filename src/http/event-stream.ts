import type { Response } from 'express';
import { QuartermasterError } from '../core/problem.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { toJson } from '../rpc/wire-format.ts';

/** Bounds of the server-sent events that one process serves. */
export interface EventStreamBounds {
  /** A client beyond these is answered `OVERLOADED`. */
  readonly mostClients: number;
  /** A client that has left this many bytes unread is dropped. */
  readonly mostUnreadBytes: number;
  /** How often a comment is sent where nothing happens, so that neither side takes silence for an end. */
  readonly keepAliveMs: number;
}

/** Enough for every operator and every tool of one cluster. */
export const DEFAULT_EVENT_STREAM_BOUNDS: EventStreamBounds = {
  mostClients: 256,
  mostUnreadBytes: 1024 * 1024,
  keepAliveMs: 1_000,
};

/** One client that reads server-sent events. */
export interface EventStream {
  /** Sends one event with `data` as one line of JSON, and an id if given; nothing once the stream has ended. */
  send(event: string, data: unknown, id?: string): void;
  /** Ends it after what was sent. */
  end(): void;
}

/** Opens streams of server-sent events, up to a bound, and drops clients that do not read. */
export class EventStreams {
  readonly #clock: Clock;
  readonly #bounds: EventStreamBounds;
  readonly #open = new Set<Response>();

  constructor(clock: Clock, bounds: EventStreamBounds = DEFAULT_EVENT_STREAM_BOUNDS) {
    this.#clock = clock;
    this.#bounds = bounds;
  }

  /** How many clients read at the moment. */
  get size(): number {
    return this.#open.size;
  }

  /** Takes a place for a stream until the response is closed; throws `OVERLOADED` when there is none. */
  admit(response: Response): void {
    if (this.#open.size >= this.#bounds.mostClients) {
      throw new QuartermasterError({
        code: 'OVERLOADED',
        detail: `${this.#bounds.mostClients} clients read events here already.`,
        retryAfterMs: 10_000,
      });
    }
    this.#open.add(response);
    response.once('close', () => this.#open.delete(response));
  }

  /** Whether the client has left too much unread. */
  isSlow(response: Response): boolean {
    return response.writableLength > this.#bounds.mostUnreadBytes;
  }

  /** Answers with an open stream; `onEnd` comes exactly once, whoever ended it. Throws `OVERLOADED`. */
  open(response: Response, onEnd: () => void): EventStream {
    this.admit(response);
    response.status(200);
    response.setHeader('Content-Type', 'text/event-stream; charset=utf-8');
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('X-Accel-Buffering', 'no');
    response.flushHeaders();
    let ended = false;
    let keepAlive: Timer | null = null;
    const write = (text: string): void => {
      if (ended || response.writableEnded) return;
      response.write(text);
      if (this.isSlow(response)) response.destroy();
    };
    const beat = (): void => {
      keepAlive = this.#clock.schedule(this.#bounds.keepAliveMs, () => {
        write(': still here\n\n');
        if (!ended) beat();
      });
    };
    response.once('close', () => {
      ended = true;
      keepAlive?.cancel();
      onEnd();
    });
    if (response.req.method === 'HEAD') response.end();
    else beat();
    return {
      send: (event, data, id) => {
        const idLine = id === undefined ? '' : `id: ${id}\n`;
        write(`${idLine}event: ${event}\ndata: ${toJson(data)}\n\n`);
      },
      end: () => {
        if (!ended) response.end();
      },
    };
  }

  /** Ends every stream, for a server that is about to close. */
  close(): void {
    for (const response of this.#open) response.end();
  }
}
