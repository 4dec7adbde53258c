import type { BootNonce, JobId, ResourceId, ResourceManagerId } from '../../src/core/ids.ts';
import { profileMatching } from '../../src/core/slotmanager/slot-matching.ts';
import { DEFAULT_TIMING } from '../../src/core/timing.ts';
import type { CoordinationStore } from '../../src/ha/coordination-store.ts';
import type { HighAvailabilityServices } from '../../src/ha/high-availability-services.ts';
import { ClusterKeys } from '../../src/ha/keys.ts';
import { ResourceManager } from '../../src/resourcemanager/resource-manager.ts';
import type { ResourceManagerOptions } from '../../src/resourcemanager/resource-manager-options.ts';
import { InMemoryNetwork } from '../../src/rpc/in-memory-network.ts';
import { NO_SECRET } from '../../src/runtime/prover.ts';
import { SimulatedEtcd } from '../simulation/simulated-etcd.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';
import { TestingLogger } from './testing-logger.ts';
import { TestingLeaderElection } from './testing-leader-election.ts';
import { SeededRandomness } from './testing-randomness.ts';
import { TestingJobMaster, TestingTaskExecutor, TestingWorker } from './testing-worker.ts';

/** One resource manager on a network of its own, with an election that happens when the test says so. */
export class ResourceManagerBench {
  readonly clock: VirtualClock;
  readonly network: InMemoryNetwork;
  readonly etcd: SimulatedEtcd;
  readonly store: CoordinationStore;
  readonly election: TestingLeaderElection;
  readonly #address: string;
  readonly keys = new ClusterKeys('c');
  readonly logger = new TestingLogger();
  readonly fatal: Error[] = [];
  readonly resourceManager: ResourceManager;

  /** Another one of the same cluster when `beside` is given. */
  constructor(
    overrides: Partial<ResourceManagerOptions> = {},
    beside: ResourceManagerBench | null = null,
    name = 'rm-1',
    bootNonce = `${name}-boot`,
  ) {
    this.clock = beside?.clock ?? new VirtualClock();
    this.network = beside?.network ?? new InMemoryNetwork(this.clock);
    this.etcd = beside?.etcd ?? new SimulatedEtcd({ clock: this.clock });
    this.store = this.etcd.connect(name);
    this.election = new TestingLeaderElection(this.etcd, this.store, 'c');
    this.#address = `${name}:1`;
    const highAvailability: HighAvailabilityServices = {
      leaderElection: () => this.election,
      leaderRetrieval: () => {
        throw new Error('not used');
      },
      store: this.store,
      close: () => Promise.resolve(),
    };
    this.resourceManager = new ResourceManager({
      cluster: 'c',
      resourceManagerId: name as ResourceManagerId,
      address: this.#address,
      bootNonce: bootNonce as BootNonce,
      version: '0.1.0',
      clock: this.clock,
      randomness: new SeededRandomness(1, name),
      logger: this.logger,
      timing: DEFAULT_TIMING,
      highAvailability,
      dialer: this.network.dialer(this.#address),
      prover: NO_SECRET,
      matching: profileMatching,
      workerProvider: null,
      onFatal: (error) => this.fatal.push(error),
      ...overrides,
    });
    this.network.listen(this.#address, this.resourceManager.acceptor());
    this.resourceManager.start();
  }

  /** A task executor that has introduced itself; `instance` is that of its process. */
  async taskExecutor(name: string, { instance = `${name}-1`, slots = 1 } = {}): Promise<TestingTaskExecutor> {
    const worker = await TestingWorker.dial(
      this.clock,
      this.network,
      'task-executor',
      instance,
      this.#address,
    );
    const taskExecutor = new TestingTaskExecutor(worker, name, instance, slots);
    await taskExecutor.introduce();
    return taskExecutor;
  }

  /** A job master that has introduced itself. */
  async jobMaster(job: string, process = `${job}-1`): Promise<TestingJobMaster> {
    const worker = await TestingWorker.dial(this.clock, this.network, 'job-master', process, this.#address);
    const jobMaster = new TestingJobMaster(worker, job, process);
    await jobMaster.introduce();
    return jobMaster;
  }

  /** What etcd holds of a task executor; null when there is no record. */
  taskExecutorRecord(name: string): Record<string, unknown> | null {
    return this.#record(this.keys.taskExecutor(name as ResourceId));
  }

  jobMasterRecord(name: string): Record<string, unknown> | null {
    return this.#record(this.keys.jobMaster(name as JobId));
  }

  putRecord(key: string, value: unknown): void {
    this.etcd.state.transact({
      compare: [],
      success: [{ type: 'put', key, value: JSON.stringify(value) }],
      failure: [],
    });
  }

  /** Revision of the last write to a key; 0n when there is none. */
  modRevision(key: string): bigint {
    return this.#keyValue(key)?.modRevision ?? 0n;
  }

  #record(key: string): Record<string, unknown> | null {
    const found = this.#keyValue(key);
    return found === null ? null : (JSON.parse(found.value) as Record<string, unknown>);
  }

  #keyValue(key: string) {
    const { results } = this.etcd.state.transact({
      compare: [],
      success: [{ type: 'range', key }],
      failure: [],
    });
    const [first] = results;
    return first?.type === 'range' ? (first.keyValues[0] ?? null) : null;
  }
}
