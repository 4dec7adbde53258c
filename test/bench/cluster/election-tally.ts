import type { StoreEvent } from '../../../src/core/audit/store-log.ts';
import { parseHistoryRow } from '../../../src/ha/election-records.ts';
import { DEPOSED } from '../../../src/ha/history.ts';
import type { ClusterKeys } from '../../../src/ha/keys.ts';

/** A term that somebody ended, as its row of history says. */
export interface EndedTerm {
  readonly epoch: bigint;
  readonly reason: string;
  readonly evidence: string;
  readonly atWallMs: number;
}

/** A leader, from its confirm on. */
export interface ConfirmedLeader {
  readonly resourceManagerId: string;
  readonly epoch: bigint;
  readonly atWallMs: number;
}

/** What became of the leadership of one cluster, counted from the writes to its election, history and challenges. */
export class ElectionTally {
  readonly confirmed: ConfirmedLeader[] = [];
  /** Every end that is written down: depositions, resignations, expiries. */
  readonly ended: EndedTerm[] = [];
  /** Challenges put. */
  challenges = 0;
  /** Challenges that were deleted while no term ended: their leader has answered. */
  answered = 0;
  readonly #keys: ClusterKeys;
  readonly #closed = new Set<string>();

  constructor(keys: ClusterKeys) {
    this.#keys = keys;
  }

  get depositions(): readonly EndedTerm[] {
    return this.ended.filter(({ reason }) => reason === DEPOSED);
  }

  /** The events of whole transactions, in order, as a watch tells them; `atWallMs` is when it told them. */
  take(events: readonly StoreEvent[], atWallMs: number): void {
    for (const event of events) {
      if (event.key.startsWith(this.#keys.history)) this.#history(event, atWallMs);
    }
    for (const event of events) {
      if (!event.key.startsWith(this.#keys.challenges)) continue;
      if (event.kind === 'put') this.challenges += 1;
      else if (!this.#closed.has(termOf(event.key))) this.answered += 1;
    }
  }

  #history(event: StoreEvent, atWallMs: number): void {
    const row = event.kind === 'put' ? parseHistoryRow(event.value) : null;
    if (row === null) return;
    const { epoch } = row;
    if (row.ended === null) {
      const { resourceManagerId } = row;
      this.confirmed.push({ resourceManagerId, epoch, atWallMs });
    } else {
      this.#closed.add(termOf(event.key));
      const { reason, evidence } = row.ended;
      this.ended.push({ epoch, reason, evidence, atWallMs });
    }
  }
}

/** The keys of a term's row of history and of a challenge to it end in the same name, apart from zeros before it. */
function termOf(key: string): string {
  const name = key.slice(key.lastIndexOf('/') + 1);
  return name
    .split('-')
    .map((part) => BigInt(part))
    .join('-');
}
