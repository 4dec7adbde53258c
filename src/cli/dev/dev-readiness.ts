import { QuartermasterError } from '../../core/problem.ts';
import { overviewAnswer, probeAnswer } from '../../http/answers.ts';
import type { Clock } from '../../runtime/clock.ts';
import { ClusterClient } from '../client/cluster-client.ts';
import { pause } from '../pause.ts';

export interface ReadinessOptions {
  readonly clock: Clock;
  readonly resourceManagers: readonly string[];
  /** Slots that the task executors must have registered. */
  readonly expectedSlots: number;
  /** How many slots the job still waits for. */
  readonly missingJobSlots: () => number;
  /** Why waiting is in vain; null while it is not. */
  readonly refusal: () => QuartermasterError | null;
  /** What a resource manager said last, for the error. */
  readonly lastWords: () => string;
  readonly signal: AbortSignal;
}

const START_TIMEOUT_MS = 60_000;
const CALL_TIMEOUT_MS = 1_000;
const POLL_MS = 50;

/**
 * Resolves when every resource manager is ready, one leads, the task executors have registered and the job has
 * its slots; also when the signal aborts. Rejects with the refusal, or `UNAVAILABLE` after a minute.
 */
export async function untilUp(options: ReadinessOptions): Promise<void> {
  const { clock, resourceManagers, signal } = options;
  const endMs = clock.monotonicMs() + START_TIMEOUT_MS;
  const clients = resourceManagers.map(
    (address) => new ClusterClient({ resourceManagers: [address], timeoutMs: CALL_TIMEOUT_MS, clock }),
  );
  try {
    for (let missing: string | null = 'everything'; missing !== null; ) {
      await pause(clock, POLL_MS, signal);
      if (signal.aborted) return;
      const refusal = options.refusal();
      if (refusal !== null) throw refusal;
      if (clock.monotonicMs() > endMs) throw startFailure(missing, options.lastWords());
      missing = await whatIsMissing(clients, options);
    }
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

async function whatIsMissing(
  clients: readonly ClusterClient[],
  { resourceManagers, expectedSlots, missingJobSlots }: ReadinessOptions,
): Promise<string | null> {
  const ready = await Promise.all(
    clients.map((client) => client.read('/readyz', probeAnswer).then(Boolean, () => false)),
  );
  const unready = resourceManagers[ready.indexOf(false)];
  if (unready !== undefined) return `the resource manager at ${unready}`;
  const overview = await clients[0]?.read('/v1/overview', overviewAnswer).catch(() => null);
  if (overview === null || overview === undefined) return 'a leader';
  if (overview.slots.total < expectedSlots) return 'the task executors';
  const missing = missingJobSlots();
  return missing > 0 ? `${missing} slots of the job` : null;
}

function startFailure(missing: string, words: string): QuartermasterError {
  const lines = words.split('\n').slice(-3).join('\n');
  const seconds = START_TIMEOUT_MS / 1_000;
  const detail = `The cluster is not up after ${seconds} s: it waits for ${missing}. Last words of rm-1:\n${lines}`;
  return new QuartermasterError({ code: 'UNAVAILABLE', detail });
}
