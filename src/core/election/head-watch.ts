import type { ChallengePatience } from './challenge-patience.ts';
import type { ChallengePutOutcome, LineEntry } from './election-events.ts';
import type { PeerSighting } from './peer-sighting.ts';

export interface HeadWatchSettings {
  readonly silenceMs: number;
  readonly challengeWaitMs: number;
  readonly leadershipCheckMs: number;
  readonly etcdResendMs: number;
}

/** A challenge that stands, ours or somebody else's. */
interface Standing {
  readonly createRevision: bigint;
  /** The head had not been heard once: whoever has just come connects to it still. */
  readonly beforeMet: boolean;
  /** Since when it has stood without a doubt about etcd or about ourselves. */
  sinceMs: number;
  reading: boolean;
  readSentMs: number;
  readDueMs: number;
  expired: boolean;
}

/** What is to be asked of the store now. */
export type HeadQuestion =
  | { readonly type: 'put'; readonly reason: string }
  | { readonly type: 'read'; readonly createRevision: bigint };

/**
 * Listens to the head of the line: when it is silent, suspended or does not confirm, it is to be challenged, and
 * when the challenge has stood for the whole wait, it may be deposed. A gap of the own loop begins every wait anew.
 */
export class HeadWatch {
  readonly #settings: HeadWatchSettings;
  readonly #patience: ChallengePatience;
  #head: LineEntry | null = null;
  #confirmed = false;
  /** Whether it was ever heard to serve. */
  #met = false;
  /** Since when it could have confirmed. */
  #headSinceMs = 0;
  #heardMs = 0;
  #suspended = false;
  #reason = '';
  #putting = false;
  #putNotBeforeMs = -Infinity;
  #challenge: Standing | null = null;
  #lastLookMs: number;

  constructor(settings: HeadWatchSettings, patience: ChallengePatience, nowMs: number) {
    this.#settings = settings;
    this.#patience = patience;
    this.#lastLookMs = nowMs;
  }

