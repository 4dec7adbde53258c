import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { Clock } from '../../runtime/clock.ts';
import type { Acceptor } from '../connection.ts';
import { CONNECT_PATH, MAX_FRAME_BYTES, WebSocketConnection } from './web-socket-connection.ts';

/** How an acceptor behaves. */
export interface WebSocketAcceptorOptions {
  /** The largest frame taken in; `MAX_FRAME_BYTES` unless given. */
  readonly maxFrameBytes?: number;
}

/**
 * Takes WebSockets at `/v1/connect` of a `node:http` server, beside whatever else it serves. Any other upgrade
 * is refused, and so is one that a web page asks for: pages may dial loopback, workers are never pages.
 */
export class WebSocketAcceptor {
  readonly #clock: Clock;
  readonly #accept: Acceptor;
  readonly #sockets: WebSocketServer;
  readonly #connections = new Set<WebSocketConnection>();
  #closed = false;

  constructor(clock: Clock, accept: Acceptor, options: WebSocketAcceptorOptions = {}) {
    this.#clock = clock;
    this.#accept = accept;
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.maxFrameBytes ?? MAX_FRAME_BYTES,
    });
  }

  /** Takes the upgrades of this server from now on. */
  attach(server: Server): void {
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
  }

  /** Ends every connection, after what was sent on it, and takes no more. */
  close(detail: string): void {
    this.#closed = true;
    for (const connection of this.#connections) connection.close(detail);
  }

  /** Takes every socket down without a word, for an end that cannot wait. */
  terminate(): void {
    this.#closed = true;
    for (const connection of this.#connections) connection.terminate();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = request.url?.split('?', 1)[0];
    if (this.#closed) return refuse(socket, '503 Service Unavailable');
    if (path !== CONNECT_PATH) return refuse(socket, '404 Not Found');
    if (request.headers.origin !== undefined) return refuse(socket, '403 Forbidden');
    const peer = `${request.socket.remoteAddress ?? '?'}:${request.socket.remotePort ?? '?'}`;
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const connection = new WebSocketConnection(webSocket, peer, this.#clock);
      this.#connections.add(connection);
      webSocket.on('close', () => this.#connections.delete(connection));
      connection.listen(this.#accept(connection));
    });
  }
}

function refuse(socket: Duplex, status: string): void {
  socket.on('error', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
