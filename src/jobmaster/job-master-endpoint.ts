import type { FencingToken } from '../core/fencing-token.ts';
import type { AllocationId, JobId, JobMasterId } from '../core/ids.ts';
import { GapDetector } from '../core/jobmaster/gap-detector.ts';
import type { LeaseEnd, SlotPoolEffect, SlotPoolEvent } from '../core/jobmaster/slot-pool-events.ts';
import { SlotPool } from '../core/jobmaster/slot-pool.ts';
import type { RegistrationOrder } from '../core/messages/primitives.ts';
import { QuartermasterError, type Problem, type ProblemCode } from '../core/problem.ts';
import type { ResourceProfile } from '../core/resource-profile.ts';
import type { HandshakeContext } from '../rpc/handshake.ts';
import type { Timer } from '../runtime/clock.ts';
import type { LogFields } from '../runtime/logger.ts';
import { Mailbox } from '../runtime/mailbox.ts';
import type { JobMasterEnvironment } from './job-master-environment.ts';
import { LeaderRegistration, type LeaderCommand } from './leader-registration.ts';
import { SlotBook } from './slot-book.ts';
import type { RequestSlotsOptions } from './slot-gathering.ts';
import { SlotPoolCalls } from './slot-pool-calls.ts';
import type { Slot } from './slot.ts';
import { TaskExecutorConnections } from './task-executor-connections.ts';

const END_CODES: Readonly<Record<LeaseEnd, ProblemCode>> = {
  released: 'CANCELLED',
  expired: 'NO_ANSWER',
  refused: 'UNKNOWN_ALLOCATION',
  abandoned: 'SUPERSEDED',
};

/** What the endpoint tells the job master that owns it; each call within a turn. */
export interface JobMasterEndpointListener {
  /** A leader has acknowledged the job, for the first time or again. */
  onRegistered(): void;
  /** A leader refuses the job, and will do so again. */
  onRefused(problem: Problem): void;
  /** The job is over; nothing comes after this. Null when it was closed in good order. */
  onOver(problem: Problem | null): void;
}

/** Who this job master is. */
export interface JobMasterIdentity {
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
  readonly cluster: string;
  readonly resourceManagers: readonly string[];
}

/**
 * Carries out what the slot pool wants done, and tells it what comes back: one event at a time, each begun by a
 * look at the clocks.
 */
export class JobMasterEndpoint {
  readonly #identity: JobMasterIdentity;
  readonly #environment: JobMasterEnvironment;
  readonly #listener: JobMasterEndpointListener;
  readonly #mailbox: Mailbox;
  readonly #pool: SlotPool;
  readonly #book: SlotBook;
  readonly #leader: LeaderRegistration;
  readonly #taskExecutors: TaskExecutorConnections;
  readonly #calls: SlotPoolCalls;
  readonly #gaps: GapDetector;
  readonly #tickMs: number;
  #order: RegistrationOrder | null = null;
  #events: SlotPoolEvent[] = [];
  #feeding = false;
  /** Requests that no turn has looked at yet. */
  readonly #entering = new Set<(problem: Problem) => void>();
  #over = false;
  #tick: Timer | null = null;
  #closeTimer: Timer | null = null;
  #onProgress: (() => void) | null = null;

