import { SeededRandomness } from '../support/testing-randomness.ts';
import type { FaultCounts } from './fault-schedule.ts';
import { JobCustomer } from './job-customer.ts';
import { FailedRun, type Result } from './leader-crash.ts';
import { JournalJudge } from './journal-judge.ts';
import { LeaseAudit } from './lease-audit.ts';
import { CLUSTER, SimulatedCluster } from './simulated-cluster.ts';
import { writesOf } from './write-judge.ts';
import { SlotUsage } from './slot-usage.ts';
import { WorkerFaults } from './worker-faults.ts';

const SMALL = { cpuCores: 1, memoryMB: 512, extended: {} };
const RESOURCE_MANAGERS = ['rm-1', 'rm-2', 'rm-3'];
const TASK_EXECUTORS = ['te-1', 'te-2', 'te-3'];
/** Remembers nothing over a restart. */
const FORGETFUL = 'te-3';
const JOBS = ['job-1', 'job-2', 'job-3'];
const QUALITY = { leastDelayMs: 0.1, mostDelayMs: 3, slowShare: 0.02, stallShare: 0.0005, breakShare: 0.001 };
const TROUBLE_MS = 150_000;
const CONVERGENCE_MS = 240_000;
/** Rates of any two clocks differ by a tenth at most. */
const CLOCK_RATES = { least: 0.955, most: 1.045 };

/** A run of troubled workers. */
export interface WorkerTroubleResult extends Result {
  readonly faults: FaultCounts;
  readonly calm: boolean;
}

/**
 * Faults that strike workers, their clocks and their state, while jobs come and go; then everything must come
 * right and be given back. In every fourth run resource managers and etcd alone are struck: nobody's work may
 * end by that.
 */
export async function workerTrouble(seed: number): Promise<WorkerTroubleResult> {
  const world = new World(seed);
  try {
    return await world.run();
  } catch (error) {
    throw new FailedRun(seed, world.cluster, error, 'worker-trouble');
  }
}

interface Started {
  readonly name: string;
  readonly jobId: string;
  /** When its first registration was seen, among all. */
  registered: number | null;
  ended: boolean;
}

class World {
  readonly cluster: SimulatedCluster;
  readonly #randomness: SeededRandomness;
  readonly #calm: boolean;
  readonly #audit = new LeaseAudit();
  readonly #judge = new JournalJudge();
  readonly #usage: SlotUsage;
  readonly #customers = new Map<string, JobCustomer>();
  /** Processes in the order of their start, by the job that they work for. */
  readonly #started: Started[] = [];
  #registrations = 0;

  constructor(seed: number) {
    this.#randomness = new SeededRandomness(seed ^ 0x2c1b3c6d, 'workers');
    this.#calm = seed % 4 === 0;
    const rates = new Map<string, number>();
    this.cluster = new SimulatedCluster({
      seed,
      quality: QUALITY,
      resourceManagers: RESOURCE_MANAGERS,
      clockRate: (id) => {
        const rate =
          rates.get(id) ??
          CLOCK_RATES.least + (CLOCK_RATES.most - CLOCK_RATES.least) * this.#randomness.fraction();
        rates.set(id, rate);
        return rate;
      },
      onJournal: (process, event, fields) => {
        this.#audit.note(process, event, fields);
        this.#judge.note(this.cluster.clock.wallMs(), process, event, fields);
      },
    });
    this.#usage = new SlotUsage(this.cluster);
  }

  async run(): Promise<WorkerTroubleResult> {
    const { cluster } = this;
    const faults = new WorkerFaults(
      {
        cluster,
        randomness: this.#randomness,
        startTaskExecutor: (id, slots) => this.#startTaskExecutor(id, slots),
        startJobMaster: (name) => this.#startJobMaster(name),
        eraseState: (id) => {
          cluster.eraseState(id);
          this.#audit.forget(id);
        },
      },
      this.#calm,
    );
    for (const id of RESOURCE_MANAGERS) cluster.startResourceManager(id);
    for (const id of TASK_EXECUTORS) this.#startTaskExecutor(id, 3);
    for (const name of JOBS) this.#startJobMaster(name);
    faults.start(this.#randomness.between(300, 5_000));
    await this.#until(
      'the end of the trouble',
      () => cluster.clock.monotonicMs() >= TROUBLE_MS,
      2 * TROUBLE_MS,
    );
    faults.heal();
    await this.#come('everything to come right', () => this.#missing());
    for (const customer of this.#customers.values()) customer.close();
    await this.#come('everything to be given back', () => this.#left());
    await this.#books();
    this.#judge.check(writesOf(cluster.etcd, CLUSTER));
    return {
      digest: cluster.trace.digest(),
      events: cluster.trace.count,
      trouble: cluster.links.breaks + cluster.links.stalls,
      faults: faults.counts,
      calm: this.#calm,
    };
  }

  #startTaskExecutor(id: string, slots: number): void {
    if (id === FORGETFUL) this.#audit.forget(id);
    const profiles = Array.from({ length: slots }, () => SMALL);
    this.cluster.startTaskExecutor(id, profiles, { forgetful: id === FORGETFUL });
  }

