import { z } from 'zod';
import { CLUSTER_NAME_PATTERN, type JobId, type JobMasterId } from '../core/ids.ts';
import { address, jobId as jobIdSchema, list, resourceProfile } from '../core/messages/primitives.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import { QuartermasterError, type Problem } from '../core/problem.ts';
import { parse } from '../rpc/wire-format.ts';
import { JobMasterEndpoint, type JobMasterIdentity } from './job-master-endpoint.ts';
import type { JobMasterEnvironment } from './job-master-environment.ts';
import type { RequestSlotsOptions } from './slot-gathering.ts';
import type { Slot } from './slot.ts';

/** What a slot must offer; `extended` may be left out. */
export type ProfileInput = z.input<typeof resourceProfile>;

/** What a job master is started with. */
export interface JobMasterOptions {
  /** Letters, digits, dots, dashes, underscores or colons, 128 at most. */
  readonly jobId: string;
  readonly cluster: string;
  /** `host:port` of some resource managers; the others are learned. */
  readonly resourceManagers: readonly string[];
  /** How long to wait for a leader to acknowledge the registration; the slot request timeout unless given. */
  readonly timeoutMs?: number | undefined;
  /** Gives up the registration. Once registered it has no effect. */
  readonly signal?: AbortSignal | undefined;
}

const durationMs = z
  .number()
  .positive()
  .max(7 * 24 * 3_600_000);
const optionsSchema = z.object({
  jobId: jobIdSchema,
  cluster: z.string().regex(CLUSTER_NAME_PATTERN, 'must be 1 to 63 lower case letters, digits or dashes'),
  resourceManagers: list(address, 64).refine((all) => all.length > 0, 'must name at least one'),
  timeoutMs: durationMs,
});
const requestSchema = z.object({
  count: z.int().min(1).max(10_000),
  profile: resourceProfile,
  timeoutMs: durationMs,
});

/** How long `close` waits, unless told otherwise, for task executors and leader to hear of it. */
const CLOSE_TIMEOUT_MS = 5_000;

/**
 * One job's client of the cluster (Flink's `JobMaster`): asks for slots, claims and renews them at their task
 * executors, gives them back. Its user never sees a failover of the resource managers, only a pause.
 */
export class JobMaster {
  readonly jobId: JobId;
  /** New with each process. */
  readonly jobMasterId: JobMasterId;
  /** Resolves when the job is over: with null after `close`, else with the error that ended it. Never rejects. */
  readonly ended: Promise<QuartermasterError | null>;
  readonly #environment: JobMasterEnvironment;
  readonly #endpoint: JobMasterEndpoint;
  readonly #over = new AbortController();
  readonly #registered: Promise<void>;
  #settleRegistration: (problem: Problem | null) => void = () => {};
  #resolveEnded: (error: QuartermasterError | null) => void = () => {};
  #acknowledged = false;
  #closing = false;

  /**
   * Resolves when a leader has acknowledged the job. Rejects with a `QuartermasterError`: `INVALID`, `NO_LEADER`
   * when none has in time, `CANCELLED`, `SUPERSEDED`, or what the leader refuses it for.
   */
  static async register(options: JobMasterOptions, environment: JobMasterEnvironment): Promise<JobMaster> {
    const timeoutMs = options.timeoutMs ?? environment.timing.slotRequestTimeoutMs;
    const { signal } = options;
    const input = parse(optionsSchema, { ...options, timeoutMs }, 'The job');
    if (signal?.aborted === true) throw cancelled(signal.reason);
    const jobMasterId = environment.randomness.uuid() as JobMasterId;
    const job = new JobMaster({ ...input, jobMasterId }, environment);
    const giveUp = (problem: Problem): void => job.#endpoint.abandon(problem);
    const onAbort = (): void => giveUp({ code: 'CANCELLED', detail: 'The registration was cancelled.' });
    signal?.addEventListener('abort', onAbort, { once: true });
    const timer = environment.clock.schedule(timeoutMs, () => {
      const why = job.#endpoint.whyNotRegistered();
      const detail = `No leader acknowledged the job within ${timeoutMs} ms${why === '' ? '.' : ` (${why}).`}`;
      giveUp({ code: 'NO_LEADER', detail });
    });
    try {
      await job.#registered;
      return job;
    } finally {
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  private constructor(identity: JobMasterIdentity, environment: JobMasterEnvironment) {
    this.jobId = identity.jobId;
    this.jobMasterId = identity.jobMasterId;
    this.#environment = environment;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#registered = new Promise((resolve, reject) => {
      this.#settleRegistration = (problem) =>
        problem === null ? resolve() : reject(new QuartermasterError(problem));
    });
    this.#endpoint = new JobMasterEndpoint(identity, environment, {
      onRegistered: () => {
        this.#acknowledged = true;
        this.#settleRegistration(null);
      },
      onRefused: (problem) => {
        // Once acknowledged, the job outlives whatever a later leader thinks of it.
        if (!this.#acknowledged) this.#endpoint.abandon(problem);
      },
      onOver: (problem) => this.#end(problem),
    });
    this.#endpoint.start();
  }

  /** Aborts when the job is over; the reason is the error that `ended` tells, or `CANCELLED` after `close`. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Of the leader obeyed last, the highest ever accepted; for logs. Null before the first. */
  get token(): FencingToken | null {
    return this.#endpoint.token;
  }

  /** Slots whose lease has not ended. */
  get slots(): readonly Slot[] {
    return this.#endpoint.slots;
  }

  /**
   * Asks for `count` slots and resolves when all of them are in hand. When that is not to be (timed out,
   * cancelled, refused), those that were granted are released and it rejects with a `QuartermasterError`:
   * `REQUEST_TIMEOUT`, `CANCELLED`, `INVALID`, `SUPERSEDED`, or what the leader says. A slot that is lost before
   * the last one has come is asked for anew; `options.onSlot` is told each one as it comes.
   */
  async requestSlots(
    count: number,
    profile: ProfileInput,
    options: RequestSlotsOptions = {},
  ): Promise<Slot[]> {
    const timeoutMs = options.timeoutMs ?? this.#environment.timing.slotRequestTimeoutMs;
    const input = parse(requestSchema, { count, profile, timeoutMs }, 'The slot request');
    if (options.signal?.aborted === true) throw cancelled(options.signal.reason);
    if (this.#closing || this.#over.signal.aborted) {
      throw new QuartermasterError({ code: 'UNAVAILABLE', detail: 'The job is over.' });
    }
    const slots = await this.#endpoint.requestSlots(input.count, input.profile, timeoutMs, options);
    return slots;
  }

  /**
   * Releases all slots, withdraws all requests and says goodbye. Resolves when everybody concerned has heard of
   * it, or after `timeoutMs`; what was not heard by then lapses. Never rejects.
   */
  async close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      this.#endpoint.close(options.timeoutMs ?? CLOSE_TIMEOUT_MS);
    }
    await this.ended;
  }

  #end(problem: Problem | null): void {
    const error = problem === null ? null : new QuartermasterError(problem);
    this.#settleRegistration(problem ?? { code: 'CANCELLED', detail: 'The job was closed.' });
    this.#over.abort(error ?? new QuartermasterError({ code: 'CANCELLED', detail: 'The job was closed.' }));
    this.#resolveEnded(error);
  }
}

function cancelled(reason: unknown): QuartermasterError {
  const problem: Problem = { code: 'CANCELLED', detail: 'The request was cancelled.' };
  return new QuartermasterError(problem, { cause: reason });
}
