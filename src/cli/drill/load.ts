import { join } from 'node:path';
import type { LoadObservation, LoadPurpose, ObservedSlot } from '../../core/drill/drill-evidence.ts';
import type { FencingToken } from '../../core/fencing-token.ts';
import { slotKey } from '../../core/ids.ts';
import { toProblem } from '../../core/problem.ts';
import type { Timing } from '../../core/timing.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { LogFields, Logger } from '../../runtime/logger.ts';
import { JobMaster, type ProfileInput, type Slot } from '../../sdk/quartermaster.ts';
import { journalAt } from '../processes/file-journal.ts';
import { preciseWallMs } from './drill-clock.ts';

/** What the load is made of; all of it is bounded. */
export interface LoadOptions {
  readonly clock: Clock;
  readonly cluster: string;
  readonly resourceManagers: readonly string[];
  /** Needed off loopback. */
  readonly secret?: string | undefined;
  readonly timing: Timing;
  /** Folder of journals. */
  readonly journals: string;
  readonly profile: ProfileInput;
  /** Slots that are held for the whole drill. */
  readonly longHeld: number;
  /** Requests that are under way at any time: more than there are free slots, so that some always wait. */
  readonly requesters: number;
  /** Called in the turn in which it was seen. */
  readonly onObservation: (observation: LoadObservation) => void;
  /** A leader has acknowledged the registration of a job: its first accepted call. */
  readonly onServed: (epoch: bigint, atWallMs: number) => void;
}

const HOLD_MS = 100;
const HURRIED_HOLD_MS = 10;
const HURRY_MS = 200;
/** After an error a requester rests, so that a broken cluster is not hammered. */
const REST_MS = 200;
const CLOSE_TIMEOUT_MS = 3_000;

interface Request {
  readonly requestId: number;
  readonly jobId: string;
  readonly purpose: LoadPurpose;
  readonly askedWallMs: number;
}

type Job = Awaited<ReturnType<typeof JobMaster.register>>;

/**
 * Jobs in this process, through the SDK that users have: one holds slots for the whole drill, one asks for slots all
 * the time, holds each briefly and gives it back.
 */
