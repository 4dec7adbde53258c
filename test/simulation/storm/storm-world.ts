import type { ResourceId } from '../../../src/core/ids.ts';
import type { Timing } from '../../../src/core/timing.ts';
import type { Identity } from '../../../src/core/election/identity.ts';
import { parseIdentity } from '../../../src/ha/election-records.ts';
import { ClusterKeys } from '../../../src/ha/keys.ts';
import type { JobMaster } from '../../../src/jobmaster/job-master.ts';
import type { ResourceManager } from '../../../src/resourcemanager/resource-manager.ts';
import type { TaskExecutor } from '../../../src/taskexecutor/task-executor.ts';
import type { SimulatedProcess } from '../simulated-process.ts';
import type { SeededRandomness } from '../../support/testing-randomness.ts';
import { JobCustomer } from '../job-customer.ts';
import { CLUSTER, type Running, type SimulatedCluster } from '../simulated-cluster.ts';
import { Blame } from './blame.ts';
import { type Deprived, Overlaps } from './overlaps.ts';
import { StormOperator } from './storm-operator.ts';

const KEYS = new ClusterKeys(CLUSTER);
/** Rates of any two clocks differ by a tenth at most. */
export const CLOCK_RATES = { least: 0.95, most: 1.05 };
/** After so many lease durations a fault that is over is to blame for nothing. */
const STRUCK_LEASES = 1.2;
const SMALL = { cpuCores: 1, memoryMB: 512, extended: {} };

/** A place in the cluster at which one process after another runs. */
export interface Place<Endpoint> {
  /** Name of its processes; `name:1` is their address. */
  readonly name: string;
  readonly running: Running<Endpoint>;
}

/** Whom a fault has struck, so that it is known who may have lost something. */
export interface Struck {
  readonly workers: Blame;
  /** Links between workers, as `from>to`. */
  readonly links: Blame;
  /** Names of task executors of which two processes ran at once, or a new one gave slots while nobody remembered the one before. */
  readonly doubled: Set<string>;
}

/** Who is there at first. */
export interface Population {
  readonly resourceManagers: number;
  /** Slots of each task executor; a negative number for one that remembers nothing over a restart. */
  readonly taskExecutors: readonly number[];
  readonly jobs: number;
}

/** The cluster in a storm with the hands that faults need: who is where, how to start anew, how to make whole again. */
export class StormWorld {
  readonly cluster: SimulatedCluster;
  readonly randomness: SeededRandomness;
  readonly timing: Timing;
  readonly struck: Struck = {
    workers: new Blame(() => this.nowMs),
    links: new Blame(() => this.nowMs),
    doubled: new Set(),
  };
  readonly customers = new Map<string, JobCustomer>();
  /** Task executors that will never come back. */
  readonly retired = new Set<ResourceId>();
  /** Whose leadership was taken away from outside, or by a false proof of death. */
  readonly overlaps = new Overlaps();
  /** Addresses at which nobody seemed to listen although somebody did: who was stopped meanwhile may act on that much later. */
  readonly falselyProven = new Set<string>();
  readonly operator: StormOperator;
  /** When a fault began or ended last. */
  disturbedMs = 0;
  /** Is told which task executor has lost what it knew, and that one starts. */
  onForgotten: (resourceId: string) => void = () => {};
  onExecutorsChanged: () => void = () => {};
  /** Is told each time that something which lay in wait has struck, and when a fault has lasted long. */
  onStruck: (what: string) => void = () => {};
  /** Whether faults are over for good. */
  healed = false;
  readonly #population: Population;
  readonly #resourceIds = new Map<string, string>();
  /** When task executors began without memory, by their ids. */
  readonly #forgotMs = new Map<string, number>();
  /** The highest generation in which etcd was lost: its leaders may not know what was lost. */
  #generationLost = 0;
  readonly #resourceManagerIds = new Map<string, string>();
  /** What makes whole what a fault has broken; each runs once. */
  readonly #ends = new Set<() => void>();
  #names = 0;

  constructor(cluster: SimulatedCluster, randomness: SeededRandomness, population: Population) {
    this.cluster = cluster;
    this.randomness = randomness;
    this.timing = cluster.timing;
    this.#population = population;
    this.operator = new StormOperator(this);
  }

  static resourceManagerNames({ resourceManagers }: Population): string[] {
    return Array.from({ length: resourceManagers }, (_, index) => `rm-${index + 1}`);
  }

