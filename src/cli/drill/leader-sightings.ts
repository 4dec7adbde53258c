import type { StoreEvent } from '../../core/audit/store-log.ts';
import { ChallengePatience } from '../../core/election/challenge-patience.ts';
import type { DrillLeader } from '../../core/drill/drill-evidence.ts';
import { QuartermasterError } from '../../core/problem.ts';
import { type HistoryRow, parseHistoryRow, parseLeaderRecord } from '../../ha/election-records.ts';
import { DEPOSED } from '../../ha/history.ts';
import type { ClusterKeys } from '../../ha/keys.ts';

/** A confirm, and when it was seen. */
export interface SeenConfirm {
  readonly leader: DrillLeader;
  readonly atWallMs: number;
}

/** Who leads, by the writes that the store tells of. */
export class LeaderSightings {
  /** Each leader that was confirmed, in order. */
  readonly confirms: SeenConfirm[] = [];
  /** When each deposition was seen, in order. */
  readonly depositions: number[] = [];
  /** Standbys whose challenge was answered keep quiet for a while, whatever happens to the leader. */
  readonly #patience = new ChallengePatience();
  readonly #keys: ClusterKeys;
  /** Each row of history as it was written last. */
  readonly #history = new Map<string, HistoryRow>();

  constructor(keys: ClusterKeys) {
    this.#keys = keys;
  }

  /** The one that was confirmed last. */
  get leader(): DrillLeader | null {
    return this.confirms.at(-1)?.leader ?? null;
  }

  /** Whether a leader that falls silent at that time is asked about it, as far as answered challenges tell. */
  isWatched(atWallMs: number): boolean {
    return this.leader === null || this.#patience.mayAsk(this.leader.epoch, atWallMs);
  }

  /** Throws `CONFLICT` unless that one was confirmed last: a fault would strike somebody who leads no more. */
  assertStillLeads({ resourceManagerId: was, leaderSessionId }: DrillLeader): void {
    if (this.leader?.leaderSessionId === leaderSessionId) return;
    const is = this.leader?.resourceManagerId ?? 'nobody';
    const detail = `Leadership went from ${was} to ${is} before the fault, so there is nothing to measure.`;
    throw new QuartermasterError({ code: 'CONFLICT', detail });
  }

  /** What history says of the end of that term; null while it says nothing. */
  endOf({ generation, epoch }: DrillLeader): HistoryRow['ended'] {
    return this.#history.get(this.#keys.historyRow(generation, epoch))?.ended ?? null;
  }

  /** A write that was seen at that time. */
  take(event: StoreEvent, atWallMs: number): void {
    if (event.kind === 'delete') {
      const leader = this.leader;
      if (leader === null || event.key !== this.#keys.challenge(leader.generation, leader.epoch)) return;
      return this.#patience.answered(leader.epoch, atWallMs);
    }
    if (event.key.startsWith(this.#keys.history)) {
      const row = parseHistoryRow(event.value);
      if (row === null) return;
      if (row.ended?.reason === DEPOSED) this.depositions.push(atWallMs);
      this.#history.set(event.key, row);
    } else if (event.key === this.#keys.leader) {
      const record = parseLeaderRecord(event.value);
      if (record === null) return;
      const { generation, epoch, leaderSessionId } = record.token;
      const leader = { resourceManagerId: record.resourceManagerId, generation, epoch, leaderSessionId };
      this.confirms.push({ leader, atWallMs });
    }
  }
}
