import type { KeepAliveOutcome } from './election-events.ts';
import { elapsedMs, LEASE_SHARE, type Instant, type LeaseProof } from './leadership-clock.ts';

/** When a candidate keeps its lease alive: every third of the time to live, one keepalive under way at a time. */
export class KeepAliveSchedule {
  #proof: LeaseProof;
  #underWay = false;
  #lastSentMs: number;
  #lastFailed = false;

  /** The grant is the first proof that the lease lives. */
  constructor(granted: LeaseProof) {
    this.#proof = granted;
    this.#lastSentMs = granted.sent.monotonicMs;
  }

  get proof(): LeaseProof {
    return this.#proof;
  }

  /** Monotonic time of the next keepalive; a failed one is followed by another, to the next endpoint. */
  dueMs(resendMs: number): number {
    if (this.#underWay) return Infinity;
    if (this.#lastFailed) return this.#lastSentMs + resendMs;
    return this.#proof.sent.monotonicMs + this.#proof.ttlMs / 3;
  }

  /** The deadline, in milliseconds, of the one that is to be sent now; null when none is due. An urgent one comes early. */
  advance(urgent: boolean, nowMs: number, resendMs: number): number | null {
    if (nowMs < (urgent ? this.#urgentDueMs(resendMs) : this.dueMs(resendMs))) return null;
    this.#underWay = true;
    this.#lastSentMs = nowMs;
    return this.#proof.ttlMs / 3;
  }

  answered(outcome: KeepAliveOutcome): void {
    this.#underWay = false;
    this.#lastFailed = outcome.kind !== 'kept';
    if (outcome.kind === 'kept') this.#proof = { sent: outcome.sent, ttlMs: outcome.ttlMs };
  }

  /** Whether by either clock the lease can be trusted with a new term. */
  fresh(now: Instant): boolean {
    return elapsedMs(this.#proof.sent, now) < LEASE_SHARE * this.#proof.ttlMs;
  }

  /** Whether so much time has passed since the last acknowledged keepalive that nothing may rest on the lease. */
  over(nowMs: number): boolean {
    return nowMs - this.#proof.sent.monotonicMs >= LEASE_SHARE * this.#proof.ttlMs;
  }

  /** Earliest time of a keepalive that cannot wait for its turn. */
  #urgentDueMs(resendMs: number): number {
    return this.#underWay ? Infinity : this.#lastSentMs + resendMs;
  }
}
