import type { BootNonce, ResourceId, ResourceManagerId } from '../../src/core/ids.ts';
import type { ResourceProfile } from '../../src/core/resource-profile.ts';
import { QuartermasterError } from '../../src/core/problem.ts';
import { profileMatching } from '../../src/core/slotmanager/slot-matching.ts';
import { DEFAULT_TIMING, type Timing } from '../../src/core/timing.ts';
import { parseLeaderRecord } from '../../src/ha/election-records.ts';
import { ClusterKeys } from '../../src/ha/keys.ts';
import { StoreHighAvailabilityServices } from '../../src/ha/store-high-availability-services.ts';
import { JobMaster } from '../../src/jobmaster/job-master.ts';
import { ResourceManager } from '../../src/resourcemanager/resource-manager.ts';
import type { WorkerProvider } from '../../src/resourcemanager/worker-provider.ts';
import type { Acceptor, Dialer } from '../../src/rpc/connection.ts';
import { InMemoryNetwork } from '../../src/rpc/in-memory-network.ts';
import type { Journal } from '../../src/runtime/journal.ts';
import type { LogFields } from '../../src/runtime/logger.ts';
import { NO_SECRET } from '../../src/runtime/prover.ts';
import { InMemoryStateStore } from '../../src/taskexecutor/in-memory-state-store.ts';
import { TaskExecutor } from '../../src/taskexecutor/task-executor.ts';
import { SeededRandomness } from '../support/testing-randomness.ts';
import { LossyLinks, type LinkQuality } from './lossy-links.ts';
import { SimulatedEtcd } from './simulated-etcd.ts';
import { type ProcessObserver, SimulatedProcess } from './simulated-process.ts';
import { Trace } from './trace.ts';
import { VirtualClock } from './virtual-clock.ts';

/** Its name in etcd. */
export const CLUSTER = 'simulated';

/** One process with the production class that runs in it. */
export interface Running<Endpoint> {
  readonly process: SimulatedProcess;
  readonly address: string;
  readonly endpoint: Endpoint;
}

export interface SimulatedClusterOptions {
  readonly seed: number;
  readonly quality: LinkQuality;
  readonly resourceManagers: readonly string[];
  readonly timing?: Partial<Timing>;
  /** How fast the monotonic clock of a process runs; 1 unless given. */
  readonly clockRate?: (id: string) => number;
  /** Is told each line that a task executor or a job master writes to its journal. */
  readonly onJournal?: (process: string, event: string, fields: LogFields) => void;
  /** Follows every process. */
  readonly observer?: ProcessObserver;
}

/** How a task executor differs from one with a state store that is alone under its name. */
export interface TaskExecutorVariant {
  /** Its process and address; its resource id unless given. */
  readonly name?: string;
  /** Nothing is remembered over a restart. */
  readonly forgetful?: boolean;
  /** Where it listens, if that is not named after its process. */
  readonly address?: string;
}

/**
 * A whole cluster of production classes in virtual time: etcd's model, a network that misbehaves, and
 * processes that can be killed and started again. Everything by chance comes from one seed.
 */
export class SimulatedCluster {
  readonly clock = new VirtualClock();
  readonly trace = new Trace(this.clock);
  readonly links: LossyLinks;
  readonly network: InMemoryNetwork;
  readonly etcd: SimulatedEtcd;
  readonly timing: Timing;
  readonly resourceManagers = new Map<string, Running<ResourceManager>>();
  readonly taskExecutors = new Map<string, Running<TaskExecutor>>();
  readonly jobMasters = new Map<string, Running<{ job: JobMaster | null }>>();
  /** Of the resource managers that are started from now on. */
  workerProvider: WorkerProvider | null = null;
  /** Whatever a process said when it ended itself. */
  readonly fatal: string[] = [];
  readonly #options: SimulatedClusterOptions;
  readonly #stateStores = new Map<string, InMemoryStateStore>();
  #started = 0;

