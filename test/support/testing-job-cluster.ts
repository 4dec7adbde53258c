import type { AllocationId } from '../../src/core/ids.ts';
import type { SlotGrant } from '../../src/core/messages/slots.ts';
import { QuartermasterError, type ProblemCode } from '../../src/core/problem.ts';
import { DEFAULT_TIMING } from '../../src/core/timing.ts';
import type { JobMasterEnvironment } from '../../src/jobmaster/job-master-environment.ts';
import { JobMaster } from '../../src/jobmaster/job-master.ts';
import type { Slot } from '../../src/jobmaster/slot.ts';
import { InMemoryNetwork } from '../../src/rpc/in-memory-network.ts';
import { SILENT_LOGGER } from '../../src/runtime/logger.ts';
import { NO_SECRET } from '../../src/runtime/prover.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';
import { TestingJournal } from './testing-journal.ts';
import { TestingLeader, tokenOf } from './testing-leader.ts';
import { SeededRandomness } from './testing-randomness.ts';
import { grantFor, SMALL } from './testing-slot-pool.ts';
import { TestingTaskExecutorServer } from './testing-task-executor-server.ts';

/** What a promise has come to, for a test that moves time by hand. */
export class Watched<T> {
  value: T | undefined;
  error: unknown;
  settled = false;

  constructor(promise: Promise<T>) {
    promise.then(
      (value) => {
        this.value = value;
        this.settled = true;
      },
      (error: unknown) => {
        this.error = error;
        this.settled = true;
      },
    );
  }

  get code(): ProblemCode | null {
    return this.error instanceof QuartermasterError ? this.error.code : null;
  }
}

/** Two resource managers, the first of which may lead, and one task executor, around a job master, in virtual time. */
export class TestingJobCluster {
  readonly clock = new VirtualClock();
  readonly network = new InMemoryNetwork(this.clock);
  readonly one = new TestingLeader(this.network, this.clock, 'rm1:1');
  readonly two = new TestingLeader(this.network, this.clock, 'rm2:1');
  te = new TestingTaskExecutorServer(this.network, this.clock, 'te:1', 'te');
  readonly journal = new TestingJournal();
  readonly options = { jobId: 'job', cluster: 'c', resourceManagers: ['rm1:1', 'rm2:1'] };
  readonly environment: JobMasterEnvironment = {
    clock: this.clock,
    randomness: new SeededRandomness(3, 'jm'),
    dialer: this.network.dialer('jm:1'),
    prover: NO_SECRET,
    logger: SILENT_LOGGER,
    journal: this.journal,
    timing: DEFAULT_TIMING,
  };
  #number = 0;

  /** The next slot of the task executor. */
  readonly nextGrant = (allocationId: AllocationId): SlotGrant => {
    this.#number += 1;
    return grantFor(allocationId, { slot: this.#number, number: this.#number });
  };

  /** A job master that `one` has acknowledged. */
  async started(): Promise<JobMaster> {
    this.one.token ??= tokenOf(1);
    const job = new Watched(JobMaster.register(this.options, this.environment));
    await this.clock.until(() => job.settled);
    if (job.value === undefined) throw job.error as Error;
    return job.value;
  }

  /** A job master with that many slots in hand. */
  async holding(count: number): Promise<{ job: JobMaster; slots: Slot[] }> {
    const job = await this.started();
    this.one.grantOf = this.nextGrant;
    const slots = new Watched(job.requestSlots(count, SMALL));
    await this.clock.until(() => slots.settled);
    this.one.grantOf = null;
    if (slots.value === undefined) throw slots.error as Error;
    return { job, slots: slots.value };
  }

  /** The allocation ids that a leader was asked for, in order, over all calls. */
  asked(leader: TestingLeader): AllocationId[] {
    return leader
      .received('requestSlots')
      .flatMap((body) => body.requests.map((request) => request.allocationId));
  }
}
