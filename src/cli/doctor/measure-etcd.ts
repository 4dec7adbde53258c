import type { EtcdCredentials } from '../../ha/etcd/etcd-login.ts';
import type { EtcdTls } from '../../ha/etcd/etcd-client.ts';
import { EtcdCoordinationStore } from '../../ha/etcd/etcd-coordination-store.ts';
import { EtcdInspection } from '../../ha/etcd/etcd-inspection.ts';
import type { StoreEndpoint, Transaction } from '../../ha/coordination-store.ts';
import { ClusterKeys } from '../../ha/keys.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Randomness } from '../../runtime/randomness.ts';
import { parseMemberMetrics } from './etcd-metrics.ts';
import type { HttpProbe } from './http-probe.ts';
import { latencyOf, type Latency } from './latency.ts';
import type { EndpointMeasurement, LeaseMeasurement } from './measurements.ts';

/** Calls of each kind and endpoint at most, and how long each kind may take. */
const MOST_CALLS = 50;
const MOST_LEASES = 10;
const BUDGET_MS = 2_000;

export interface EtcdMeasuring {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly cluster: string;
  /** Deadline of each call. */
  readonly timeoutMs: number;
  readonly leaseTtlSeconds: number;
  readonly tls?: EtcdTls | undefined;
  readonly credentials?: EtcdCredentials | undefined;
  readonly probe: HttpProbe;
}

/**
 * Measures one endpoint with a bounded number of calls; never rejects. Writes nothing but leases of its own, which
 * hold no key and are revoked (and run out by themselves should that fail).
 */
export async function measureEndpoint(url: string, options: EtcdMeasuring): Promise<EndpointMeasurement> {
  const { clock, tls, credentials, timeoutMs } = options;
  const inspection = new EtcdInspection({ endpoint: url, clock, tls, credentials });
  const store = new EtcdCoordinationStore({ endpoints: [url], clock, tls, credentials });
  let measured: EndpointMeasurement = { ...NOTHING, endpoint: url };
  const add = (part: Partial<EndpointMeasurement>): void => {
    measured = { ...measured, ...part };
  };
  try {
    add(await scrape(url, options));
    add({ status: await inspection.status(timeoutMs) });
    const keys = new ClusterKeys(options.cluster);
    add({ compacted: await inspection.hasCompacted(keys.leader, timeoutMs) });
    add(await measureCalls(store.endpoints[0], keys, options));
    add(await measureLeases(store.endpoints[0], options));
  } catch (error) {
    add({ failure: error instanceof Error ? error.message : String(error) });
  } finally {
    inspection.close();
    await store.close();
  }
  return measured;
}

const NOTHING: EndpointMeasurement = {
  endpoint: '',
  failure: null,
  status: null,
  range: null,
  check: null,
  write: null,
  lease: null,
  compacted: null,
  metrics: null,
  clockOffset: null,
};

/** Some serve their metrics elsewhere: that there are none here is no failure. */
async function scrape(
  url: string,
  { probe }: EtcdMeasuring,
): Promise<Pick<EndpointMeasurement, 'metrics' | 'clockOffset'>> {
  const answer = await probe(`${url}/metrics`);
  if (answer.failure !== null) return { metrics: null, clockOffset: null };
  return { metrics: parseMemberMetrics(answer.body), clockOffset: answer.clockOffset };
}

async function measureCalls(
  endpoint: StoreEndpoint,
  keys: ClusterKeys,
  { clock, timeoutMs }: EtcdMeasuring,
): Promise<Pick<EndpointMeasurement, 'range' | 'check'>> {
  // As the leadership check has it: a linearizable range in both branches makes the member ask its quorum.
  const check: Transaction = {
    compare: [{ key: keys.leader, target: 'create', result: '>', operand: 0n }],
    success: [{ type: 'range', key: keys.challenges, prefix: true, limit: 1 }],
    failure: [{ type: 'range', key: keys.election, prefix: true, limit: 1 }],
  };
  // The first call pays for the connection.
  await endpoint.range({ type: 'range', key: keys.leader }, timeoutMs);
  return {
    range: await timed(clock, () => endpoint.range({ type: 'range', key: keys.leader }, timeoutMs)),
    check: await timed(clock, () => endpoint.transact(check, timeoutMs)),
  };
}

async function timed(clock: Clock, call: () => Promise<unknown>): Promise<Latency | null> {
  const durationsMs: number[] = [];
  const endMs = clock.monotonicMs() + BUDGET_MS;
  while (durationsMs.length < MOST_CALLS && clock.monotonicMs() < endMs) {
    const startMs = clock.monotonicMs();
    await call();
    durationsMs.push(clock.monotonicMs() - startMs);
  }
  return latencyOf(durationsMs);
}

async function measureLeases(
  endpoint: StoreEndpoint,
  { clock, randomness, timeoutMs, leaseTtlSeconds }: EtcdMeasuring,
): Promise<{ readonly lease: LeaseMeasurement; readonly write: Latency | null }> {
  const durationsMs: number[] = [];
  const time = async <T>(call: Promise<T>): Promise<T> => {
    const startMs = clock.monotonicMs();
    const value = await call;
    durationsMs.push(clock.monotonicMs() - startMs);
    return value;
  };
  const grantAndRevoke = async (askedSeconds: number): Promise<number> => {
    const id = randomness.leaseId();
    try {
      const { ttlSeconds } = await time(endpoint.grantLease(id, askedSeconds, timeoutMs));
      await time(endpoint.revokeLease(id, timeoutMs));
      return ttlSeconds;
    } catch (error) {
      // The answer may be lost though the lease was granted.
      await endpoint.revokeLease(id, timeoutMs).catch(() => {});
      throw error;
    }
  };
  const grantedSeconds = await grantAndRevoke(leaseTtlSeconds);
  let leastGrantedSeconds = await grantAndRevoke(1);
  const endMs = clock.monotonicMs() + BUDGET_MS;
  for (let pairs = 2; pairs < MOST_LEASES && clock.monotonicMs() < endMs; pairs += 1) {
    leastGrantedSeconds = await grantAndRevoke(1);
  }
  const lease = { askedSeconds: leaseTtlSeconds, grantedSeconds, leastGrantedSeconds };
  return { lease, write: latencyOf(durationsMs) };
}