  /** To be called first in each turn: what came in during a gap of the own loop has not been read yet. */
  look(nowMs: number): void {
    const passedMs = nowMs - this.#lastLookMs;
    this.#lastLookMs = nowMs;
    if (passedMs <= this.#settings.silenceMs / 2) return;
    this.#heardMs = nowMs;
    this.#suspended = false;
    this.doubtEtcd(nowMs);
  }

  /** Who is first in line, and whether a leader record names it. */
  follow(head: LineEntry, confirmed: boolean, nowMs: number): void {
    const same = this.#head?.key === head.key && this.#head.createRevision === head.createRevision;
    this.#confirmed = confirmed || (same && this.#confirmed);
    this.#head = head;
    if (same) return;
    this.#met = false;
    this.#headSinceMs = nowMs;
    this.#heardMs = nowMs;
    this.#suspended = false;
    this.#putting = false;
    this.#putNotBeforeMs = -Infinity;
    this.#challenge = null;
  }

  heard(pong: Extract<PeerSighting, { readonly type: 'answered' }>, nowMs: number): void {
    const head = this.#head;
    if (head === null || head.candidate?.bootNonce !== pong.bootNonce) return;
    if (pong.epoch !== head.createRevision) {
      // Alive, and on its way to the confirm; a confirmed head that says so has lost its leadership.
      if (!this.#confirmed) this.#heardMs = nowMs;
      return;
    }
    this.#confirmed = true;
    this.#suspended = pong.state !== 'serving';
    if (this.#suspended) return;
    this.#heardMs = nowMs;
    if (!this.#met) this.#patience.forgive(head.createRevision);
    this.#met = true;
  }

  /** A call to etcd failed: the head may not have been able to answer either. */
  doubtEtcd(nowMs: number): void {
    this.#headSinceMs = nowMs;
    if (this.#challenge === null) return;
    this.#challenge.sinceMs = nowMs;
    this.#challenge.expired = false;
  }

  challengePut(epoch: bigint, outcome: ChallengePutOutcome, nowMs: number): void {
    if (!this.#putting || this.#head?.createRevision !== epoch) return;
    this.#putting = false;
    this.#putNotBeforeMs = nowMs + this.#settings.etcdResendMs;
    if (outcome.kind === 'store-full') {
      // Nobody can be confirmed now, the head in line no more than we.
      this.doubtEtcd(nowMs);
      this.#putNotBeforeMs = nowMs + this.#settings.challengeWaitMs;
    }
    if (outcome.kind !== 'standing') return;
    this.#challenge = {
      createRevision: outcome.createRevision,
      beforeMet: !this.#met,
      sinceMs: nowMs,
      reading: false,
      readSentMs: nowMs,
      readDueMs: nowMs,
      expired: false,
    };
    this.#scheduleRead(this.#challenge, nowMs);
  }

  /** `standing` is null when the store did not answer. */
  challengeRead(createRevision: bigint, standing: boolean | null, nowMs: number): void {
    const challenge = this.#challenge;
    if (challenge?.createRevision !== createRevision || !challenge.reading) return;
    challenge.reading = false;
    const { challengeWaitMs } = this.#settings;
    if (standing === false) {
      this.#challenge = null;
      this.#suspended = false;
      this.#heardMs = nowMs;
      this.#headSinceMs = nowMs;
      const isNews = !(challenge.beforeMet && this.#met);
      if (this.#head !== null && isNews) this.#patience.answered(this.#head.createRevision, nowMs);
      return;
    }
    // Where a read takes so long, the head's answer may have taken as long.
    if (standing === null || nowMs - challenge.readSentMs > challengeWaitMs / 2) this.doubtEtcd(nowMs);
    else challenge.expired = challenge.readSentMs >= challenge.sinceMs + challengeWaitMs;
    this.#scheduleRead(challenge, nowMs);
  }

  /** What to ask now; the challenge itself waits `rankDelayMs` more, so that not everybody puts one at once. */
  ask(nowMs: number, rankDelayMs: number): HeadQuestion | null {
    const head = this.#head;
    if (head === null || head.candidate === null || this.#putting) return null;
    const challenge = this.#challenge;
    if (challenge !== null) {
      if (challenge.reading || nowMs < challenge.readDueMs) return null;
      challenge.reading = true;
      challenge.readSentMs = nowMs;
      return { type: 'read', createRevision: challenge.createRevision };
    }
    const reason = this.#whyAsk(nowMs - rankDelayMs);
    if (reason === null || nowMs < this.#putNotBeforeMs) return null;
    if (!this.#patience.mayAsk(head.createRevision, nowMs)) return null;
    this.#putting = true;
    this.#reason = reason;
    return { type: 'put', reason };
  }

  /** The challenge that has stood for the whole wait; null when none has. */
  get expired(): { readonly createRevision: bigint; readonly evidence: string } | null {
    if (this.#challenge?.expired !== true) return null;
    const evidence = `${this.#reason}; a challenge stood for ${this.#settings.challengeWaitMs} ms`;
    return { createRevision: this.#challenge.createRevision, evidence };
  }

  /** Monotonic time of the next look that is wanted: often enough that a gap can be told from a pause. */
  nextDueMs(): number {
    const { silenceMs } = this.#settings;
    const dues = [this.#heardMs + silenceMs];
    if (this.#challenge !== null && !this.#challenge.reading) dues.push(this.#challenge.readDueMs);
    return Math.min(this.#lastLookMs + silenceMs / 5, ...dues.filter((dueMs) => dueMs > this.#lastLookMs));
  }

  #whyAsk(nowMs: number): string | null {
    const { silenceMs, challengeWaitMs } = this.#settings;
    if (this.#suspended) return 'it said that it was suspended';
    if (nowMs - this.#heardMs >= silenceMs) return `it was silent for ${silenceMs} ms`;
    const confirmMs = 2 * (silenceMs + challengeWaitMs);
    if (this.#confirmed || nowMs - this.#headSinceMs < confirmMs) return null;
    return `it did not confirm within ${confirmMs} ms`;
  }

  /** Now and then, so that an answer or an etcd in trouble is noticed, and once right after the wait. */
  #scheduleRead(challenge: Standing, nowMs: number): void {
    const endMs = challenge.sinceMs + this.#settings.challengeWaitMs;
    const nextMs = nowMs + this.#settings.leadershipCheckMs;
    challenge.readDueMs = endMs > nowMs ? Math.min(nextMs, endMs) : nextMs;
  }
}
