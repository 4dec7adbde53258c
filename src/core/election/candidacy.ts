import type { FencingToken } from '../fencing-token.ts';
import type { LeaderSessionId } from '../ids.ts';
import type {
  ConfirmOutcome,
  Deposition,
  ElectionEffect,
  ElectionEvent,
  HandOver,
  Identity,
  Observation,
} from './election-events.ts';
import { KeepAliveSchedule } from './keepalive-schedule.ts';
import { whyOutreached } from './leadership-checks.ts';
import { type Instant, LEASE_SHARE } from './leadership-clock.ts';
import type { PeerSighting } from './peer-sighting.ts';
import { Succession, type SuccessionMemory } from './succession.ts';
import { Term } from './term.ts';

/** The times that the election rests on, in milliseconds. */
export interface ElectionSettings {
  readonly leaseTtlMs: number;
  readonly leadershipCheckMs: number;
  readonly servingDeadlineMs: number;
  readonly etcdResendMs: number;
  /** After a definite refusal, the next attempt waits this long. */
  readonly retryMs: number;
  /** Silence of the head of the line after which it is challenged. */
  readonly silenceMs: number;
  /** How long a challenge stands before a silent head is deposed. */
  readonly challengeWaitMs: number;
}

/** Events that belong to one candidacy. */
export type CandidacyEvent = Extract<ElectionEvent, { readonly candidacy: number }>;

/** Why a candidacy ends, for people and for history. */
export interface EndCause {
  readonly reason: string;
  readonly evidence: string;
  /** Somebody asked for it, so it is no cause for worry. */
  readonly asked?: boolean;
  readonly request?: number;
  readonly handOver?: HandOver;
}

type Phase =
  | 'opening'
  | 'leasing'
  | 'joining'
  | 'waiting'
  | 'granted'
  | 'confirming'
  | 'leading'
  | 'ending'
  | 'over';

const HEADED: readonly Phase[] = ['granted', 'confirming', 'leading'];

/**
 * One attempt to lead: one lease, one candidate key, one leader session id, at most one grant and one term. It
 * ends once and for all; the next attempt is another object with another lease.
 */
export class Candidacy {
  readonly number: number;
  readonly #settings: ElectionSettings;
  #phase: Phase = 'opening';
  #key = '';
  #leaderSessionId: LeaderSessionId | null = null;
  #createRevision: bigint | null = null;
  #keepAlive: KeepAliveSchedule | null = null;
  #identity: Identity | null = null;
  #term: Term | null = null;
  #confirmDueMs = Infinity;
  #releasedByMs = Infinity;
  readonly #succession: Succession;
  /** Leadership was granted over somebody who is still in line, and goes only with a deposition. */
  #overSomebody = false;
  /** Whether the confirm that was sent last deposes somebody. */
  #deposes = false;

  constructor(number: number, settings: ElectionSettings, memory: SuccessionMemory, nowMs: number) {
    this.number = number;
    this.#settings = settings;
    this.#succession = new Succession(number, settings, memory, nowMs);
  }

  get leading(): boolean {
    return this.#phase === 'leading';
  }

