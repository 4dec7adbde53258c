import { compareTokens, formatToken, type FencingToken } from '../fencing-token.ts';
import type { KeyOf } from './standing-keys.ts';

/** A term by the write that confirmed it, or by its row where that write is compacted. */
export interface ConfirmedTerm {
  readonly token: FencingToken;
  readonly revision: bigint;
  /** When the watch told of the confirm; null when it is older than what was recorded. */
  readonly receivedWallMs: number | null;
  /** When its writer says to have decided it, before it was sent; null when nothing tells. */
  readonly decidedWallMs: number | null;
  /** Revision that deleted its candidate key; null while it stands. */
  endRevision: bigint | null;
}

/** The terms whose confirms a log tells of, in the order of these. */
export class ConfirmedTerms {
  readonly all: ConfirmedTerm[] = [];
  readonly #byEpoch = new Map<string, ConfirmedTerm>();
  readonly #sessions = new Map<string, ConfirmedTerm>();
  #highest: ConfirmedTerm | null = null;

  get highest(): ConfirmedTerm | null {
    return this.#highest;
  }

  find(epoch: Pick<FencingToken, 'generation' | 'epoch'>): ConfirmedTerm | null {
    return this.#byEpoch.get(formatToken(epoch)) ?? null;
  }

  bySession(leaderSessionId: string): ConfirmedTerm | null {
    return this.#sessions.get(leaderSessionId) ?? null;
  }

  add(term: ConfirmedTerm): void {
    this.all.push(term);
    this.#byEpoch.set(formatToken(term.token), term);
    this.#sessions.set(term.token.leaderSessionId, term);
    if (this.#highest === null || compareTokens(term.token, this.#highest.token) > 0) this.#highest = term;
  }

  /** Takes in the rows that stood where a log begins. */
  remember(rows: readonly KeyOf<'history'>[], standing: ReadonlySet<bigint>): void {
    for (const { is, createRevision: revision, modRevision } of rows) {
      const { row } = is;
      if (row === null || row.neverConfirmed || row.leaderSessionId === null || this.find(row) !== null)
        continue;
      const token = { generation: row.generation, epoch: row.epoch, leaderSessionId: row.leaderSessionId };
      // An open row without its key: the term was over at some time before.
      const endRevision = standing.has(row.epoch) ? null : row.ended === null ? revision + 1n : modRevision;
      this.add({ token, revision, receivedWallMs: null, decidedWallMs: null, endRevision });
    }
  }

  /** These candidate keys are gone from that revision on. */
  end(epochs: readonly bigint[], revision: bigint): void {
    if (epochs.length === 0) return;
    for (const term of this.all) {
      if (term.endRevision === null && epochs.includes(term.token.epoch)) term.endRevision = revision;
    }
  }
}
