import { slotKey } from '../../src/core/ids.ts';
import { SeededRandomness } from '../support/testing-randomness.ts';
import { FailedRun, type Result } from './leader-crash.ts';
import { FaultSchedule, type FaultCounts } from './fault-schedule.ts';
import { CLUSTER, SimulatedCluster } from './simulated-cluster.ts';
import { checkWrites } from './write-judge.ts';
import { SlotUsage } from './slot-usage.ts';

const SMALL = { cpuCores: 1, memoryMB: 512, extended: {} };
const RESOURCE_MANAGERS = ['rm-1', 'rm-2', 'rm-3'];
const TASK_EXECUTORS = ['te-1', 'te-2', 'te-3'];
const JOBS = ['job-1', 'job-2', 'job-3'];
const SLOTS = [SMALL, SMALL, SMALL];
const QUALITY = { leastDelayMs: 0.1, mostDelayMs: 3, slowShare: 0.02, stallShare: 0.0005, breakShare: 0.001 };
const TROUBLE_MS = 120_000;
const CONVERGENCE_MS = 180_000;
const DEPOSITION_WINDOW_MS = 12_000;
const CRASH_MS = 150;

/** A run in trouble, and what trouble it was. */
export interface TroubledResult extends Result {
  readonly faults: FaultCounts;
  readonly leaders: number;
  /** From the crash of the leader after the trouble to its successor. */
  readonly crashMs: number;
}

/** Faults of every kind for two minutes while jobs come and go; then everything must come right by itself. */
export async function trouble(seed: number): Promise<TroubledResult> {
  const cluster = new SimulatedCluster({ seed, quality: QUALITY, resourceManagers: RESOURCE_MANAGERS });
  const randomness = new SeededRandomness(seed ^ 0x5bd1e995, 'trouble');
  const faults = new FaultSchedule(cluster, randomness, SLOTS);
  const watch = new Watcher(cluster, faults);
  let crashMs = Infinity;
  try {
    for (const id of RESOURCE_MANAGERS) cluster.startResourceManager(id);
    for (const id of TASK_EXECUTORS) cluster.startTaskExecutor(id, SLOTS);
    for (const id of JOBS) {
      cluster.startJobMaster(id);
      new Customer(cluster, id, randomness).start();
    }
    faults.start(randomness.between(300, 3_000));
    await watch.until(
      'the end of the trouble',
      () => cluster.clock.monotonicMs() >= TROUBLE_MS,
      2 * TROUBLE_MS,
    );
    faults.heal();
    await watch
      .until('everything to come right', () => watch.missing() === null, CONVERGENCE_MS)
      .catch((error: unknown) => {
        throw new Error(watch.missing() ?? 'nothing is missing', { cause: error });
      });
    await watch.books();
    crashMs = await watch.crash();
    checkWrites(cluster.etcd, CLUSTER);
  } catch (error) {
    throw new FailedRun(seed, cluster, error, 'trouble');
  }
  return {
    digest: cluster.trace.digest(),
    events: cluster.trace.count,
    trouble: cluster.links.breaks + cluster.links.stalls,
    faults: faults.counts,
    leaders: watch.epochs.size,
    crashMs,
  };
}

/** Asks for slots on behalf of one job, holds them for a while and gives them back, over and over. */
class Customer {
  readonly #cluster: SimulatedCluster;
  readonly #jobId: string;
  readonly #randomness: SeededRandomness;

  constructor(cluster: SimulatedCluster, jobId: string, randomness: SeededRandomness) {
    this.#cluster = cluster;
    this.#jobId = jobId;
    this.#randomness = randomness;
  }

  start(): void {
    const { clock } = this.#cluster;
    clock.schedule(this.#randomness.between(100, 5_000), () => {
      const running = this.#cluster.jobMasters.get(this.#jobId);
      const job = running?.endpoint.job ?? null;
      const wanted = this.#randomness.between(1, 3);
      const holdMs = this.#randomness.between(500, 40_000);
      if (job !== null && running?.process.running === true && job.slots.length === 0) {
        job.requestSlots(wanted, SMALL, { timeoutMs: 60_000 }).then(
          (slots) =>
            running.process.clock.schedule(holdMs, () => slots.forEach((slot) => void slot.release())),
          () => {},
        );
      }
      this.start();
    });
  }
}