  constructor(options: SimulatedClusterOptions) {
    this.#options = options;
    this.timing = { ...DEFAULT_TIMING, ...options.timing };
    this.links = new LossyLinks(this.#chance('links'), options.quality, this.clock);
    this.network = new InMemoryNetwork(this.clock, this.links.behaviour);
    const latency = this.#chance('etcd');
    this.etcd = new SimulatedEtcd({ clock: this.clock, latencyMs: () => 0.2 + 2 * latency.fraction() });
  }

  /**
   * `advertised` is where it says that it is, if that is not where it listens; `name` that of its process and
   * address, if that is not its id.
   */
  startResourceManager(id: string, advertised?: string, name = id): Running<ResourceManager> {
    const { process, randomness, address: listening } = this.#process(name);
    const address = advertised ?? listening;
    const logger = this.trace.logger(name);
    const resourceManagerId = id as ResourceManagerId;
    const bootNonce = randomness.uuid() as BootNonce;
    const store = process.store(this.etcd.connect(process.name));
    const candidate = { resourceManagerId, address, bootNonce, version: '0.1.0' };
    const { timing } = this;
    const highAvailability = new StoreHighAvailabilityServices(store, {
      cluster: CLUSTER,
      candidate,
      timing,
      clock: process.electionClock,
      randomness,
      logger,
    });
    const endpoint = new ResourceManager({
      ...candidate,
      cluster: CLUSTER,
      clock: process.clock,
      randomness,
      logger,
      timing,
      highAvailability,
      dialer: this.#dialer(process, listening),
      prover: NO_SECRET,
      matching: profileMatching,
      workerProvider: this.workerProvider,
      onFatal: (error) => this.#failed(name, error),
    });
    const probe = endpoint.probe.bind(endpoint);
    endpoint.probe = (done) => process.serve(() => probe(done));
    this.#listen(process, listening, endpoint.acceptor());
    endpoint.start();
    return this.#keep(this.resourceManagers, name, { process, address: listening, endpoint });
  }

  startTaskExecutor(
    id: string,
    slots: readonly ResourceProfile[],
    variant: TaskExecutorVariant = {},
  ): Running<TaskExecutor> {
    const name = variant.name ?? id;
    const { process, randomness, address: usual } = this.#process(name);
    const address = variant.address ?? usual;
    const disk = this.#stateStores.get(name) ?? new InMemoryStateStore(this.clock, 0.5);
    this.#stateStores.set(name, disk);
    const endpoint = new TaskExecutor({
      identity: { cluster: CLUSTER, resourceId: id as ResourceId },
      address,
      seeds: this.#seeds(),
      slots,
      provider: null,
      clock: process.clock,
      randomness,
      logger: this.trace.logger(name),
      timing: this.timing,
      dialer: this.#dialer(process, address),
      prover: NO_SECRET,
      stateStore: variant.forgetful === true ? null : process.disk(disk),
      slotsDieWithProcess: false,
      journal: this.#journal(name, process),
      onFatal: (error) => this.#failed(name, error),
    });
    this.#listen(process, address, endpoint.acceptor());
    void endpoint.start();
    return this.#keep(this.taskExecutors, name, { process, address, endpoint });
  }

  /**
   * Registers a job; `job` stays null until a leader has acknowledged it. Two processes of one job need two names.
   * One that finds itself superseded has not failed.
   */
  startJobMaster(jobId: string, name = jobId): Running<{ job: JobMaster | null }> {
    const { process, randomness, address } = this.#process(name);
    const endpoint: { job: JobMaster | null } = { job: null };
    const environment = {
      clock: process.clock,
      randomness,
      dialer: this.#dialer(process, address),
      prover: NO_SECRET,
      logger: this.trace.logger(name),
      journal: this.#journal(name, process),
      timing: this.timing,
    };
    const options = { jobId, cluster: CLUSTER, resourceManagers: this.#seeds() };
    JobMaster.register(options, environment).then(
      (job) => {
        endpoint.job = job;
      },
      (error: unknown) => {
        const superseded = error instanceof QuartermasterError && error.code === 'SUPERSEDED';
        if (!superseded) this.fatal.push(`${name}: ${String(error)}`);
      },
    );
    return this.#keep(this.jobMasters, name, { process, address, endpoint });
  }

  /** As the loss of a task executor's disk. */
  eraseState(id: string): void {
    this.#stateStores.get(id)?.erase();
  }

  /** As SIGKILL: the process stops in the middle of whatever it was doing, and its connections break. */
  crash(running: Running<unknown>): void {
    this.trace.add(running.process.name, 'CRASH');
    running.process.kill();
    this.network.crash(running.address);
  }

  /** The resource manager that serves as leader at this moment; null when none does. */
  leader(): Running<ResourceManager> | null {
    for (const running of this.resourceManagers.values()) {
      if (running.process.running && running.endpoint.state === 'serving') return running;
    }
    return null;
  }

  /** Epoch in the leader record that stands in etcd; null without one. */
  recordedEpoch(): bigint | null {
    const { keyValues } = this.etcd.state.range({ type: 'range', key: new ClusterKeys(CLUSTER).leader });
    const [keyValue] = keyValues;
    return keyValue === undefined ? null : (parseLeaderRecord(keyValue.value)?.token.epoch ?? null);
  }

  #seeds(): string[] {
    return this.#options.resourceManagers.map((id) => `${id}:1`);
  }

  #chance(what: string): SeededRandomness {
    let mixed = this.#options.seed;
    for (const letter of what) mixed = Math.imul(mixed ^ letter.charCodeAt(0), 0x01000193) >>> 0;
    return new SeededRandomness(mixed, what);
  }

  #process(id: string): { process: SimulatedProcess; randomness: SeededRandomness; address: string } {
    this.#started += 1;
    const name = `${id}#${this.#started}`;
    const rate = this.#options.clockRate?.(id) ?? 1;
    const process = new SimulatedProcess(name, this.clock, (what) => this.trace.add(name, what), rate);
    const { observer } = this.#options;
    if (observer !== undefined) process.observer = observer;
    return { process, randomness: this.#chance(name), address: `${id}:1` };
  }

  #listen(process: SimulatedProcess, address: string, acceptor: Acceptor): void {
    this.network.listen(address, process.acceptor(acceptor));
  }

  /** A process that ends itself; its place may be taken again. */
  #failed(name: string, error: Error): void {
    this.trace.add(name, `ENDS ${error.message}`);
    this.fatal.push(`${name}: ${error.message}`);
  }

  #dialer(process: SimulatedProcess, from: string): Dialer {
    const dialer = this.network.dialer(from);
    return process.dialer({
      dial: (address, listener) => {
        if (!this.links.refuses(address)) return dialer.dial(address, listener);
        this.clock.schedule(1, () =>
          listener.onClose({ kind: 'refused', detail: `nobody listens at ${address}` }),
        );
        return { peer: address, bufferedBytes: 0, send: () => {}, close: () => {} };
      },
    });
  }

  #journal(who: string, process: SimulatedProcess): Journal {
    return {
      record: (event, fields) => {
        this.trace.logger(who).log('info', `journal ${event}`, fields);
        this.#options.onJournal?.(process.name, event, fields);
      },
    };
  }

  #keep<E>(map: Map<string, Running<E>>, id: string, running: Running<E>): Running<E> {
    map.set(id, running);
    return running;
  }
}
