import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { limitServer } from '../../src/http/server-limits.ts';

/** A server on a free loopback port. */
export interface TestingServer {
  readonly address: string;
  readonly url: string;
  readonly server: Server;
  close(): Promise<void>;
}

/** Serves until `close`, which cuts whatever is still open. */
export async function serveOnLoopback(listener: RequestListener): Promise<TestingServer> {
  const server = createServer(listener);
  limitServer(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    address,
    url: `http://${address}`,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