  #startJobMaster(name: string): void {
    const jobId = name.split('/')[0] ?? name;
    this.cluster.startJobMaster(jobId, name);
    this.#started.push({ name, jobId, ended: false, registered: null });
    if (this.#customers.has(name)) return;
    const customer = new JobCustomer(this.cluster, name, this.#randomness);
    this.#customers.set(name, customer);
    customer.start();
  }

  async #come(what: string, missing: () => string | null): Promise<void> {
    await this.#until(what, () => missing() === null, CONVERGENCE_MS).catch((error: unknown) => {
      throw new Error(
        `${error instanceof Error ? error.message : String(error)} (${missing() ?? 'nothing'})`,
      );
    });
  }

  #until(what: string, condition: () => boolean, limitMs: number): Promise<void> {
    return this.cluster.clock.until(() => this.#look() && condition(), limitMs, what);
  }

  #look(): boolean {
    const { cluster } = this;
    this.#usage.check();
    this.#audit.check(cluster);
    this.#order();
    if (cluster.fatal.length > 0) throw new Error(`G8: a process ended itself: ${cluster.fatal.join('; ')}`);
    if (!this.#calm) return true;
    for (const { lost } of this.#customers.values())
      if (lost[0] !== undefined) throw new Error(`G9: ${lost[0].sentence}`);
    return true;
  }

  /** A process of a job that was registered first never puts out one that was registered after it. */
  #order(): void {
    for (const [index, entry] of this.#started.entries()) {
      if (entry.ended || this.#started.findLastIndex(({ name }) => name === entry.name) !== index) continue;
      const job = this.cluster.jobMasters.get(entry.name)?.endpoint.job ?? null;
      if (job === null) continue;
      entry.registered ??= this.#registrations++;
      if (!job.signal.aborted) continue;
      entry.ended = true;
      const { jobId, registered } = entry;
      const rivals = this.#started.filter((other) => other !== entry && other.jobId === jobId);
      if (!rivals.some((other) => other.registered === null || other.registered > registered))
        throw new Error(`G9: ${entry.name} was registered last, but has ended: ${String(job.signal.reason)}`);
    }
  }

  /** One leader, every process registered, every task executor with its slots out of quarantine. */
  #missing(): string | null {
    const { cluster } = this;
    if (cluster.leader() === null) return 'nobody leads';
    for (const [id, { process, endpoint }] of cluster.taskExecutors) {
      const { registeredWith, slots } = endpoint.status();
      if (!process.alive || registeredWith === null) return `${id} is not registered`;
      if (slots.some(({ state }) => state === 'quarantined')) return `${id} is in quarantine`;
    }
    for (const jobId of JOBS) {
      const jobs = [...cluster.jobMasters.values()].flatMap(({ process, endpoint }) =>
        process.alive && endpoint.job?.jobId === jobId ? [endpoint.job] : [],
      );
      if (jobs.every((job) => job.signal.aborted)) return `${jobId} is not registered`;
    }
    return null;
  }

  /** Nothing is held, nothing waited for, and no promise is left open. */
  #left(): string | null {
    const missing = this.#missing();
    if (missing !== null) return missing;
    for (const [name, customer] of this.#customers) {
      for (const { running, what } of customer.open.values()) {
        if (running.process.alive) return `${name} still waits for ${what}`;
      }
    }
    for (const [id, { endpoint }] of this.cluster.taskExecutors) {
      const used = endpoint.status().slots.find(({ lease }) => lease !== null);
      if (used !== undefined)
        return `${id}/${used.slotNumber} is still ${used.state} by ${used.lease?.allocationId}`;
    }
    return null;
  }

  /** The leader's books come to say that all slots are free and nobody waits. */
  async #books(): Promise<void> {
    let last = 'nothing was asked';
    const { cluster } = this;
    const endMs = cluster.clock.monotonicMs() + CONVERGENCE_MS;
    while (cluster.clock.monotonicMs() < endMs) {
      const overview = await cluster.leader()?.endpoint.view.overview();
      const statuses = [...cluster.taskExecutors.values()].map(({ endpoint }) => endpoint.status());
      const total = statuses.reduce((count, { slots }) => count + slots.length, 0);
      const { slots, pendingRequests } = overview ?? { slots: null, pendingRequests: 0 };
      if (slots?.free === total && slots.total === total && pendingRequests === 0) return;
      last = `of ${total} slots: ${JSON.stringify(slots)}, ${pendingRequests} requests wait`;
      const nextMs = cluster.clock.monotonicMs() + 500;
      await this.#until('half a second', () => cluster.clock.monotonicMs() >= nextMs, 10_000);
    }
    throw new Error(`books: the leader's do not come right: ${last}`);
  }
}
