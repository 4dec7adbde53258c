import type { HttpProbe } from './http-probe.ts';
import { latencyOf } from './latency.ts';
import type { ResourceManagerMeasurement } from './measurements.ts';

const PROBES = 20;

/** Asks one resource manager for its life a bounded number of times; never rejects. */
export async function measureResourceManager(
  address: string,
  probe: HttpProbe,
): Promise<ResourceManagerMeasurement> {
  const url = `http://${address}/livez`;
  // The first probe pays for the connection.
  let last = await probe(url);
  const durationsMs: number[] = [];
  for (let index = 0; index < PROBES && last.failure === null; index += 1) {
    last = await probe(url);
    if (last.failure === null) durationsMs.push(last.durationMs);
  }
  const { failure, clockOffset } = last;
  return { address, failure, livez: latencyOf(durationsMs), clockOffset };
}
