import type { ChallengePatience } from './challenge-patience.ts';
import type { DeathEvidence } from './death-evidence.ts';
import type { Deposition, ElectionEffect, ElectionEvent, LineEntry } from './election-events.ts';
import { HeadWatch, type HeadWatchSettings } from './head-watch.ts';
import type { PeerSighting } from './peer-sighting.ts';

/** Who stands behind living candidates lets them act first: each of them gets this long, in milliseconds. */
export const RANK_DELAY_MS = 20;

/** More than that are removed one transaction after the other. */
const MOST_DEAD = 20;

export interface SuccessionSettings extends HeadWatchSettings {
  readonly retryMs: number;
}

/** Answers to what was asked or done on the way past the head of the line. */
export type SuccessionEvent = Extract<
  ElectionEvent,
  { readonly type: 'challengePut' | 'challengeRead' | 'deposed' }
>;

/** What one process learns of the others, beyond its single candidacies. */
export interface SuccessionMemory {
  readonly evidence: DeathEvidence;
  readonly patience: ChallengePatience;
  /** Whether the contender tells what it sees of the others: only then does silence mean anything. */
  watching: boolean;
}

/** A deposition that is possible. */
export interface Plan {
  readonly deposition: Deposition;
  /** Whether nobody living is left ahead, so that whoever deposes takes over. */
  readonly next: boolean;
}

/** How a candidate in line comes past those ahead of it that are dead, silent or foreign. */
export class Succession {
  readonly #candidacy: number;
  readonly #settings: SuccessionSettings;
  readonly #memory: SuccessionMemory;
  readonly #headWatch: HeadWatch;
  #ahead: readonly LineEntry[] = [];
  /** Since when the head can be removed; null while it cannot. */
  #possibleSinceMs: number | null = null;
  #planDueMs = Infinity;
  #deposing = false;
  #deposeNotBeforeMs = -Infinity;

  constructor(candidacy: number, settings: SuccessionSettings, memory: SuccessionMemory, nowMs: number) {
    this.#candidacy = candidacy;
    this.#settings = settings;
    this.#memory = memory;
    this.#headWatch = new HeadWatch(settings, memory.patience, nowMs);
  }

  look(nowMs: number): void {
    this.#headWatch.look(nowMs);
  }

  /** Who stands ahead, the head first, and which epoch the leader record names. */
  follow(ahead: readonly LineEntry[], leaderEpoch: bigint | null, nowMs: number): void {
    const [before] = this.#ahead;
    const [head] = ahead;
    this.#ahead = ahead;
    if (head?.key !== before?.key || head?.createRevision !== before?.createRevision) {
      this.#possibleSinceMs = null;
    }
    if (head !== undefined) this.#headWatch.follow(head, leaderEpoch === head.createRevision, nowMs);
  }

  take(sighting: PeerSighting, nowMs: number): void {
    if (sighting.type === 'answered') this.#headWatch.heard(sighting, nowMs);
  }

  doubtEtcd(nowMs: number): void {
    this.#headWatch.doubtEtcd(nowMs);
  }

  /** What became of a question or of a deposition. */
  apply(event: SuccessionEvent, nowMs: number): void {
    switch (event.type) {
      case 'challengePut':
        return this.#headWatch.challengePut(event.epoch, event.outcome, nowMs);
      case 'challengeRead':
        return this.#headWatch.challengeRead(event.createRevision, event.standing, nowMs);
      case 'deposed': {
        const { etcdResendMs, retryMs } = this.#settings;
        const again = event.outcome === 'done' || event.outcome === 'refused';
        this.#deposing = false;
        this.#deposeNotBeforeMs = nowMs + (again ? etcdResendMs : retryMs);
        return;
      }
    }
  }

  /**
   * Asks the head what it is about, and deposes it once it is known to be gone. Returns the deposition that is due
   * when it would bring us to the head of the line: that one goes with the confirm.
   */
  advance(generation: number, nowMs: number, out: ElectionEffect[]): Deposition | null {
    this.#ask(generation, nowMs, out);
    const plan = this.plan(nowMs);
    if (plan === null || this.#deposing) return null;
    if (nowMs < Math.max(this.#planDueMs, this.#deposeNotBeforeMs)) return null;
    if (plan.next) return plan.deposition;
    this.#deposing = true;
    out.push({ type: 'depose', candidacy: this.#candidacy, generation, deposition: plan.deposition });
    return null;
  }

  /** Whom to depose; null while the head of the line is not known to be gone. */
  plan(nowMs: number): Plan | null {
    this.#planDueMs = Infinity;
    const [head, ...others] = this.#ahead;
    if (head === undefined) return null;
    const proof = this.#proofOf(head);
    const expired = proof === null ? this.#headWatch.expired : null;
    if (proof === null && expired === null) {
      this.#possibleSinceMs = null;
      return null;
    }
    this.#possibleSinceMs ??= nowMs;
    const dead = [head, ...others.filter((entry) => this.#proofOf(entry) !== null)].slice(0, MOST_DEAD);
    const living = this.#ahead.length - dead.length;
    this.#planDueMs = this.#possibleSinceMs + living * RANK_DELAY_MS;
    const evidence = dead.map((entry) => `${nameOf(entry)}: ${this.#proofOf(entry) ?? expired?.evidence}`);
    return {
      deposition: {
        dead,
        challengeRevision: expired?.createRevision ?? null,
        evidence: evidence.join('; '),
      },
      next: living === 0,
    };
  }

  /** Monotonic time of the next turn that is wanted. */
  nextDueMs(): number {
    const [head] = this.#ahead;
    if (head === undefined) return Infinity;
    const deposeMs = this.#deposing ? Infinity : Math.max(this.#planDueMs, this.#deposeNotBeforeMs);
    return Math.min(deposeMs, this.#memory.watching ? this.#headWatch.nextDueMs() : Infinity);
  }

  #ask(generation: number, nowMs: number, out: ElectionEffect[]): void {
    const [head, ...others] = this.#ahead;
    if (!this.#memory.watching || head === undefined || this.#proofOf(head) !== null) return;
    const living = others.filter((entry) => this.#proofOf(entry) === null);
    const question = this.#headWatch.ask(nowMs, living.length * RANK_DELAY_MS);
    if (question === null) return;
    const about = { candidacy: this.#candidacy, generation, head };
    if (question.type === 'put') out.push({ type: 'putChallenge', ...about, reason: question.reason });
    else out.push({ type: 'readChallenge', ...about, createRevision: question.createRevision });
  }

  #proofOf({ candidate }: LineEntry): string | null {
    if (candidate === null) return "its value is no candidate's";
    return this.#memory.evidence.proofOf(candidate);
  }
}

function nameOf({ key, candidate }: LineEntry): string {
  return candidate?.resourceManagerId ?? key;
}
