import type { Server } from 'node:http';
import { QuartermasterError } from '../../core/problem.ts';
import { hostOf, portOf } from '../settings/value-schemas.ts';

const SENTENCES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not listen there',
};

/** How the sentence begins that says why there is no listener. */
export const CANNOT_LISTEN = 'Nobody can listen at';

/**
 * Takes connections at `host:port` and resolves to the address with the port that was given for 0. Rejects with
 * `CONFLICT` when that cannot be done.
 */
export async function listen(server: Server, address: string): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      const why = SENTENCES[error.code ?? ''] ?? error.message;
      const detail = `${CANNOT_LISTEN} ${address}: ${why}.`;
      reject(new QuartermasterError({ code: 'CONFLICT', detail }, { cause: error }));
    };
    server.once('error', fail);
    server.listen({ host: hostOf(address), port: portOf(address) }, () => {
      server.off('error', fail);
      resolve();
    });
  });
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : portOf(address);
  return `${address.slice(0, address.lastIndexOf(':'))}:${port}`;
}

/** Ends the listener and its connections; resolves when both are gone. */
export async function stopListening(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}
