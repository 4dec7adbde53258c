import { WebSocket, type RawData } from 'ws';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { CloseReason, Connection, ConnectionListener } from '../connection.ts';
import { MAX_FRAME_LENGTH } from '../wire-format.ts';
import { reasonOfClose } from './close-reason.ts';

/** Path of the connections, on the port that also serves HTTP. */
export const CONNECT_PATH = '/v1/connect';

/**
 * The largest frame taken in, in bytes: three for each character that a frame may have, so that one with too
 * many characters still comes in and is answered with `TOO_LARGE`. What is larger still ends the connection.
 */
export const MAX_FRAME_BYTES = 3 * MAX_FRAME_LENGTH;

/** How long the other side may take to answer a close before the socket is taken down. */
const CLOSE_TIMEOUT_MS = 2_000;
/** RFC 6455: a close frame holds 125 bytes, 2 of them the code. */
const MAX_CLOSE_TEXT_BYTES = 123;

/** One WebSocket as a `Connection`; the listener is set before the first event can come. */
export class WebSocketConnection implements Connection {
  readonly peer: string;
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  #listener: ConnectionListener | null = null;
  #error: Error | null = null;
  #ended = false;
  #closing: Timer | null = null;

  constructor(socket: WebSocket, peer: string, clock: Clock) {
    this.#socket = socket;
    this.peer = peer;
    this.#clock = clock;
    socket.on('message', (data: RawData) => {
      if (!this.#ended) this.#listener?.onFrame(textOf(data));
    });
    socket.on('error', (error: Error) => {
      this.#error ??= error;
    });
    socket.on('close', (code: number, text: Buffer) => {
      this.#closing?.cancel();
      this.#end(reasonOfClose(code, text.toString(), this.#error));
    });
  }

  /** To be called in the turn in which the connection was made. */
  listen(listener: ConnectionListener): void {
    this.#listener = listener;
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Whether it was ended, by either side. */
  get ended(): boolean {
    return this.#ended;
  }

  send(frame: string): void {
    if (this.#ended || this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(frame);
  }

  close(detail: string): void {
    if (this.#ended) return;
    const listener = this.#listener;
    this.#ended = true;
    this.#clock.schedule(0, () => listener?.onClose({ kind: 'local', detail }));
    this.#socket.close(1000, cut(detail));
    this.#closing = this.#clock.schedule(CLOSE_TIMEOUT_MS, () => this.#socket.terminate());
  }

  /** Takes the socket down without a word, as the end of the process would. */
  terminate(): void {
    this.#socket.terminate();
  }

  #end(reason: CloseReason): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#listener?.onClose(reason);
  }
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return (data instanceof ArrayBuffer ? Buffer.from(data) : data).toString();
}

function cut(detail: string): string {
  let text = detail.slice(0, MAX_CLOSE_TEXT_BYTES);
  while (Buffer.byteLength(text) > MAX_CLOSE_TEXT_BYTES) text = text.slice(0, -1);
  return text;
}
