import { connect, createServer, type Server, type Socket } from 'node:net';
import { FrameSniffer, type Dialler } from './frame-sniffer.ts';

/** Which connections are cut: all of them, or those of whoever dialled under one of these names. */
export type Cut = 'all' | ReadonlySet<Dialler>;

const HOST = '127.0.0.1';

/**
 * Carries TCP connections to a port of this machine, and can cut them as a broken network does: nothing passes any
 * more, nobody is told, and what was sent comes after the cut is mended.
 */
export class TcpProxy {
  /** Where it listens. */
  readonly port: number;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  #cut: Cut | null = null;

  private constructor(port: number, targetPort: number) {
    this.port = port;
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      const link = new Link(client, targetPort, () => this.#links.delete(link));
      this.#links.add(link);
      link.apply(this.#cut);
    });
  }

  /** Resolves when it listens at `port` of the loopback. */
  static listen(port: number, targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(port, targetPort);
    return proxy.accept().then(() => proxy);
  }

  /** Listens, if it does not already. */
  accept(): Promise<void> {
    const server = this.#server;
    if (server.listening) return Promise.resolve();
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: HOST, port: this.port, exclusive: true }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  }

  /** Listens no more, from this turn on, until `accept`; connections that stand go on. */
  refuse(): void {
    this.#server.close();
  }

  /** Connections that stand, those that are cut among them. */
  get connections(): number {
    return this.#links.size;
  }

  /** From now on these connections, those that come later too, carry nothing; null mends all. */
  cut(cut: Cut | null): void {
    this.#cut = cut;
    for (const link of this.#links) link.apply(cut);
  }

  /** Ends every connection; resolves when the port is free. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const link of this.#links) link.destroy();
    });
  }
}

/** One connection through the proxy. */
class Link {
  readonly #client: Socket;
  readonly #target: Socket;
  readonly #sniffer = new FrameSniffer();
  readonly #onGone: () => void;
  #dialler: Dialler | null = null;
  #cut: Cut | null = null;
  #stalled = false;
  /** What the client sent last before it was known to be cut. */
  #held: Buffer[] = [];
  /** Sides that say nothing any more, and sides that have closed. */
  readonly #ended = new Set<Socket>();
  readonly #closed = new Set<Socket>();

  constructor(client: Socket, targetPort: number, onGone: () => void) {
    this.#client = client;
    this.#target = connect({ host: HOST, port: targetPort, allowHalfOpen: true });
    this.#onGone = onGone;
    for (const socket of [client, this.#target]) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => this.#sideClosed(socket));
    }
    client.on('data', (chunk: Buffer) => {
      if (this.#dialler === null) {
        this.#dialler = this.#sniffer.take(chunk);
        if (this.#dialler !== null) this.apply(this.#cut);
      }
      if (this.#stalled) this.#held.push(chunk);
      else this.#pass(chunk, client, this.#target);
    });
    this.#target.on('data', (chunk: Buffer) => this.#pass(chunk, this.#target, client));
    client.on('end', () => this.#sideEnded(client));
    this.#target.on('end', () => this.#sideEnded(this.#target));
  }

  /** Whether this cut is meant for it decides who dialled. */
  apply(cut: Cut | null): void {
    this.#cut = cut;
    const isCut = cut === 'all' || (cut !== null && this.#dialler !== null && cut.has(this.#dialler));
    if (isCut === this.#stalled) return;
    this.#stalled = isCut;
    if (isCut) {
      this.#client.pause();
      this.#target.pause();
      return;
    }
    if (this.#closed.size > 0) return this.destroy();
    for (const chunk of this.#held) this.#pass(chunk, this.#client, this.#target);
    this.#held = [];
    for (const socket of this.#ended) this.#other(socket).end();
    this.#client.resume();
    this.#target.resume();
  }

  destroy(): void {
    this.#client.destroy();
    this.#target.destroy();
  }

  #sideEnded(socket: Socket): void {
    this.#ended.add(socket);
    if (!this.#stalled) this.#other(socket).end();
  }

  #other(socket: Socket): Socket {
    return socket === this.#client ? this.#target : this.#client;
  }

  /** The other side hears of it, unless the connection is cut. */
  #sideClosed(socket: Socket): void {
    this.#closed.add(socket);
    if (this.#closed.size === 2) this.#onGone();
    else if (!this.#stalled) this.destroy();
  }

  #pass(chunk: Buffer, from: Socket, to: Socket): void {
    if (to.write(chunk)) return;
    from.pause();
    to.once('drain', () => {
      if (!this.#stalled) from.resume();
    });
  }
}
