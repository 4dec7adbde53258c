/** One moment on both clocks of this process. */
export interface Instant {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** The most that has passed since `then` by either clock: the wall clock may shorten a deadline, never lengthen one. */
export function elapsedMs(then: Instant, now: Instant): number {
  return Math.max(now.monotonicMs - then.monotonicMs, now.wallMs - then.wallMs);
}

/** An acknowledged call that proves something from the moment it was sent. */
export interface Proof {
  readonly sent: Instant;
}

/** An acknowledged grant or keepalive and the time to live that came with it. */
export interface LeaseProof extends Proof {
  readonly ttlMs: number;
}

/** Share of the granted time to live after which a leader steps down. */
export const LEASE_SHARE = 0.9;

export interface LeadershipClockSettings {
  readonly leadershipCheckMs: number;
  readonly servingDeadlineMs: number;
}

/**
 * The two deadlines of a leader (G6), measured from send times, and the latch: after a gap of its own loop, or
 * of the wall clock against the monotonic one, nothing is served until a check begun afterwards is acknowledged.
 */
export class LeadershipClock {
  readonly #settings: LeadershipClockSettings;
  /** Longest time between two looks of a loop that is merely busy: one check is due in between. */
  readonly #loopGapMs: number;
  readonly #wallGapMs: number;
  #check: Proof;
  #lease: LeaseProof;
  #lastLook: Instant;
  #latched = false;
  /** Only a check with this number or a higher one was begun after the last gap. */
  #provingCheck = 0;
  #nextCheck = 1;

  constructor(settings: LeadershipClockSettings, check: Proof, lease: LeaseProof, now: Instant) {
    this.#settings = settings;
    this.#wallGapMs = settings.servingDeadlineMs / 2;
    this.#loopGapMs = settings.leadershipCheckMs + settings.servingDeadlineMs / 2;
    this.#check = check;
    this.#lease = lease;
    this.#lastLook = now;
    // The machine may have slept, and its clock been set back, while the confirm was under way.
    this.#latched = this.#apartMs(check.sent, now) > this.#wallGapMs;
  }

  /** Compares both clocks with the last look; every other question is to be asked after it, in the same turn. */
  look(now: Instant): void {
    const passedMs = now.monotonicMs - this.#lastLook.monotonicMs;
    const apartMs = this.#apartMs(this.#lastLook, now);
    this.#lastLook = now;
    if (passedMs <= this.#loopGapMs && apartMs <= this.#wallGapMs) return;
    this.#latched = true;
    this.#provingCheck = this.#nextCheck;
  }

  /** Number for a check that begins now. */
  beginCheck(): number {
    return this.#nextCheck++;
  }

  /** `sent` is when the acknowledged copy was sent, which may be long after its check was begun. */
  checkAcknowledged(check: number, sent: Instant): void {
    if (sent.monotonicMs >= this.#check.sent.monotonicMs) this.#check = { sent };
    if (this.#latched && check >= this.#provingCheck) this.#latched = false;
  }

  keepAliveAcknowledged(proof: LeaseProof): void {
    if (proof.sent.monotonicMs >= this.#lease.sent.monotonicMs) this.#lease = proof;
  }

  get latched(): boolean {
    return this.#latched;
  }

  /** Whether a check that has begun already can end the latch. */
  isProving(check: number): boolean {
    return check >= this.#provingCheck;
  }

  /** Whether an effect may begin now. */
  serving(now: Instant): boolean {
    return (
      !this.#latched &&
      elapsedMs(this.#check.sent, now) < this.#settings.servingDeadlineMs &&
      this.#leaseElapsedMs(now) < LEASE_SHARE * this.#lease.ttlMs
    );
  }

  /**
   * Whether the leader must step down. By the monotonic clock only: after a gap of the wall clock the latch
   * holds, and the check begun afterwards tells whether the key outlived it.
   */
  leaseOver(nowMs: number): boolean {
    return nowMs >= this.leaseDeadlineMs;
  }

  /** Whether by either clock the last keepalive is too old to serve on, so that another is due at once. */
  wantsKeepAlive(now: Instant): boolean {
    return elapsedMs(this.#lease.sent, now) >= LEASE_SHARE * this.#lease.ttlMs;
  }

  /** Monotonic. */
  get servingDeadlineMs(): number {
    return this.#check.sent.monotonicMs + this.#settings.servingDeadlineMs;
  }

  /** Monotonic; from the send of the last acknowledged check or keepalive, whichever is earlier. */
  get leaseDeadlineMs(): number {
    const sentMs = Math.min(this.#check.sent.monotonicMs, this.#lease.sent.monotonicMs);
    return sentMs + LEASE_SHARE * this.#lease.ttlMs;
  }

  /** How differently the two clocks went from then on. */
  #apartMs(then: Instant, now: Instant): number {
    return Math.abs(now.wallMs - then.wallMs - (now.monotonicMs - then.monotonicMs));
  }

  #leaseElapsedMs(now: Instant): number {
    return Math.max(elapsedMs(this.#check.sent, now), elapsedMs(this.#lease.sent, now));
  }
}
