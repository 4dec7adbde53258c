import type {
  NotificationBody,
  NotificationType,
  ReplyBody,
  RequestBody,
  RequestType,
} from '../core/messages/catalogue.ts';
import { QuartermasterError, toProblem, type Problem } from '../core/problem.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { CloseReason, Connection, ConnectionListener } from './connection.ts';
import {
  decodeFrame,
  decodeNotification,
  decodeProblem,
  decodeReply,
  decodeRequest,
  encodeFrame,
  type Envelope,
} from './wire-format.ts';

/** A request of the other side. Of `respond` and `fail` the first call counts. */
export type InboundRequest = {
  [T in RequestType]: {
    readonly type: T;
    readonly body: RequestBody<T>;
    readonly respond: (reply: ReplyBody<T>) => void;
    readonly fail: (problem: Problem) => void;
  };
}[RequestType];

export type InboundNotification = {
  [T in NotificationType]: { readonly type: T; readonly body: NotificationBody<T> };
}[NotificationType];

/** What the owner of a channel does with what comes in. `onClose` comes exactly once and last. */
export interface ChannelHandler {
  /**
   * Does this reading of a frame, or of the end of the connection, in a turn of the owner's choice and in the order
   * in which they come. Without it all is read as it comes.
   */
  readonly readIn?: (reading: () => void) => void;
  onRequest(request: InboundRequest): void;
  onNotification(notification: InboundNotification): void;
  onClose(reason: CloseReason): void;
}

/** What became of a request. A missing answer is `NO_ANSWER`: it may have had its effect or not. */
export type Outcome<T extends RequestType> =
  | { readonly ok: true; readonly reply: ReplyBody<T> }
  | { readonly ok: false; readonly problem: Problem };

interface Pending {
  readonly type: RequestType;
  readonly timer: Timer;
  readonly done: (outcome: Outcome<RequestType>) => void;
}

const MAX_PENDING = 10_000;
const MAX_BUFFERED_BYTES = 64 * 1024 * 1024;

/**
 * Requests with answers, and notifications, in both directions over one connection. What is sent in one turn
 * of the loop travels in one frame. Input that cannot be read is answered with a problem and changes nothing.
 */
export class MessageChannel implements ConnectionListener {
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #handler: ChannelHandler;
  readonly #pending = new Map<number, Pending>();
  #outgoing: Envelope[] = [];
  #nextId = 1;
  #closed = false;

  constructor(connection: Connection, clock: Clock, handler: ChannelHandler) {
    this.#connection = connection;
    this.#clock = clock;
    this.#handler = handler;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whom it leads to, for people. */
  get peer(): string {
    return this.#connection.peer;
  }

  /** Sends without an answer; lost when the connection ends first. */
  notify<T extends NotificationType>(type: T, body: NotificationBody<T>): void {
    this.#send({ type, body });
  }

  /**
   * Sends and calls `done` exactly once, in a later turn: with the reply, with the problem that the other
   * side answered, or with `NO_ANSWER` after `timeoutMs` or when the connection ends.
   */
  request<T extends RequestType>(
    type: T,
    body: RequestBody<T>,
    timeoutMs: number,
    done: (outcome: Outcome<T>) => void,
  ): void {
    const finish = done as (outcome: Outcome<RequestType>) => void;
    const refuse = (problem: Problem): void => {
      this.#clock.schedule(0, () => finish({ ok: false, problem }));
    };
    if (this.#closed) return refuse({ code: 'NO_ANSWER', detail: 'The connection has ended.' });
    if (this.#pending.size >= MAX_PENDING) {
      return refuse({
        code: 'OVERLOADED',
        detail: `${MAX_PENDING} requests wait for an answer.`,
        retryAfterMs: 1_000,
      });
    }
    const id = this.#nextId++;
    const timer = this.#clock.schedule(timeoutMs, () => {
      this.#pending.delete(id);
      finish({
        ok: false,
        problem: { code: 'NO_ANSWER', detail: `No answer to ${type} in ${timeoutMs} ms.` },
      });
    });
    this.#pending.set(id, { type, timer, done: finish });
    this.#send({ type, id, body });
  }

  /** As `request`, as a promise; rejects with a `QuartermasterError`. */
  call<T extends RequestType>(type: T, body: RequestBody<T>, timeoutMs: number): Promise<ReplyBody<T>> {
    return new Promise((resolve, reject) => {
      this.request(type, body, timeoutMs, (outcome) => {
        if (outcome.ok) resolve(outcome.reply);
        else reject(new QuartermasterError(outcome.problem));
      });
    });
  }

  /** Says why, when a problem is given, and ends the connection. */
  close(problem?: Problem): void {
    if (this.#closed) return;
    if (problem !== undefined) this.notify('problem', problem);
    this.#flush();
    this.#connection.close(problem?.code ?? 'closed');
  }

  onFrame(frame: string): void {
    if (this.#closed) return;
    let messages: Envelope[];
    try {
      messages = decodeFrame(frame);
    } catch (error) {
      return this.close(toProblem(error));
    }
    for (const message of messages) {
      if (this.#closed) return;
      this.#receive(message);
    }
  }

  onClose(reason: CloseReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#outgoing = [];
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { timer } of pending) timer.cancel();
    const problem: Problem = { code: 'NO_ANSWER', detail: `The connection ended: ${reason.detail}` };
    for (const { done } of pending) done({ ok: false, problem });
    this.#handler.onClose(reason);
  }

  #receive(message: Envelope): void {
    if ('reply' in message) return this.#receiveReply(message);
    if ('id' in message) return this.#receiveRequest(message.type, message.id, message.body);
    try {
      const notification = decodeNotification(message.type, message.body);
      if (notification !== null) this.#handler.onNotification(notification as InboundNotification);
    } catch (error) {
      if (!(error instanceof QuartermasterError)) throw error;
      this.notify('problem', error.problem);
    }
  }

  #receiveRequest(type: string, id: number, body: unknown): void {
    let answered = false;
    const answer = (reply: Envelope): void => {
      if (answered) return;
      answered = true;
      this.#send(reply);
    };
    const fail = (problem: Problem): void => answer({ reply: id, problem });
    let request: ReturnType<typeof decodeRequest>;
    try {
      request = decodeRequest(type, body);
    } catch (error) {
      return fail(toProblem(error));
    }
    const respond = (reply: unknown): void => answer({ reply: id, body: reply });
    this.#handler.onRequest({ ...request, respond, fail } as InboundRequest);
  }

  #receiveReply(message: Extract<Envelope, { reply: number }>): void {
    const pending = this.#pending.get(message.reply);
    if (pending === undefined) return;
    this.#pending.delete(message.reply);
    pending.timer.cancel();
    if ('problem' in message) return pending.done({ ok: false, problem: decodeProblem(message.problem) });
    let outcome: Outcome<RequestType>;
    try {
      outcome = { ok: true, reply: decodeReply(pending.type, message.body) as ReplyBody<RequestType> };
    } catch (error) {
      outcome = { ok: false, problem: toProblem(error) };
    }
    pending.done(outcome);
  }

  #send(message: Envelope): void {
    if (this.#closed) return;
    if (this.#outgoing.push(message) === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    if (this.#closed || this.#outgoing.length === 0) return;
    const messages = this.#outgoing;
    this.#outgoing = [];
    if (this.#connection.bufferedBytes > MAX_BUFFERED_BYTES) {
      this.#connection.close('the other side does not read what it is sent');
      return;
    }
    this.#connection.send(encodeFrame(messages));
  }
}
