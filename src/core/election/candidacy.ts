import { type FencingToken, sameToken } from '../fencing-token.ts';
import type { LeaderSessionId } from '../ids.ts';
import { Confirmation, type ConfirmationSettings } from './confirmation.ts';
import type {
  ConfirmOutcome,
  ElectionEffect,
  ElectionEvent,
  EndCause,
  Observation,
} from './election-events.ts';
import type { Identity } from './identity.ts';
import { KeepAliveSchedule } from './keepalive-schedule.ts';
import { whyOutreached } from './leadership-checks.ts';
import { type Instant, LEASE_SHARE } from './leadership-clock.ts';
import type { PeerSighting } from './peer-sighting.ts';
import { Succession, type SuccessionMemory } from './succession.ts';
import { Term } from './term.ts';
import { unspokenVersion } from './unspoken-version.ts';

/** The times that the election rests on, in milliseconds. */
export interface ElectionSettings extends ConfirmationSettings {
  readonly leaseTtlMs: number;
  readonly leadershipCheckMs: number;
  readonly servingDeadlineMs: number;
  /** Silence of the head of the line after which it is challenged. */
  readonly silenceMs: number;
  /** How long a challenge stands before a silent head is deposed. */
  readonly challengeWaitMs: number;
  /** Who has stepped down joins the line again after this, so that its successor has etcd and the workers for itself. */
  readonly rejoinMs: number;
}

/** Events that belong to one candidacy. */
export type CandidacyEvent = Extract<ElectionEvent, { readonly candidacy: number }>;

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
  #term: Term | null = null;
  #releasedByMs = Infinity;
  /** How many listings have been answered when one of them must have begun after the confirm; null while nothing was observed since. */
  #recordShownBy: number | null = null;
  readonly #succession: Succession;
  readonly #confirmation: Confirmation;

  constructor(number: number, settings: ElectionSettings, memory: SuccessionMemory, nowMs: number) {
    this.number = number;
    this.#settings = settings;
    this.#succession = new Succession(number, settings, memory, nowMs);
    this.#confirmation = new Confirmation(number, settings, this.#succession);
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
  sighted(sighting: PeerSighting, now: Instant, out: ElectionEffect[]): void {
    this.#succession.take(sighting, now.monotonicMs);
    const cause = this.#phase === 'confirming' ? this.#confirmation.sighted(sighting) : null;
    if (cause !== null) this.end(cause, now, out);
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
    this.#confirmation.request(nowMs);
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
    if (this.#phase === 'confirming' && now.monotonicMs >= this.#confirmation.dueMs)
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
    return Math.min(keepAliveMs, deadlineMs, this.#confirmation.dueMs);
  }

  /** Ends it: what was granted is revoked in this very turn, and key and lease are given back. */
  end(cause: EndCause, now: Instant, out: ElectionEffect[]): void {
    if (this.#phase === 'ending' || this.#phase === 'over') return;
    const { granted } = this;
    // A record that stands may be that of the one ahead; ours, if there is one, goes with the lease.
    const headed = granted && !this.#confirmation.overSomebody && cause.inLostEtcd !== true;
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
    if (this.#phase === 'leading') return this.#followRecord(observation, now, out);
    const ahead = observation.line.slice(0, index);
    const unspoken = this.#phase === 'waiting' ? unspokenVersion(ahead) : null;
    if (unspoken !== null)
      return this.end({ reason: 'protocol version not supported', evidence: unspoken }, now, out);
    this.#succession.follow(ahead, observation.leader?.epoch ?? null, now.monotonicMs);
    if (index > 0) return;
    if (this.#phase === 'waiting') this.#grant(now, out);
    else this.#confirmation.headGone(now.monotonicMs);
  }

  /**
   * The record goes with the key. Where the key stands without it, an etcd was restored from before the confirm, or
   * somebody deleted it: nobody finds this leader any more.
   */
  #followRecord({ leader, listing, fall }: Observation, now: Instant, out: ElectionEffect[]): void {
    if (this.#term === null) return;
    // The next one may have been under way when the confirm was carried out.
    this.#recordShownBy ??= listing + 2;
    const { token } = this.#term;
    if (fall !== null || listing < this.#recordShownBy || (leader !== null && sameToken(leader, token)))
      return;
    const evidence = 'a listing shows the candidate key, and no leader record of its term';
    this.end({ reason: 'leader record gone', evidence }, now, out);
  }

  /** Comes past the head of the line once it is known to be gone. */
  #succeed(identity: Identity, now: Instant, out: ElectionEffect[]): void {
    const deposition = this.#succession.advance(identity.generation, now.monotonicMs, out);
    if (deposition === null || !this.#grant(now, out)) return;
    this.#confirmation.grantedOver(deposition, out, this.#key);
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
    const urgent = this.#term === null ? !keepAlive.fresh(now) : this.#term.clock.wantsKeepAlive(now);
    const timeoutMs = keepAlive.advance(urgent, now.monotonicMs, this.#settings.etcdResendMs);
    if (timeoutMs !== null) out.push({ type: 'keepAlive', candidacy: this.number, timeoutMs });
  }

  #confirm(identity: Identity | null, now: Instant, out: ElectionEffect[]): void {
    if (this.#createRevision === null || this.#leaderSessionId === null || identity === null) return;
    const token = {
      generation: identity.generation,
      epoch: this.#createRevision,
      leaderSessionId: this.#leaderSessionId,
    };
    const cause = this.#confirmation.send(token, identity, now.monotonicMs, out);
    if (cause !== null) this.end(cause, now, out);
  }

  #confirmAnswered(outcome: ConfirmOutcome, now: Instant, out: ElectionEffect[]): void {
    if (this.#phase !== 'confirming') return;
    if (outcome.kind === 'confirmed') return this.#confirmed(outcome.sent, now, out);
    const cause = this.#confirmation.refused(outcome, now.monotonicMs, out);
    if (cause !== null) this.end(cause, now, out);
  }

  #confirmed(sent: Instant, now: Instant, out: ElectionEffect[]): void {
    const { identity } = this.#confirmation;
    if (this.#createRevision === null || this.#leaderSessionId === null) return;
    if (this.#keepAlive === null || identity === null) return;
    const { generation, clusterId } = identity;
    const token = { generation, epoch: this.#createRevision, leaderSessionId: this.#leaderSessionId };
    this.#term = new Term(this.number, token, this.#settings, sent, this.#keepAlive.proof, now);
    this.#phase = 'leading';
    this.#confirmation.headGone(now.monotonicMs);
    out.push({ type: 'leadershipConfirmed', candidacy: this.number, token, clusterId });
  }
}
