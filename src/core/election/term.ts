import type { FencingToken } from '../fencing-token.ts';
import type { CheckOutcome, ElectionEffect } from './election-events.ts';
import { LeadershipChecks } from './leadership-checks.ts';
import {
  type Instant,
  LeadershipClock,
  type LeadershipClockSettings,
  type LeaseProof,
} from './leadership-clock.ts';

export interface TermSettings extends LeadershipClockSettings {
  readonly etcdResendMs: number;
}

/** One confirmed term of office: its checks, its deadlines, and what the contender was told of them. */
export class Term {
  readonly token: FencingToken;
  readonly clock: LeadershipClock;
  readonly #candidacy: number;
  readonly #settings: TermSettings;
  readonly #checks = new LeadershipChecks();
  readonly #purposes = new Map<number, 'look' | 'answer'>();
  #toldServing = true;
  #lastLookMs: number;

  /** The confirm, sent at `confirmSent`, is the first proof that the key stands. */
  constructor(
    candidacy: number,
    token: FencingToken,
    settings: TermSettings,
    confirmSent: Instant,
    lease: LeaseProof,
    now: Instant,
  ) {
    this.#candidacy = candidacy;
    this.token = token;
    this.#settings = settings;
    this.clock = new LeadershipClock(settings, { sent: confirmSent }, lease, now);
    this.#lastLookMs = now.monotonicMs;
  }

  look(now: Instant): void {
    this.#lastLookMs = now.monotonicMs;
    this.clock.look(now);
  }

  mayServe(now: Instant): boolean {
    this.clock.look(now);
    return this.clock.serving(now);
  }

  probed(check: number, out: ElectionEffect[]): void {
    if (!this.#checks.probed(check)) return;
    const purpose = this.#checks.challenged ? 'answer' : 'look';
    this.#purposes.set(check, purpose);
    out.push({ type: 'sendCheck', candidacy: this.#candidacy, check, token: this.token, purpose });
  }

  checkAnswered(check: number, sent: Instant, outcome: CheckOutcome): void {
    const purpose = this.#purposes.get(check);
    if (purpose === undefined) return;
    this.#purposes.delete(check);
    this.#checks.answered(check, outcome, purpose);
    // A check that finds a challenge proves nothing to others, so it feeds no deadline; its answer does.
    if (outcome.kind === 'standing') this.clock.checkAcknowledged(check, sent);
  }

  /** Begins the check that is due, and tells the contender when it was suspended or serves again. */
  advance(now: Instant, out: ElectionEffect[]): void {
    const { leadershipCheckMs, etcdResendMs } = this.#settings;
    if (this.clock.latched && !this.clock.isProving(this.#checks.lastCheck)) this.#checks.hurry();
    if (now.monotonicMs >= this.#checks.dueMs(leadershipCheckMs, etcdResendMs)) {
      const check = this.clock.beginCheck();
      this.#checks.begin(check, now.monotonicMs);
      out.push({ type: 'probe', candidacy: this.#candidacy, check });
    }
    const serving = this.clock.serving(now);
    if (serving === this.#toldServing) return;
    this.#toldServing = serving;
    const event = serving ? 'serving again' : 'suspended';
    out.push({ type: 'log', level: serving ? 'info' : 'warn', event, fields: { epoch: this.token.epoch } });
    out.push({ type: 'servingChanged', serving });
  }

  /** At least one look in each check's time, so that a gap of the loop can be told from a pause between events. */
  nextDueMs(): number {
    const { leadershipCheckMs, etcdResendMs } = this.#settings;
    const deadlineMs = this.#toldServing ? this.clock.servingDeadlineMs : Infinity;
    return Math.min(
      this.#checks.dueMs(leadershipCheckMs, etcdResendMs),
      deadlineMs,
      this.clock.leaseDeadlineMs,
      this.#lastLookMs + leadershipCheckMs,
    );
  }
}
