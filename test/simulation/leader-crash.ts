import { expect } from 'chai';
import { slotKey } from '../../src/core/ids.ts';
import { CLUSTER, SimulatedCluster } from './simulated-cluster.ts';
import { checkWrites } from './write-judge.ts';
import { SlotUsage } from './slot-usage.ts';

const PROFILE = { cpuCores: 1, memoryMB: 512, extended: {} };
const QUALITY = { leastDelayMs: 0.1, mostDelayMs: 3, slowShare: 0.01, stallShare: 0.001, breakShare: 0.002 };
const RESOURCE_MANAGERS = ['rm-1', 'rm-2', 'rm-3'];

/** What two runs of one seed must agree in. */
export interface Result {
  readonly digest: string;
  readonly events: number;
  readonly trouble: number;
}

/** A run that broke an expectation, with the trace that led there. */
export class FailedRun extends Error {
  readonly lines: readonly string[];

  constructor(seed: number, cluster: SimulatedCluster, cause: unknown, scenario: string) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const hash = cluster.trace.digest();
    super(
      `seed ${seed}, at ${cluster.clock.monotonicMs()} ms: ${why}; replay: make simulate SCENARIO=${scenario} SEED=${seed}; trace ${hash}`,
      { cause },
    );
    this.lines = cluster.trace.lines();
  }
}

/** Three resource managers, two task executors and a job of five slots; the leader crashes and comes back. */
export async function leaderCrash(seed: number): Promise<Result> {
  const cluster = new SimulatedCluster({ seed, quality: QUALITY, resourceManagers: RESOURCE_MANAGERS });
  try {
    return await play(cluster);
  } catch (error) {
    throw new FailedRun(seed, cluster, error, 'leader-crash');
  }
}

async function play(cluster: SimulatedCluster): Promise<Result> {
  const { clock } = cluster;
  const usage = new SlotUsage(cluster);
  const until = async (what: string, condition: () => boolean, limitMs: number): Promise<void> => {
    await clock.until(
      () => {
        usage.check();
        return condition();
      },
      limitMs,
      what,
    );
  };
  for (const id of RESOURCE_MANAGERS) cluster.startResourceManager(id);
  for (const id of ['te-1', 'te-2']) cluster.startTaskExecutor(id, [PROFILE, PROFILE, PROFILE, PROFILE]);
  const { endpoint } = cluster.startJobMaster('job');
  await until('the registration of the job', () => endpoint.job !== null, 60_000);
  const { job } = endpoint;
  if (job === null) throw new Error('the job is not there');
  const held = (): string[] =>
    job.slots.filter((slot) => slot.held).map((slot) => `${slotKey(slot.slotId)} ${slot.allocationId}`);

  void job.requestSlots(5, PROFILE);
  await until('five slots in hand', () => held().length === 5, 60_000);
  const before = held();
  const first = cluster.leader();
  if (first === null) throw new Error('nobody leads');
  const firstEpoch = first.endpoint.view.status().epoch ?? 0n;

  cluster.crash(first);
  void job.requestSlots(2, PROFILE);
  await until('a new leader', () => cluster.leader() !== null, 3_000);
  const second = cluster.leader();
  expect(second?.endpoint.view.status().epoch).to.satisfy((epoch: bigint) => epoch > firstEpoch);
  cluster.startResourceManager(first.process.name.split('#')[0] ?? '');
  await until('G7: two more slots', () => held().length === 7, 120_000);
  expect(held(), 'G9: what was held before').to.include.members(before);
  // Two lease durations: everything that is held is held by renewals.
  const endMs = clock.monotonicMs() + 2 * cluster.timing.slotLeaseMs;
  await until('the end', () => clock.monotonicMs() >= endMs, 2 * cluster.timing.slotLeaseMs + 1_000);
  expect(held(), 'G9: what was held before').to.include.members(before);
  expect(cluster.fatal).to.deep.equal([]);
  const { judged } = checkWrites(cluster.etcd, CLUSTER);
  expect(judged).to.include({ leaderRecords: 2, registrations: 3, historyRows: 3 });
  return {
    digest: cluster.trace.digest(),
    events: cluster.trace.count,
    trouble: cluster.links.breaks + cluster.links.stalls,
  };
}
