import { QuartermasterError } from '../../core/problem.ts';
import type { Randomness } from '../../runtime/randomness.ts';
import { isFree } from './free-ports.ts';

/** Below the ports that Linux and macOS give to outgoing connections, and away from the usual services. */
const LOWEST = 20_000;
const HIGHEST = 29_999;
const ATTEMPTS_PER_PORT = 100;

/**
 * Different free loopback ports for processes that come back to the same port after a death: none of them may
 * be given by the system to somebody's outgoing connection in between.
 */
export async function stablePorts(count: number, randomness: Randomness): Promise<number[]> {
  const ports = new Set<number>();
  for (let attempt = 0; ports.size < count; attempt += 1) {
    if (attempt >= count * ATTEMPTS_PER_PORT) {
      const detail = `There are no ${count} free ports from ${LOWEST} to ${HIGHEST} on 127.0.0.1.`;
      throw new QuartermasterError({ code: 'UNAVAILABLE', detail });
    }
    const port = LOWEST + Math.floor(randomness.fraction() * (HIGHEST - LOWEST + 1));
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}