export class DrillLoad {
  readonly #options: LoadOptions;
  readonly #stopping = new AbortController();
  readonly #jobs: Job[] = [];
  readonly #requesters: Promise<void>[] = [];
  /** Asked for and without an answer. */
  readonly #waiting = new Map<number, Request>();
  readonly #longHeld = new Map<string, Slot>();
  /** Ends the brief holding of slots at once. */
  readonly #holding = new Set<() => void>();
  #nextRequest = 1;
  #hurriedUntilMs = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** Resolves when the long-held slots are in hand and requests flow. */
  async start(): Promise<void> {
    const holder = await this.#register('load-holder');
    const { longHeld, requesters } = this.#options;
    await Promise.all(Array.from({ length: longHeld }, () => this.#hold(holder)));
    const stream = await this.#register('load-stream');
    for (let n = 0; n < requesters; n += 1) this.#requesters.push(this.#request(stream));
  }

  /** Requests that have no slot yet, with the time at which they were asked. */
  get waiting(): readonly { readonly requestId: number; readonly askedWallMs: number }[] {
    return [...this.#waiting.values()];
  }

  /** Long-held slots that are in hand now. */
  get held(): number {
    return [...this.#longHeld.values()].filter((slot) => slot.held).length;
  }

  /** Gives every briefly held slot back in this turn, and holds the next ones for a shorter while. */
  hurry(): void {
    this.#hurriedUntilMs = this.#options.clock.monotonicMs() + HURRY_MS;
    for (const end of this.#holding) end();
  }

  /** Withdraws what still waits, releases everything, says goodbye. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const end of this.#holding) end();
    // A release at a task executor that is down ends with its job.
    await Promise.all(this.#jobs.map((job) => job.close({ timeoutMs: CLOSE_TIMEOUT_MS })));
    await Promise.all(this.#requesters);
  }

  async #register(jobId: string): Promise<Job> {
    const { clock, cluster, resourceManagers, secret, timing, journals } = this.#options;
    const job = await JobMaster.register({
      jobId,
      cluster,
      resourceManagers,
      secret,
      timing,
      journal: journalAt(join(journals, `${jobId}.jsonl`), clock),
      logger: new ServiceListener((epoch) => this.#options.onServed(epoch, preciseWallMs(clock))),
      signal: this.#stopping.signal,
    });
    this.#jobs.push(job);
    void job.ended.then((error) => {
      if (error === null || this.#stopping.signal.aborted) return;
      const { code, detail } = toProblem(error);
      this.#see({ type: 'job-failed', jobId, code, detail, atWallMs: preciseWallMs(clock) });
    });
    return job;
  }

  async #hold(job: Job): Promise<void> {
    const request = this.#ask(job, 'long-held');
    const slot = await this.#claim(job, request);
    if (slot === null) return;
    this.#longHeld.set(slot.allocationId, slot);
    slot.signal.addEventListener('abort', () => {
      this.#longHeld.delete(slot.allocationId);
      this.#lost(request, slot);
    });
  }

  /** Asks, holds, gives back, and again. */
  async #request(job: Job): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted && !job.signal.aborted) {
      const request = this.#ask(job, 'steady');
      const slot = await this.#claim(job, request);
      if (slot === null) {
        await this.#rest(REST_MS);
        continue;
      }
      const onLost = (): void => this.#lost(request, slot);
      slot.signal.addEventListener('abort', onLost);
      const isHurried = this.#options.clock.monotonicMs() < this.#hurriedUntilMs;
      await this.#rest(isHurried ? HURRIED_HOLD_MS : HOLD_MS);
      slot.signal.removeEventListener('abort', onLost);
      if (slot.signal.aborted) continue;
      this.#see({ type: 'released', ...this.#now(request), ...observed(slot) });
      await slot.release();
    }
  }

  #ask(job: Job, purpose: LoadPurpose): Request {
    const askedWallMs = preciseWallMs(this.#options.clock);
    const request = { requestId: this.#nextRequest, jobId: job.jobId, purpose, askedWallMs };
    this.#nextRequest += 1;
    this.#waiting.set(request.requestId, request);
    this.#see({ type: 'asked', ...this.#now(request) });
    return request;
  }

  /** The slot, or null when there was none to be had. */
  async #claim(job: Job, request: Request): Promise<Slot | null> {
    let slot: Slot | null = null;
    // The moment counts in which the slot came, not the one in which a promise was looked at.
    const onSlot = (got: Slot): void => {
      slot = got;
      this.#waiting.delete(request.requestId);
      const token: FencingToken | null = job.token;
      this.#see({ type: 'claimed', ...this.#now(request), ...observed(got), token });
    };
    try {
      await job.requestSlots(1, this.#options.profile, { onSlot, signal: this.#stopping.signal });
    } catch (error) {
      this.#waiting.delete(request.requestId);
      const { code, detail } = toProblem(error);
      const isOurs = this.#stopping.signal.aborted;
      if (isOurs) this.#see({ type: 'cancelled', ...this.#now(request) });
      else this.#see({ type: 'failed', ...this.#now(request), code, detail });
      return null;
    }
    return slot;
  }

  #lost(request: Request, slot: Slot): void {
    if (this.#stopping.signal.aborted) return;
    const { code, detail } = toProblem(slot.signal.reason);
    this.#see({ type: 'lost', ...this.#now(request), ...observed(slot), code, detail, excused: null });
  }

  /** Resolves after that time, or as soon as somebody is in a hurry. */
  #rest(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#holding.delete(end);
        resolve();
      };
      const timer: Timer = this.#options.clock.schedule(delayMs, end);
      this.#holding.add(end);
      if (this.#stopping.signal.aborted) end();
    });
  }

  #now({ requestId, jobId, purpose }: Request): {
    requestId: number;
    jobId: string;
    purpose: LoadPurpose;
    atWallMs: number;
  } {
    return { requestId, jobId, purpose, atWallMs: preciseWallMs(this.#options.clock) };
  }

  #see(observation: LoadObservation): void {
    this.#options.onObservation(observation);
  }
}

function observed({ allocationId, slotId, grantNumber }: Slot): ObservedSlot {
  return { allocationId, slot: slotKey(slotId), grantNumber };
}

/** Hears from a job's log that a leader has acknowledged it. */
class ServiceListener implements Logger {
  readonly #onServed: (epoch: bigint) => void;

  constructor(onServed: (epoch: bigint) => void) {
    this.#onServed = onServed;
  }

  log(_level: string, event: string, fields?: LogFields): void {
    const epoch = fields?.['epoch'];
    if (event === 'job-master-registered' && typeof epoch === 'bigint') this.#onServed(epoch);
  }

  child(): Logger {
    return this;
  }
}
