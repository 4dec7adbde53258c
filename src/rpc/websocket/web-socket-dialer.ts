import { WebSocket } from 'ws';
import type { Clock } from '../../runtime/clock.ts';
import type { CloseReason, Connection, Dialer, DialListener } from '../connection.ts';
import { CONNECT_PATH, MAX_FRAME_BYTES, WebSocketConnection } from './web-socket-connection.ts';

/** How a dialer behaves; durations in milliseconds. */
export interface WebSocketDialerOptions {
  /** How long a connection may take to stand, 5 s unless given; then it ends with `timeout`. */
  readonly connectTimeoutMs?: number;
  /** The largest frame taken in; `MAX_FRAME_BYTES` unless given. */
  readonly maxFrameBytes?: number;
}

/** Dials WebSockets at `host:port`, path `/v1/connect`, without compression. */
export class WebSocketDialer implements Dialer {
  readonly #clock: Clock;
  readonly #options: Required<WebSocketDialerOptions>;

  constructor(clock: Clock, options: WebSocketDialerOptions = {}) {
    this.#clock = clock;
    this.#options = { connectTimeoutMs: 5_000, maxFrameBytes: MAX_FRAME_BYTES, ...options };
  }

  dial(address: string, listener: DialListener): Connection {
    const url = `ws://${address}${CONNECT_PATH}`;
    if (!URL.canParse(url)) return this.#refuse(address, listener);
    const socket = new WebSocket(url, {
      perMessageDeflate: false,
      handshakeTimeout: this.#options.connectTimeoutMs,
      maxPayload: this.#options.maxFrameBytes,
      followRedirects: false,
    });
    const connection = new WebSocketConnection(socket, address, this.#clock);
    connection.listen(listener);
    socket.on('open', () => {
      if (!connection.ended) listener.onOpen();
    });
    return connection;
  }

  /** An address that names no place, such as one with port 70000: nothing is known of who should be there. */
  #refuse(address: string, listener: DialListener): Connection {
    let closed = false;
    const end = (kind: CloseReason['kind'], detail: string): void => {
      if (closed) return;
      closed = true;
      this.#clock.schedule(0, () => listener.onClose({ kind, detail }));
    };
    this.#clock.schedule(0, () => end('unreachable', `${address} is not an address`));
    return { peer: address, bufferedBytes: 0, send: () => {}, close: (detail) => end('local', detail) };
  }
}
