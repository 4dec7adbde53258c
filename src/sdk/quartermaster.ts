import { DEFAULT_TIMING, timingProblems, type Timing } from '../core/timing.ts';
import { QuartermasterError } from '../core/problem.ts';
import { JobMaster as JobMasterClient, type JobMasterOptions } from '../jobmaster/job-master.ts';
import { NO_JOURNAL, type Journal } from '../runtime/journal.ts';
import { SILENT_LOGGER, type Logger } from '../runtime/logger.ts';
import { NO_SECRET, secretProver } from '../runtime/prover.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { SystemRandomness } from '../runtime/system-randomness.ts';
import { WebSocketDialer } from '../rpc/websocket/web-socket-dialer.ts';

export type { ProfileInput } from '../jobmaster/job-master.ts';
export type { RequestSlotsOptions } from '../jobmaster/slot-gathering.ts';
export type { Slot } from '../jobmaster/slot.ts';
export type { LeasedSlot, LeasedSlotEnd } from '../taskexecutor/task-executor-options.ts';
export { TaskExecutor, type SlotProfile, type TaskExecutorOptions } from './embedded-task-executor.ts';
export { QuartermasterError, type Problem, type ProblemCode } from '../core/problem.ts';

/** How a job registers from an ordinary process; everything but the first three may be left out. */
export interface RegisterOptions extends JobMasterOptions {
  /** Differences from the default times; they must match those of the cluster. */
  readonly timing?: Partial<Timing> | undefined;
  /** The secret by which servers prove that they belong to the cluster; only their names count without. */
  readonly secret?: string | undefined;
  readonly logger?: Logger | undefined;
  readonly journal?: Journal | undefined;
}

export type JobMaster = JobMasterClient;

/** A job's client of the cluster, over WebSockets and the clock of this process. */
export const JobMaster = {
  /** As `register` of the class: resolves when a leader has acknowledged the job, rejects with a `QuartermasterError`. */
  async register(options: RegisterOptions): Promise<JobMasterClient> {
    const timing = { ...DEFAULT_TIMING, ...options.timing };
    const problems = timingProblems(timing);
    if (problems.length > 0) throw new QuartermasterError({ code: 'INVALID', detail: problems.join(' ') });
    const clock = new SystemClock();
    const job = await JobMasterClient.register(options, {
      clock,
      randomness: new SystemRandomness(),
      dialer: new WebSocketDialer(clock),
      prover: options.secret === undefined ? NO_SECRET : secretProver(options.secret),
      logger: options.logger ?? SILENT_LOGGER,
      journal: options.journal ?? NO_JOURNAL,
      timing,
    });
    return job;
  },
};