/** Looks at the guarantees after every step. */
class Watcher {
  readonly epochs = new Set<bigint>();
  /** Jobs that had a slot in hand since the trouble ended. */
  readonly #satisfied = new Set<string>();
  readonly #cluster: SimulatedCluster;
  readonly #faults: FaultSchedule;
  readonly #usage: SlotUsage;

  constructor(cluster: SimulatedCluster, faults: FaultSchedule) {
    this.#cluster = cluster;
    this.#faults = faults;
    this.#usage = new SlotUsage(cluster);
  }

  until(what: string, condition: () => boolean, limitMs: number): Promise<void> {
    return this.#cluster.clock.until(
      () => {
        this.#usage.check();
        this.#oneServes();
        if (this.#cluster.fatal.length > 0)
          throw new Error(`G8: a process ended itself: ${this.#cluster.fatal.join('; ')}`);
        return condition();
      },
      limitMs,
      what,
    );
  }

  /** What is missing: one leader, every process registered, a slot in hand for every job; null when nothing is. */
  missing(): string | null {
    if (this.#cluster.leader() === null) return 'nobody leads';
    for (const [id, { process, endpoint }] of this.#cluster.taskExecutors) {
      if (!process.alive || endpoint.status().registeredWith === null) return `${id} is not registered`;
    }
    for (const [id, { process, endpoint }] of this.#cluster.jobMasters) {
      if (!process.alive || endpoint.job === null) return `${id} is not registered`;
      if (!this.#satisfied.has(id) && endpoint.job.slots.some((slot) => slot.held)) this.#satisfied.add(id);
    }
    const waiting = [...this.#cluster.jobMasters.keys()].filter((id) => !this.#satisfied.has(id));
    return waiting.length === 0 ? null : `no slot for ${waiting.join(', ')}`;
  }

  /** The trouble has left nothing behind that makes the next failover slow; returns how long it takes. */
  async crash(): Promise<number> {
    const { clock } = this.#cluster;
    // So long that no deposition of the trouble counts against the limit.
    await clock.advance(DEPOSITION_WINDOW_MS);
    const leader = this.#cluster.leader();
    if (leader === null) throw new Error('nobody leads');
    this.#cluster.crash(leader);
    const startMs = clock.monotonicMs();
    await this.until('a successor', () => this.#cluster.leader() !== null, CRASH_MS);
    return clock.monotonicMs() - startMs;
  }

  /** The leader's books say of each slot what its task executor says. */
  async books(): Promise<void> {
    const differences = await this.#differences();
    for (let tries = 0; tries < 100 && differences.length > 0; tries++) {
      await this.#cluster.clock.advance(200);
      differences.splice(0, differences.length, ...(await this.#differences()));
    }
    if (differences.length > 0) throw new Error(`books: they differ: ${differences.join('; ')}`);
  }

  async #differences(): Promise<string[]> {
    const leader = this.#cluster.leader();
    if (leader === null) return ['nobody leads'];
    const { rows } = await leader.endpoint.view.slots({ limit: 1_000, after: null });
    const booked = new Map(rows.map((row) => [slotKey(row), `${row.state} ${row.allocationId ?? '-'}`]));
    const differences: string[] = [];
    for (const [id, { endpoint }] of this.#cluster.taskExecutors) {
      for (const slot of endpoint.status().slots) {
        const key = `${id}/${slot.slotNumber}`;
        const state = slot.lease === null ? slot.state : 'allocated';
        const actual = `${state} ${slot.lease?.allocationId ?? '-'}`;
        if (booked.get(key) !== actual)
          differences.push(`${key} is ${actual}, booked as ${booked.get(key) ?? 'nothing'}`);
      }
    }
    return differences;
  }

  /** Two may serve at once only for one serving deadline after leadership was taken away from outside. */
  #oneServes(): void {
    const serving = [...this.#cluster.resourceManagers.values()].filter(
      ({ process, endpoint }) => process.running && endpoint.state === 'serving',
    );
    for (const { endpoint } of serving) {
      const { epoch } = endpoint.view.status();
      if (epoch !== null) this.epochs.add(epoch);
    }
    const { clock, timing } = this.#cluster;
    const allowedUntilMs = this.#faults.lastRevocationMs + timing.servingDeadlineMs;
    if (serving.length > 1 && clock.monotonicMs() > allowedUntilMs) {
      throw new Error(`G6: two serve at once: ${serving.map(({ process }) => process.name).join(', ')}`);
    }
  }
}
