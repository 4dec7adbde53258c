import type { AllocationId, InstanceId, JobId, JobMasterId, ResourceId } from '../../../src/core/ids.ts';
import type { RequestType } from '../../../src/core/messages/catalogue.ts';
import type { LeaseKey, SlotCommand, SlotCommandResult } from '../../../src/core/messages/slots.ts';
import type { ResourceProfile } from '../../../src/core/resource-profile.ts';
import { DEFAULT_TIMING } from '../../../src/core/timing.ts';
import { InMemoryNetwork } from '../../../src/rpc/in-memory-network.ts';
import type { Outcome } from '../../../src/rpc/message-channel.ts';
import type { LogFields, Logger } from '../../../src/runtime/logger.ts';
import { NO_SECRET } from '../../../src/runtime/prover.ts';
import { TaskExecutor } from '../../../src/taskexecutor/task-executor.ts';
import type { TaskExecutorOptions } from '../../../src/taskexecutor/task-executor-options.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';
import { SeededRandomness } from '../testing-randomness.ts';
import { TestingJobMaster } from './testing-job-master.ts';
import { TestingResourceManager, tokenOf } from './testing-resource-manager.ts';

export const PROFILE: ResourceProfile = { cpuCores: 1, memoryMB: 512, extended: {} };
const TE_ADDRESS = 'te-1:7000';

/** A command that asks for a slot for `jm-1` of `job-1`, with what the test changes. */
export function requestSlot(
  slotNumber: number,
  allocationId: string,
  changes: Partial<Extract<SlotCommand, { kind: 'requestSlot' }>> = {},
): SlotCommand {
  return {
    kind: 'requestSlot',
    slotNumber,
    allocationId: allocationId as AllocationId,
    jobId: 'job-1' as JobId,
    jobMasterId: 'jm-1' as JobMasterId,
    order: { generation: 1, revision: 10n },
    profile: PROFILE,
    unclaimedMs: DEFAULT_TIMING.unclaimedMs,
    ...changes,
  };
}

/** How a job master names a lease. */
export function leaseKey(
  slotNumber: number,
  allocationId: string,
  instanceId: string,
  grantNumber: number,
): LeaseKey {
  return {
    slotNumber,
    allocationId: allocationId as AllocationId,
    instanceId: instanceId as InstanceId,
    grantNumber,
  };
}

/** What came back of a call of commands; throws when it was a problem. */
export function resultsOf(sent: {
  outcome: Outcome<'executeSlotCommands'> | null;
}): readonly SlotCommandResult[] {
  if (sent.outcome?.ok !== true) throw new Error(`no results: ${JSON.stringify(sent.outcome)}`);
  return sent.outcome.reply.results;
}

/** The code of the problem that was answered; `ok` or `no answer yet` else. */
export function codeOf(sent: { outcome: Outcome<RequestType> | null }): string {
  if (sent.outcome === null) return 'no answer yet';
  return sent.outcome.ok ? 'ok' : sent.outcome.problem.code;
}

/** One task executor after another on one address, resource managers and job masters by script, in virtual time. */
export class TaskExecutorFixture {
  readonly clock = new VirtualClock();
  readonly network = new InMemoryNetwork(this.clock);
  readonly randomness = new SeededRandomness(7);
  readonly resourceManagers: TestingResourceManager[];
  readonly fatal: Error[] = [];
  readonly logged: string[] = [];
  #instances = 0;
  #listener: { close(): void } | null = null;

  constructor(resourceManagers = 1) {
    // At the beginning of time grant numbers start at 1.
    this.clock.jumpWall(-this.clock.wallMs());
    this.resourceManagers = Array.from(
      { length: resourceManagers },
      (_, index) => new TestingResourceManager(this.network, this.randomness, `rm-${index + 1}`),
    );
  }

  get rm(): TestingResourceManager {
    const [first] = this.resourceManagers;
    if (first === undefined) throw new Error('there is no resource manager');
    return first;
  }

  /** Starts a task executor of two slots, whose instance ids are `instance-1`, `instance-2`, … */
  async start(changes: Partial<TaskExecutorOptions> = {}): Promise<TaskExecutor> {
    const taskExecutor = this.make(changes);
    const started = taskExecutor.start();
    await this.clock.advance(10);
    await started;
    return taskExecutor;
  }

  make(changes: Partial<TaskExecutorOptions> = {}): TaskExecutor {
    this.#instances += 1;
    const taskExecutor = new TaskExecutor({
      identity: {
        cluster: 'test',
        resourceId: 'te-1' as ResourceId,
        instanceId: `instance-${this.#instances}` as InstanceId,
      },
      address: TE_ADDRESS,
      seeds: this.resourceManagers.map((rm) => rm.address),
      slots: [PROFILE, PROFILE],
      provider: null,
      clock: this.clock,
      randomness: this.randomness,
      logger: this.#logger(),
      timing: DEFAULT_TIMING,
      dialer: this.network.dialer(TE_ADDRESS),
      prover: NO_SECRET,
      stateStore: null,
      slotsDieWithProcess: false,
      onFatal: (error) => this.fatal.push(error),
      ...changes,
    });
    this.#listener?.close();
    this.#listener = this.network.listen(TE_ADDRESS, taskExecutor.acceptor());
    return taskExecutor;
  }

  /** Ends it as a crash does. */
  crash(taskExecutor: TaskExecutor): void {
    this.network.crash(TE_ADDRESS);
    taskExecutor.abandon();
  }

  /** Announces the leader of that epoch and lets the registration come through. */
  async lead(epoch: number, rm = this.rm): Promise<void> {
    rm.announce(tokenOf(epoch));
    await this.clock.advance(10);
  }

  /** Starts, and registers with the leader of epoch 1. */
  async startRegistered(changes: Partial<TaskExecutorOptions> = {}): Promise<TaskExecutor> {
    const taskExecutor = await this.start(changes);
    await this.lead(1);
    return taskExecutor;
  }

  async jobMaster(revision = 10, jobMasterId = 'jm-1', jobId = 'job-1'): Promise<TestingJobMaster> {
    const jobMaster = new TestingJobMaster(this.network, this.randomness, TE_ADDRESS, {
      jobId,
      jobMasterId,
      revision,
    });
    await this.clock.advance(1);
    return jobMaster;
  }

  #logger(): Logger {
    const logger: Logger = {
      log: (level, event, fields: LogFields = {}) =>
        void this.logged.push(`${level} ${event} ${String(fields['detail'] ?? '')}`),
      child: () => logger,
    };
    return logger;
  }
}
