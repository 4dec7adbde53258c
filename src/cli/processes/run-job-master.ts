import { QuartermasterError } from '../../core/problem.ts';
import { JobMaster } from '../../jobmaster/job-master.ts';
import type { Slot } from '../../jobmaster/slot.ts';
import { WebSocketDialer } from '../../rpc/websocket/web-socket-dialer.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { CommandContext } from '../command-context.ts';
import { aborted } from '../pause.ts';
import { proverOf } from '../settings/network-rules.ts';
import { timingOf } from '../settings/timing-settings.ts';
import { hostOf } from '../settings/value-schemas.ts';
import { profileOf, type JobMasterValues } from '../settings/worker-settings.ts';
import { journalAt } from './file-journal.ts';
import { startProcess } from './process-run.ts';

/** How long task executors and leader may take to hear of the end; what they have not heard of then lapses. */
const CLOSE_TIMEOUT_MS = 3_000;

/**
 * Runs a job that asks for slots, prints each grant and each end of a lease as a JSON line, and asks for another
 * slot in place of one that it has lost. A signal ends it: it releases what it holds. Rejects with what ended
 * the job otherwise.
 */
export async function runJobMaster(context: CommandContext, values: JobMasterValues): Promise<void> {
  const { clock, randomness } = context;
  const timing = timingOf(values);
  const prover = proverOf(values, values.resourceManagers.map(hostOf));
  const jobId = values.job ?? `job-${randomness.uuid().slice(0, 8)}`;
  const signal = context.interruption();
  const running: { job: JobMaster | null } = { job: null };
  const { logger } = startProcess(context, values, { role: 'job-master', jobId }, () => {
    const token = running.job?.token;
    return { epoch: token?.epoch, leaderSessionId: token?.leaderSessionId };
  });
  const environment = {
    clock,
    randomness,
    logger,
    timing,
    prover,
    dialer: new WebSocketDialer(clock),
    journal: journalAt(values.journal, clock),
  };
  const { cluster, resourceManagers } = values;
  let job: JobMaster;
  try {
    job = await JobMaster.register({ jobId, cluster, resourceManagers, signal }, environment);
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  running.job = job;
  const run = new JobRun(context, logger, job, values, signal);
  const interrupted = aborted(signal);
  const ended = job.ended.then((error) => {
    throw error ?? new QuartermasterError({ code: 'CANCELLED', detail: 'The job is over.' });
  });
  ended.catch(() => {});
  try {
    run.gather(values.slots);
    await Promise.race([interrupted, ended, run.failed]);
  } finally {
    await job.close({ timeoutMs: CLOSE_TIMEOUT_MS });
  }
}

/** The slots of one job on the command line. */
class JobRun {
  /** Rejects when slots that are wanted are refused, or do not come in time. */
  readonly failed: Promise<never>;
  readonly #context: CommandContext;
  readonly #logger: Logger;
  readonly #job: JobMaster;
  readonly #values: JobMasterValues;
  readonly #signal: AbortSignal;
  #fail: (error: unknown) => void = () => {};

  constructor(
    context: CommandContext,
    logger: Logger,
    job: JobMaster,
    values: JobMasterValues,
    signal: AbortSignal,
  ) {
    this.#context = context;
    this.#logger = logger;
    this.#job = job;
    this.#values = values;
    this.#signal = signal;
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {});
  }

  /** Asks for that many slots, each for itself, so that one that comes is held whatever becomes of the others. */
  gather(count: number): void {
    const profile = profileOf(this.#values);
    const hold = (slot: Slot): void => this.#hold(slot);
    for (let n = 0; n < count; n += 1) {
      this.#job.requestSlots(1, profile, { signal: this.#signal, onSlot: hold }).catch((error: unknown) => {
        if (!this.#signal.aborted) this.#fail(error);
      });
    }
  }

  #hold(slot: Slot): void {
    this.#print('granted', slot, { address: slot.address, profile: slot.profile });
    slot.signal.addEventListener('abort', () => this.#lost(slot), { once: true });
  }

  #lost(slot: Slot): void {
    const reason: unknown = slot.signal.reason;
    const detail = reason instanceof Error ? reason.message : String(reason);
    this.#print('ended', slot, { reason: detail });
    if (this.#signal.aborted || this.#job.signal.aborted) return;
    this.#logger.log('warn', 'slot-lost', { allocationId: slot.allocationId, detail });
    this.gather(1);
  }

  #print(event: string, slot: Slot, fields: Readonly<Record<string, unknown>>): void {
    const at = new Date(this.#context.clock.wallMs()).toISOString();
    const { jobId } = this.#job;
    const { allocationId, slotId, grantNumber } = slot;
    this.#context.print(
      JSON.stringify({ at, event, jobId, allocationId, ...slotId, grantNumber, ...fields }),
    );
  }
}