  begin(): void {
    for (const name of StormWorld.resourceManagerNames(this.#population)) this.startResourceManager(name);
    for (const [index] of this.#population.taskExecutors.entries()) this.startTaskExecutor(`te-${index + 1}`);
    for (let job = 1; job <= this.#population.jobs; job++) this.startJobMaster(`job-${job}`);
  }

  get nowMs(): number {
    return this.cluster.clock.monotonicMs();
  }

  get ttlMs(): number {
    return this.timing.leaseTtlSeconds * 1_000;
  }

  get resourceManagers(): Place<ResourceManager>[] {
    return places(this.cluster.resourceManagers);
  }

  get taskExecutors(): Place<TaskExecutor>[] {
    return places(this.cluster.taskExecutors);
  }

  get jobMasters(): Place<{ job: JobMaster | null }>[] {
    return places(this.cluster.jobMasters);
  }

  get workers(): Place<unknown>[] {
    return [...this.taskExecutors, ...this.jobMasters];
  }

  get everybody(): Place<unknown>[] {
    return [...this.resourceManagers, ...this.workers];
  }

  /** A name that nobody had before. */
  newName(prefix: string): string {
    this.#names += 1;
    return `${prefix}-n${this.#names}`;
  }

  resourceIdAt(name: string): string {
    return this.#resourceIds.get(name) ?? name;
  }

  resourceManagerIdAt(name: string): string {
    return this.#resourceManagerIds.get(name) ?? name;
  }

  /** `id` stays with the place. */
  startResourceManager(name: string, id?: string, advertised?: string): void {
    if (this.cluster.resourceManagers.get(name)?.process.alive === true) return;
    if (id !== undefined) this.#resourceManagerIds.set(name, id);
    this.cluster.startResourceManager(this.resourceManagerIdAt(name), advertised, name);
  }

  /** Task executors there have that id from now on. */
  nameTaskExecutor(name: string, resourceId: string): void {
    this.#resourceIds.set(name, resourceId);
  }

  /** `resourceId` is new and stays with the place; `slots` and `address` other than usual only this time. */
  startTaskExecutor(name: string, resourceId?: string, slots?: number, address?: string): void {
    if (this.cluster.taskExecutors.get(name)?.process.alive === true) return;
    if (resourceId !== undefined) {
      this.retired.add(this.resourceIdAt(name) as ResourceId);
      this.#resourceIds.set(name, resourceId);
    }
    const index = Number(/^te-(\d+)/.exec(name)?.[1] ?? 1) - 1;
    const usual = this.#population.taskExecutors[index] ?? 2;
    const count = slots ?? Math.abs(usual);
    const profiles = Array.from({ length: count }, () => SMALL);
    this.onExecutorsChanged();
    if (usual < 0) this.#forgotten(name);
    const variant = { forgetful: usual < 0, name, ...(address !== undefined && { address }) };
    this.cluster.startTaskExecutor(this.resourceIdAt(name), profiles, variant);
  }

  /** A second process of a job has a name like `job-1/b`. */
  startJobMaster(name: string): void {
    this.cluster.startJobMaster(name.split('/')[0] ?? name, name);
    if (this.customers.has(name)) return;
    const customer = new JobCustomer(this.cluster, name, this.randomness, {
      requestTimeoutMs: this.timing.slotRequestTimeoutMs,
      mostPauseMs: 1_500,
      mostHoldMs: 2 * this.timing.slotLeaseMs,
    });
    this.customers.set(name, customer);
    customer.start();
  }

  /** Makes whole again after so long, or when all faults end; what is `lasting` is counted by how long it was. */
  during(lengthMs: number, end: () => void, lasting: string | null = null): void {
    const beganMs = this.nowMs;
    const once = (): void => {
      if (!this.#ends.delete(once)) return;
      this.disturbedMs = this.nowMs;
      if (lasting !== null) this.#lasted(lasting, this.nowMs - beganMs);
      end();
    };
    this.#ends.add(once);
    this.cluster.clock.schedule(lengthMs, once);
  }

  #lasted(what: string, ms: number): void {
    if (ms > this.ttlMs) this.onStruck(`${what} of more than a TTL`);
    if (ms > this.timing.slotLeaseMs) this.onStruck(`${what} of more than a slot lease`);
  }

  /** The next so many deliveries of watches come twice, or frames with commands leave twice. */
  repeat(process: SimulatedProcess, what: 'events' | 'commands', times: number): void {
    if (what === 'events') process.repeatedEvents += times;
    else process.repeatedCommands += times;
    process.onRepeated = (it) => this.onStruck(it === 'events' ? 'watch repeated' : 'commands sent twice');
  }

  /** The disk of the task executor there is lost. */
  loseState(name: string): void {
    this.cluster.eraseState(name);
    this.#forgotten(name);
  }

  /** A second process of one id has a state of its own. */
  #forgotten(name: string): void {
    this.#forgotMs.set(this.resourceIdAt(name), this.nowMs);
    this.onForgotten(name.endsWith('.b') ? name : this.resourceIdAt(name));
  }

  /** What etcd says that the cluster is, as whoever looks at the key sees it; null while it says nothing. */
  get identity(): Identity | null {
    const { value } = this.cluster.etcd.state.range({ type: 'range', key: KEYS.identity }).keyValues[0] ?? {};
    return value === undefined ? null : parseIdentity(value);
  }

  /** etcd loses what it holds now. */
  etcdLost(): void {
    const generation = this.identity?.generation ?? 1;
    this.#generationLost = Math.max(this.#generationLost, generation);
  }

  /** To be told of each registration of the task executor there. */
  registered(name: string, generation: number): void {
    const resourceId = this.resourceIdAt(name);
    const sinceMs = this.nowMs - (this.#forgotMs.get(resourceId) ?? -Infinity);
    // Neither it, nor etcd, nor its leader knows of a former process, whose leases may still run.
    const unknown = generation <= this.#generationLost && sinceMs < 1.1 * this.timing.slotLeaseMs;
    if (unknown) this.struck.doubled.add(resourceId);
  }

  /** The worker there ends, and another process begins that knows nothing. */
  restartWithoutState(name: string): void {
    const { taskExecutors, jobMasters } = this.cluster;
    const running = taskExecutors.get(name) ?? jobMasters.get(name);
    if (running?.process.alive !== true) return;
    this.strikeWorkers(0, name);
    this.cluster.crash(running);
    if (jobMasters.has(name)) return this.startJobMaster(name);
    this.loseState(name);
    this.startTaskExecutor(name);
  }

  /** Where processes of that id run; null when none does any more. */
  placeOfExecutor(resourceId: string): string | null {
    for (const name of this.cluster.taskExecutors.keys())
      if (!name.endsWith('.b') && this.resourceIdAt(name) === resourceId) return name;
    return null;
  }

  /** Nobody goes on with the job of that process. */
  endJob(name: string): void {
    const jobId = name.split('/')[0];
    for (const [other, running] of this.cluster.jobMasters) {
      if (other.split('/')[0] !== jobId) continue;
      if (running.process.alive) this.cluster.crash(running);
      this.cluster.jobMasters.delete(other);
      this.strikeWorkers(0, other);
      this.customers.get(other)?.rest();
    }
  }

  /** Faults that have not ended. */
  get underWay(): number {
    return this.#ends.size;
  }

  /** A fault that lasts so long may cost these workers their leases, for as long as one lasts beyond it. */
  strikeWorkers(lengthMs: number, ...names: string[]): void {
    for (const name of names) this.struck.workers.strike(name, this.#blameUntil(lengthMs));
  }

  strikeLink(lengthMs: number, from: string, to: string): void {
    for (const link of [`${from}>${to}`, `${to}>${from}`])
      this.struck.links.strike(link, this.#blameUntil(lengthMs));
  }

  #blameUntil(lengthMs: number): number {
    return this.nowMs + lengthMs + STRUCK_LEASES * this.timing.slotLeaseMs;
  }

  /** To be told each deposition, and on what evidence. */
  deposed(epoch: bigint, evidence: string): void {
    const isFalse = [...this.falselyProven].some((address) => evidence.includes(`listens at ${address} `));
    if (isFalse) this.allowOverlap({ epoch });
  }

  /** Leadership is taken away from outside now, or within so long. */
  allowOverlap(whose: Deprived, lengthMs = 0): void {
    // By the slowest of clocks.
    const untilMs = this.nowMs + lengthMs + this.timing.servingDeadlineMs / CLOCK_RATES.least;
    this.overlaps.allow(whose, untilMs);
  }

  /** All faults end now, and whoever is down comes back. */
  heal(): void {
    this.healed = true;
    const { cluster } = this;
    cluster.trace.add('FAULT', 'heal');
    for (const end of this.#ends) end();
    cluster.links.heal();
    cluster.links.quality = { ...cluster.links.quality, stallShare: 0, breakShare: 0 };
    cluster.etcd.forgetRules();
    this.disturbedMs = this.nowMs;
    // What was struck before may cost a lease for as long as one lasts, and nothing afterwards.
    this.struck.workers.endBy(this.#blameUntil(0));
    this.struck.links.endBy(this.#blameUntil(0));
    for (const { name, running } of this.resourceManagers)
      if (!running.process.alive) this.startResourceManager(name);
    for (const { name, running } of this.taskExecutors)
      if (!running.process.alive) this.startTaskExecutor(name);
    for (const { name, running } of this.jobMasters) if (!running.process.alive) this.startJobMaster(name);
  }
}

function places<E>(map: ReadonlyMap<string, Running<E>>): Place<E>[] {
  return [...map].map(([name, running]) => ({ name, running }));
}