  constructor(
    identity: JobMasterIdentity,
    environment: JobMasterEnvironment,
    listener: JobMasterEndpointListener,
  ) {
    this.#identity = identity;
    this.#environment = environment;
    this.#listener = listener;
    const { clock, randomness, timing, prover } = environment;
    const { jobId, jobMasterId, cluster } = identity;
    const post = (turn: () => void): void => this.#post(turn);
    this.#mailbox = new Mailbox(clock, (error) => this.#broken(error));
    this.#pool = new SlotPool(timing);
    this.#tickMs = Math.min(250, Math.max(10, timing.slotLeaseMs / 120));
    const driftMs = timing.slotLeaseMs / 60;
    const limits = { loopMs: 2 * this.#tickMs + driftMs, driftMs };
    this.#gaps = new GapDetector(limits, clock.monotonicMs(), clock.wallMs());
    const context: HandshakeContext = {
      clock,
      randomness,
      prover,
      identity: { role: 'job-master', cluster, id: jobId, instance: jobMasterId },
    };
    this.#leader = this.#openRegistration(context);
    this.#taskExecutors = new TaskExecutorConnections(environment, context, post, {
      onConnected: (peer) => this.#feed({ type: 'peerConnected', peer }),
      onDisconnected: (peer) => this.#feed({ type: 'peerDisconnected', peer }),
    });
    this.#calls = new SlotPoolCalls({
      jobId,
      jobMasterId,
      timing,
      leader: this.#leader,
      taskExecutors: this.#taskExecutors,
      order: () => this.#order,
      feed: (event) => this.#feed(event),
    });
    this.#book = new SlotBook({
      nowMs: () => clock.monotonicMs(),
      mint: () => randomness.uuid() as AllocationId,
      submit: (allocationIds, profile, timeoutMs) => {
        const requests = allocationIds.map((allocationId) => ({ allocationId, profile }));
        this.#feed({ type: 'slotsRequested', requests, timeoutMs });
      },
      letGo: (allocationIds) => this.#feed({ type: 'allocationsReleased', allocationIds }),
      post,
      isInHand: (allocationId) => this.#isInHand(allocationId),
    });
  }

  start(): void {
    this.#leader.start();
    this.#arm();
  }

  /** For people: why no leader has acknowledged the job. */
  whyNotRegistered(): string {
    return this.#leader.whyNot();
  }

  get slots(): Slot[] {
    return this.#book.slots;
  }

  /** The highest token accepted so far; null before the first. */
  get token(): FencingToken | null {
    return this.#leader.token;
  }

  /** The input has been checked. The promise rejects with a `QuartermasterError`. */
  requestSlots(
    count: number,
    profile: ResourceProfile,
    timeoutMs: number,
    options: RequestSlotsOptions,
  ): Promise<Slot[]> {
    return new Promise((resolve, reject) => {
      const refuse = (problem: Problem): void => reject(new QuartermasterError(problem));
      this.#entering.add(refuse);
      this.#post(() => {
        this.#entering.delete(refuse);
        this.#book.request(count, profile, timeoutMs, options).then(resolve, reject);
      });
    });
  }

  /** Gives everything back and says goodbye; `onOver` comes then, or after `timeoutMs`. */
  close(timeoutMs: number): void {
    const { clock } = this.#environment;
    this.#post(() => {
      this.#closeTimer = clock.schedule(timeoutMs, () => this.#post(() => this.#finish(null)));
      this.#book.failAll({ code: 'CANCELLED', detail: 'The job master was closed.' });
      this.#onProgress = () => {
        const told = this.#pool.quiet || !this.#leader.registered;
        if (!this.#pool.empty || !told) return;
        this.#onProgress = null;
        const goodbye = { reason: 'The job has ended.' };
        this.#leader.request('disconnectJobMaster', goodbye, timeoutMs, () => this.#finish(null));
      };
      this.#feed({ type: 'closing' });
    });
  }

  /** Ends at once: nothing is released, nobody is told, the leases lapse. */
  abandon(problem: Problem | null): void {
    this.#post(() => this.#finish(problem));
  }

  #post(turn: () => void): void {
    if (this.#over) return;
    this.#mailbox.post(() => {
      if (this.#over) return;
      this.#look();
      turn();
    });
  }

  /** Notices a gap before anything else is decided. */
  #look(): void {
    const { clock } = this.#environment;
    const gap = this.#gaps.observe(clock.monotonicMs(), clock.wallMs());
    if (gap === null) return;
    this.#environment.logger.log('warn', 'gap', { lostMs: gap.lostMs });
    this.#feed({ type: 'gap', lostMs: gap.lostMs });
  }

  #isInHand(allocationId: AllocationId): boolean {
    if (this.#over) return false;
    const { clock } = this.#environment;
    const nowMs = clock.monotonicMs();
    if (this.#gaps.peek(nowMs, clock.wallMs()) === null) return this.#pool.isInHand(allocationId, nowMs);
    this.#post(() => {});
    return false;
  }

  /** Arms the next look at the clocks: when something is due, and often enough to notice a gap. */
  #arm(): void {
    const { clock } = this.#environment;
    const dueMs = this.#pool.nextDueMs() ?? Infinity;
    const delayMs = Math.max(1, Math.min(this.#tickMs, dueMs - clock.monotonicMs()));
    this.#tick = clock.schedule(delayMs, () => {
      this.#post(() => this.#feed({ type: 'tick' }));
      if (!this.#over) this.#arm();
    });
  }

  /** Hands an event to the pool and carries out its effects, before any event that these bring about. */
  #feed(event: SlotPoolEvent): void {
    this.#events.push(event);
    if (this.#feeding) return;
    this.#feeding = true;
    try {
      for (;;) {
        const next = this.#events.shift();
        if (next === undefined || this.#over) break;
        for (const effect of this.#pool.handle(next, this.#environment.clock.monotonicMs())) {
          this.#carryOut(effect);
        }
      }
    } finally {
      this.#feeding = false;
    }
    if (!this.#over) this.#onProgress?.();
  }

  #carryOut(effect: SlotPoolEffect): void {
    switch (effect.type) {
      case 'requestSlots':
      case 'cancelSlotRequests':
      case 'rejectSlot':
        return this.#calls.toLeader(effect);
      case 'connect':
        return this.#taskExecutors.open(effect.peer, effect.resourceId, effect.address);
      case 'disconnect':
        return this.#taskExecutors.drop(effect.peer);
      case 'claimSlot':
      case 'renewLeases':
      case 'releaseLeases':
        return this.#calls.toTaskExecutor(effect);
      case 'slotInHand':
        return this.#book.inHand(effect.grant);
      case 'requestFailed':
        return this.#book.requestFailed(effect.allocationId, effect.problem);
      case 'leaseEnded': {
        const { allocationId, reason, detail } = effect;
        this.#environment.logger.log(reason === 'released' ? 'debug' : 'warn', 'lease-ended', {
          allocationId,
          reason,
          detail,
        });
        return this.#book.leaseEnded(allocationId, { code: END_CODES[reason], detail });
      }
      case 'releaseFinished':
        return this.#book.releaseFinished(effect.allocationId);
      case 'jobSuperseded':
        return this.#finish(effect.problem);
      case 'record':
        return this.#record(effect.event, effect.fields);
    }
  }

  #openRegistration(context: HandshakeContext): LeaderRegistration {
    const { jobId, jobMasterId, resourceManagers: seeds } = this.#identity;
    const { logger } = this.#environment;
    return new LeaderRegistration({
      environment: this.#environment,
      context,
      seeds,
      jobId,
      jobMasterId,
      post: (turn) => this.#post(turn),
      listener: {
        onTokenAdopted: (token) => this.#record('token-adopted', { ...token }),
        onRegistered: (order, newTerm) => {
          this.#order = order;
          const { token } = this.#leader;
          const { epoch, leaderSessionId } = token ?? { epoch: null, leaderSessionId: null };
          logger.log('info', 'job-master-registered', { epoch, leaderSessionId, newTerm });
          this.#feed({ type: 'registered', newTerm });
          this.#listener.onRegistered();
        },
        onRegistrationLost: () => this.#feed({ type: 'registrationLost' }),
        onCommand: (command) => this.#command(command),
        onRequestsUnknown: (allocationIds) => this.#feed({ type: 'requestsUnknown', allocationIds }),
        onSuperseded: (problem) => this.#finish(problem),
        onRefused: (problem) => this.#listener.onRefused(problem),
        state: () => ({
          unfinished: this.#pool.unfinished(),
          held: this.#pool.held().map((grant) => grant.allocationId),
          unreachable: this.#pool.unreachable(),
        }),
      },
    });
  }

  #command(command: LeaderCommand): void {
    switch (command.type) {
      case 'notifySlotsAllocated':
        return this.#feed({ type: 'slotsAllocated', grants: command.body.grants });
      case 'failSlotRequests':
        return this.#feed({ type: 'requestsFailed', failures: command.body.failures });
      case 'checkAllocations':
        return this.#feed({ type: 'allocationsDoubted', allocationIds: command.body.allocationIds });
    }
  }

  #record(event: string, fields: LogFields): void {
    const { jobId, jobMasterId } = this.#identity;
    const atMs = this.#environment.clock.monotonicMs();
    this.#environment.journal.record(event, { atMs, jobId, jobMasterId, ...fields });
  }

  #broken(error: unknown): void {
    const detail = error instanceof Error ? error.message : String(error);
    this.#environment.logger.log('error', 'job-master-broken', { detail });
    this.#finish({ code: 'INTERNAL', detail: `The job master does not go on: ${detail}` });
  }

  /** Everything ends here: slots are out of hand, requests fail, connections close. */
  #finish(problem: Problem | null): void {
    if (this.#over) return;
    const reason: Problem = problem ?? { code: 'CANCELLED', detail: 'The job master was closed.' };
    this.#over = true;
    this.#tick?.cancel();
    this.#closeTimer?.cancel();
    this.#leader.close();
    this.#taskExecutors.close();
    this.#mailbox.close();
    const nowMs = this.#environment.clock.monotonicMs();
    for (const effect of this.#pool.handle({ type: 'abandoned', problem: reason }, nowMs)) {
      if (effect.type === 'record') this.#record(effect.event, effect.fields);
    }
    this.#book.close(reason);
    for (const refuse of this.#entering) refuse(reason);
    if (problem !== null) this.#environment.logger.log('error', 'job-ended', flat(problem));
    this.#listener.onOver(problem);
  }
}

function flat(problem: Problem): LogFields {
  return { code: problem.code, detail: problem.detail };
}