  /** Whether leadership was granted and has not ended. */
  get granted(): boolean {
    return HEADED.includes(this.#phase);
  }

  get over(): boolean {
    return this.#phase === 'over';
  }

  get key(): string {
    return this.#key;
  }

  get token(): FencingToken | null {
    return this.#term?.token ?? null;
  }

  /** Whether an effect may begin now; notices a gap by itself. */
  mayServe(now: Instant): boolean {
    return this.#phase === 'leading' && this.#term !== null && this.#term.mayServe(now);
  }

  /** To be called first in each turn: a gap counts before whatever else the turn brings. */
  look(now: Instant): void {
    this.#succession.look(now.monotonicMs);
    if (this.#phase === 'leading') this.#term?.look(now);
  }

  /** Something was seen of another candidate. */
  sighted(sighting: PeerSighting, nowMs: number): void {
    this.#succession.take(sighting, nowMs);
  }

  /** A call to the store failed. */
  doubtStore(nowMs: number): void {
    this.#succession.doubtEtcd(nowMs);
  }

  apply(event: CandidacyEvent, now: Instant, out: ElectionEffect[]): void {
    switch (event.type) {
      case 'candidacyOpened':
        if (this.#phase !== 'opening') return;
        this.#key = event.key;
        this.#leaderSessionId = event.leaderSessionId;
        this.#phase = 'leasing';
        out.push({ type: 'grantLease', candidacy: this.number });
        return;
      case 'leaseGranted':
        if (this.#phase !== 'leasing') return;
        this.#keepAlive = new KeepAliveSchedule({ sent: event.sent, ttlMs: event.ttlMs });
        this.#phase = 'joining';
        out.push({ type: 'putCandidateKey', candidacy: this.number });
        return;
      case 'candidateKeyPut':
        this.#joined(event.createRevision, out);
        return;
      case 'candidacyFailed':
        this.end({ reason: 'could not join the line', evidence: event.reason }, now, out);
        return;
      case 'keepAliveAnswered':
        this.#keepAlive?.answered(event.outcome);
        if (event.outcome.kind === 'failed') this.doubtStore(now.monotonicMs);
        if (event.outcome.kind === 'lost') {
          this.end({ reason: 'lease lost', evidence: 'a keepalive found no lease' }, now, out);
        } else if (event.outcome.kind === 'kept') {
          this.#term?.clock.keepAliveAcknowledged(event.outcome);
        }
        return;
      case 'confirmAnswered':
        this.#confirmAnswered(event.outcome, now, out);
        return;
      case 'probed':
        if (this.#phase === 'leading') this.#term?.probed(event.check, out);
        return;
      case 'checkAnswered':
        this.#checkAnswered(event, now, out);
        return;
      case 'challengePut':
      case 'challengeRead':
      case 'deposed':
        this.#succession.apply(event, now.monotonicMs);
        return;
      case 'keyFoundGone':
        this.#keyGone(event.how, now, out);
        return;
      case 'released':
        if (this.#phase === 'ending') this.#phase = 'over';
        return;
    }
  }

  /** The contender is ready to lead under this session id. */
  confirmRequested(leaderSessionId: LeaderSessionId, nowMs: number): void {
    if (this.#phase !== 'granted' || leaderSessionId !== this.#leaderSessionId) return;
    this.#phase = 'confirming';
    this.#confirmDueMs = nowMs;
  }

  /** Does whatever is due, by what was seen last and by the time. */
  advance(
    now: Instant,
    observation: Observation | null,
    identity: Identity | null,
    out: ElectionEffect[],
  ): void {
    if (observation !== null) this.#followLine(observation, now, out);
    if (this.#phase === 'waiting' && identity !== null) this.#succeed(identity, now, out);
    this.#keepDeadlines(now, out);
    if (this.#phase === 'confirming' && now.monotonicMs >= this.#confirmDueMs)
      this.#confirm(identity, now, out);
    if (this.#phase === 'leading') this.#term?.advance(now, out);
    this.#keepLease(now, out);
    if (this.#phase === 'ending' && now.monotonicMs >= this.#releasedByMs) this.#phase = 'over';
  }

  /** Monotonic time of the next tick that is wanted. */
  nextDueMs(): number {
    if (this.#phase === 'over') return -Infinity;
    if (this.#phase === 'ending') return this.#releasedByMs;
    const { etcdResendMs } = this.#settings;
    const keepAliveMs = this.#keepAlive?.dueMs(etcdResendMs) ?? Infinity;
    if (this.#phase === 'leading' && this.#term !== null)
      return Math.min(keepAliveMs, this.#term.nextDueMs());
    if (this.#phase === 'waiting') return Math.min(keepAliveMs, this.#succession.nextDueMs());
    if (this.#phase !== 'granted' && this.#phase !== 'confirming') return keepAliveMs;
    const proof = this.#keepAlive?.proof;
    const deadlineMs = proof === undefined ? Infinity : proof.sent.monotonicMs + LEASE_SHARE * proof.ttlMs;
    return Math.min(keepAliveMs, deadlineMs, this.#confirmDueMs);
  }

  /** Ends it: what was granted is revoked in this very turn, and key and lease are given back. */
  end(cause: EndCause, now: Instant, out: ElectionEffect[]): void {
    if (this.#phase === 'ending' || this.#phase === 'over') return;
    const { granted } = this;
    // A record that stands may be that of the one ahead; ours, if there is one, goes with the lease.
    const headed = granted && !this.#overSomebody;
    const opened = this.#phase !== 'opening';
    this.#phase = opened ? 'ending' : 'over';
    this.#term = null;
    this.#releasedByMs = now.monotonicMs + (this.#keepAlive?.proof.ttlMs ?? this.#settings.leaseTtlMs);
    if (granted) out.push({ type: 'revokeLeadership', reason: cause.reason });
    if (!opened) return;
    const fields = { key: this.#key, reason: cause.reason, evidence: cause.evidence };
    out.push({
      type: 'log',
      level: granted && cause.asked !== true ? 'warn' : 'info',
      event: 'candidacy ended',
      fields,
    });
    out.push({
      type: 'release',
      candidacy: this.number,
      ending: {
        reason: cause.reason,
        evidence: cause.evidence,
        createRevision: this.#createRevision,
        granted: headed,
        request: cause.request ?? null,
        handOver: cause.handOver ?? null,
      },
    });
  }

  #joined(createRevision: bigint, out: ElectionEffect[]): void {
    if (this.#phase !== 'joining') return;
    this.#createRevision = createRevision;
    this.#phase = 'waiting';
    const fields = { key: this.#key, createRevision };
    out.push({ type: 'log', level: 'info', event: 'in line', fields });
    out.push({ type: 'observe', reason: 'own candidate key put' });
  }

  #checkAnswered(
    { check, sent, outcome }: Extract<CandidacyEvent, { readonly type: 'checkAnswered' }>,
    now: Instant,
    out: ElectionEffect[],
  ): void {
    if (outcome.kind === 'key-gone') return this.#keyGone('a check found the candidate key gone', now, out);
    if (this.#phase !== 'leading') return;
    const evidence = whyOutreached(outcome);
    if (evidence === null) this.#term?.checkAnswered(check, sent, outcome);
    else this.end({ reason: 'reaches too few task executors', evidence }, now, out);
  }

  #keyGone(evidence: string, now: Instant, out: ElectionEffect[]): void {
    this.end({ reason: 'candidate key gone', evidence }, now, out);
  }

  /** Only a line as it stood at or after the own key's creation can say anything about the own key. */
  #followLine(observation: Observation, now: Instant, out: ElectionEffect[]): void {
    const created = this.#createRevision;
    if (created === null || (this.#phase !== 'waiting' && !this.granted)) return;
    if (observation.revision < created) return;
    const index = observation.line.findIndex(
      (entry) => entry.key === this.#key && entry.createRevision === created,
    );
    if (index === -1) {
      this.#keyGone(`not in the line of revision ${observation.revision}`, now, out);
      return;
    }
    if (this.#phase === 'leading') return;
    this.#succession.follow(observation.line.slice(0, index), observation.leaderEpoch, now.monotonicMs);
    if (index > 0) return;
    if (this.#phase === 'waiting') this.#grant(now, out);
    // Whoever was to be deposed has gone by itself or by another hand: the confirm need not wait.
    else if (this.#overSomebody && this.#confirmDueMs !== Infinity) this.#confirmDueMs = now.monotonicMs;
    if (this.granted) this.#overSomebody = false;
  }

  /** Comes past the head of the line once it is known to be gone. */
  #succeed(identity: Identity, now: Instant, out: ElectionEffect[]): void {
    const deposition = this.#succession.advance(identity.generation, now.monotonicMs, out);
    if (deposition === null || !this.#grant(now, out)) return;
    this.#overSomebody = true;
    const fields = { key: this.#key, evidence: deposition.evidence };
    out.push({ type: 'log', level: 'warn', event: 'deposing the head of the line', fields });
  }

  /** A term must not begin on a lease that may have run out already. */
  #grant(now: Instant, out: ElectionEffect[]): boolean {
    if (this.#leaderSessionId === null || this.#keepAlive?.fresh(now) !== true) return false;
    this.#phase = 'granted';
    out.push({ type: 'grantLeadership', leaderSessionId: this.#leaderSessionId });
    return true;
  }

  #keepDeadlines(now: Instant, out: ElectionEffect[]): void {
    const over =
      this.#phase === 'leading'
        ? this.#term?.clock.leaseOver(now.monotonicMs) === true
        : this.granted && this.#keepAlive?.over(now.monotonicMs) === true;
    if (!over) return;
    const evidence = 'no check or no keepalive was acknowledged in time';
    this.end({ reason: 'lease deadline passed', evidence }, now, out);
  }

  #keepLease(now: Instant, out: ElectionEffect[]): void {
    const keepAlive = this.#keepAlive;
    if (keepAlive === null || this.#phase === 'ending' || this.#phase === 'over') return;
    const { etcdResendMs } = this.#settings;
    const urgent = this.#term === null ? !keepAlive.fresh(now) : this.#term.clock.wantsKeepAlive(now);
    const dueMs = urgent ? keepAlive.urgentDueMs(etcdResendMs) : keepAlive.dueMs(etcdResendMs);
    if (now.monotonicMs < dueMs) return;
    const timeoutMs = keepAlive.begin(now.monotonicMs);
    out.push({ type: 'keepAlive', candidacy: this.number, timeoutMs });
  }

  #confirm(identity: Identity | null, now: Instant, out: ElectionEffect[]): void {
    if (this.#createRevision === null || this.#leaderSessionId === null || identity === null) return;
    let deposition: Deposition | null = null;
    if (this.#overSomebody) {
      const plan = this.#succession.plan(now.monotonicMs);
      if (plan?.next !== true) return this.#headIsBack('the grounds for its deposition are gone', now, out);
      ({ deposition } = plan);
    }
    this.#confirmDueMs = Infinity;
    this.#identity = identity;
    const token = {
      generation: identity.generation,
      epoch: this.#createRevision,
      leaderSessionId: this.#leaderSessionId,
    };
    this.#deposes = deposition !== null;
    out.push({ type: 'confirm', candidacy: this.number, token, identity, deposition });
  }

  #confirmAnswered(outcome: ConfirmOutcome, now: Instant, out: ElectionEffect[]): void {
    if (this.#phase !== 'confirming') return;
    switch (outcome.kind) {
      case 'confirmed':
        this.#confirmed(outcome.sent, now, out);
        return;
      case 'key-gone':
        this.#keyGone('the confirm found the candidate key gone', now, out);
        return;
      case 'identity-differs':
        out.push({ type: 'observe', reason: 'the confirm found another identity' });
        this.end({ reason: 'identity differs', evidence: 'the confirm found another identity' }, now, out);
        return;
      case 'refused':
        out.push({ type: 'observe', reason: 'the confirm was refused' });
        // Another hand was faster with the deposition, and nobody is ahead any more.
        this.#confirmDueMs = now.monotonicMs;
        if (!this.#deposes || this.#overSomebody) this.#confirmDueMs += this.#settings.etcdResendMs;
        return;
      case 'head-answered':
        return this.#headIsBack('it answered its challenge after all', now, out);
      case 'limited':
        this.#confirmDueMs = now.monotonicMs + this.#settings.retryMs;
        return;
    }
  }

  /** Granted once, a key is never granted again, so it goes to the end of the line with a new one. */
  #headIsBack(evidence: string, now: Instant, out: ElectionEffect[]): void {
    this.end({ reason: 'the head of the line is alive', evidence }, now, out);
  }

  #confirmed(sent: Instant, now: Instant, out: ElectionEffect[]): void {
    if (this.#createRevision === null || this.#leaderSessionId === null) return;
    if (this.#keepAlive === null || this.#identity === null) return;
    const { generation, clusterId } = this.#identity;
    const token = { generation, epoch: this.#createRevision, leaderSessionId: this.#leaderSessionId };
    this.#term = new Term(this.number, token, this.#settings, sent, this.#keepAlive.proof, now);
    this.#phase = 'leading';
    this.#overSomebody = false;
    out.push({ type: 'leadershipConfirmed', candidacy: this.number, token, clusterId });
  }
}
