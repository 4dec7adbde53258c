import { compareTokens } from '../../core/fencing-token.ts';
import type { DrillLeader, DrillMark, LoadObservation } from '../../core/drill/drill-evidence.ts';
import { type ConfirmedTerm, overlapOf } from '../../core/drill/overlap.ts';
import type { ExecutorTail } from './executor-tail.ts';
import type { LeaderSightings } from './leader-sightings.ts';

/** Times after a fault, in ms; null for what has not come. */
export interface TakeOver {
  readonly leaderAfter: DrillLeader;
  readonly confirmMs: number;
  readonly leaderlessMs: number;
  readonly firstGrantMs: number;
}

/** What the load and the task executors show, together with the confirms in the store. */
export class DrillObserver {
  readonly observations: LoadObservation[] = [];
  readonly marks: DrillMark[] = [];
  readonly #sightings: LeaderSightings;
  readonly #tail: ExecutorTail;
  /** First call that each leader accepted, as the jobs of the load tell. */
  readonly #served = new Map<bigint, number>();
  readonly #asked = new Map<number, number>();

  constructor(sightings: LeaderSightings, tail: ExecutorTail) {
    this.#sightings = sightings;
    this.#tail = tail;
  }

  observe(observation: LoadObservation): void {
    this.observations.push(observation);
    if (observation.type === 'asked') this.#asked.set(observation.requestId, observation.atWallMs);
  }

  served(epoch: bigint, atWallMs: number): void {
    if (!this.#served.has(epoch)) this.#served.set(epoch, atWallMs);
  }

  mark(atWallMs: number, kind: DrillMark['kind'], lane: string, label: string): void {
    this.marks.push({ atWallMs, kind, lane, label });
  }

  /** How the next leader came into office after a fault; null while that is not over. */
  takeOver(before: DrillLeader, faultAtWallMs: number): TakeOver | null {
    const confirm = this.#sightings.confirms.find(({ leader }) => compareTokens(leader, before) > 0);
    if (confirm === undefined) return null;
    const grantedAt = this.#firstGrant(before, faultAtWallMs);
    if (grantedAt === null) return null;
    const servedAt = this.#firstServed(before);
    return {
      leaderAfter: confirm.leader,
      confirmMs: confirm.atWallMs - faultAtWallMs,
      leaderlessMs: Math.min(servedAt, grantedAt) - faultAtWallMs,
      firstGrantMs: grantedAt - faultAtWallMs,
    };
  }

  /** Longest overlap among what task executors granted since then. */
  overlapSince(sinceWallMs: number): number {
    const confirms: ConfirmedTerm[] = this.#sightings.confirms.map(({ leader, atWallMs }) => ({
      token: leader,
      atWallMs,
    }));
    let longest = 0;
    // One journal is read after the other, so they are not in the order of their times.
    for (const grant of this.#tail.grants) {
      if (grant.atWallMs < sinceWallMs) continue;
      longest = Math.max(longest, overlapOf({ token: grant, atWallMs: grant.atWallMs }, confirms));
    }
    return longest;
  }

  #firstServed(before: DrillLeader): number {
    let first = Infinity;
    for (const [epoch, atWallMs] of this.#served) if (epoch > before.epoch) first = Math.min(first, atWallMs);
    return first;
  }

  /** When the first request was fulfilled that waited for a new leader and got its slot from it. */
  #firstGrant(before: DrillLeader, faultAtWallMs: number): number | null {
    let isRead = false;
    for (const claim of this.observations) {
      if (claim.type !== 'claimed' || claim.atWallMs < faultAtWallMs) continue;
      if (claim.token === null || claim.token.epoch <= before.epoch) continue;
      if (!isRead) this.#tail.read();
      isRead = true;
      // A claim may be answered when the job obeys the new leader already, and be of the old one's grant.
      const grant = this.#tail.grantOf(claim.allocationId);
      if (grant === null || grant.epoch <= before.epoch) continue;
      const confirm = this.#sightings.confirms.find(({ leader }) => leader.epoch === grant.epoch);
      const askedAt = this.#asked.get(claim.requestId) ?? Infinity;
      if (confirm !== undefined && askedAt < confirm.atWallMs) return claim.atWallMs;
    }
    return null;
  }
}
