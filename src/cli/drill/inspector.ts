import { request } from 'undici';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { QuartermasterError } from '../../core/problem.ts';
import type { Clock } from '../../runtime/clock.ts';
import { pause } from '../pause.ts';

const OPEN_TIMEOUT_MS = 5_000;
const POLL_MS = 50;
const targets = z.array(z.object({ webSocketDebuggerUrl: z.string() })).min(1);

/**
 * The debugger of a Node process that was started with `--inspect-port`, opened from outside by SIGUSR1. With it code
 * of ours runs in that process without anything for it in what ships.
 */
export class Inspector {
  readonly #socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('error', () => {});
  }

  /** Rejects with `UNAVAILABLE` when the process opens none. */
  static async open(pid: number, address: string, clock: Clock, signal: AbortSignal): Promise<Inspector> {
    process.kill(pid, 'SIGUSR1');
    const endMs = clock.monotonicMs() + OPEN_TIMEOUT_MS;
    for (;;) {
      try {
        const { body } = await request(`http://${address}/json/list`, { signal });
        const [target] = targets.parse(await body.json());
        return new Inspector(await connected(target?.webSocketDebuggerUrl ?? ''));
      } catch (cause) {
        signal.throwIfAborted();
        if (clock.monotonicMs() > endMs) {
          const detail = `Process ${pid} opens no debugger at ${address}.`;
          throw new QuartermasterError({ code: 'UNAVAILABLE', detail }, { cause });
        }
        await pause(clock, POLL_MS, signal);
      }
    }
  }

  /** Keeps the event loop of the process busy for so long, from the moment it takes the message in. */
  blockLoop(durationMs: number): void {
    const expression = `{ const end = Date.now() + ${durationMs}; while (Date.now() < end); }`;
    this.#socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } }));
  }

  close(): void {
    this.#socket.terminate();
  }
}

function connected(url: string): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: OPEN_TIMEOUT_MS });
    socket.once('open', () => resolve(socket));
    socket.once('error', reject);
  });
}
