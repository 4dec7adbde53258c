import type { HttpProbe } from './http-probe.ts';
import { generationPlanAnswer } from '../../http/answers.ts';
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
  const plan = failure === null ? await probe(`http://${address}/v1/new-generation`) : null;
  const contradiction = plan === null ? null : contradictionIn(plan.body);
  return { address, failure, contradiction, livez: latencyOf(durationsMs), clockOffset };
}

/** Null, too, for whatever cannot be read: an older version knows no such route. */
function contradictionIn(body: string): string | null {
  try {
    return generationPlanAnswer.safeParse(JSON.parse(body)).data?.contradiction ?? null;
  } catch {
    return null;
  }
}
