import { Change } from './change.ts';
import { type ConfirmedTerm, ConfirmedTerms } from './confirmed-terms.ts';
import { isOf, StandingKeys } from './standing-keys.ts';
import type { StoreWrite, WriteLog } from './store-writes.ts';
import type { Violation } from './violation.ts';
import { judgeChallenge, judgeIdentity, judgeRecord, judgeRegistration, judgeRow } from './write-rules.ts';

/** What came of judging each write by what stood before it. */
export interface WritesVerdict {
  readonly violations: readonly Violation[];
  /** In the order of their confirms. */
  readonly terms: readonly ConfirmedTerm[];
  /** Writes of each kind that were judged. */
  readonly judged: {
    readonly leaderRecords: number;
    readonly registrations: number;
    readonly historyRows: number;
    readonly challenges: number;
    readonly identities: number;
  };
  /** Deletions of records, by whom cannot be told. */
  readonly unattributedDeletions: number;
  /** Writes to keys that no rule knows. */
  readonly foreignWrites: number;
}

/**
 * Judges every write of a log by the state of the line at its revision (G1, G5): leader record, registrations and
 * history are written by confirmed leaders whose candidate key stood, but for what G1 excepts.
 */
export function judgeWrites(log: WriteLog): WritesVerdict {
  const terms = new ConfirmedTerms();
  const counts = { leader: 0, registration: 0, history: 0, challenge: 0, identity: 0 };
  const violations: Violation[] = [];
  let unattributedDeletions = 0;
  let foreignWrites = 0;
  for (const { base, writes } of log) {
    const standing = new StandingKeys(base.keys);
    const epochs = new Set(standing.line.map(({ createRevision }) => createRevision));
    terms.end(
      terms.all.map(({ token }) => token.epoch).filter((epoch) => !epochs.has(epoch)),
      base.revision,
    );
    terms.remember(standing.all('history'), epochs);
    for (const together of byRevision(writes)) {
      const change = new Change(together, standing, terms);
      judgePuts(change);
      unattributedDeletions += judgeDeletions(change);
      for (const { is } of change.puts) {
        if (is.of === 'foreign') foreignWrites += 1;
        else if (is.of !== 'candidate') counts[is.of] += 1;
      }
      terms.end(
        change.removed.map(({ createRevision }) => createRevision),
        change.revision,
      );
      violations.push(...change.violations);
      standing.apply(together);
    }
  }
  return {
    violations,
    terms: terms.all,
    judged: {
      leaderRecords: counts.leader,
      registrations: counts.registration,
      historyRows: counts.history,
      challenges: counts.challenge,
      identities: counts.identity,
    },
    unattributedDeletions,
    foreignWrites,
  };
}

function judgePuts(change: Change): void {
  for (const put of change.puts) {
    if (isOf(put, 'registration')) judgeRegistration(change, put);
    if (isOf(put, 'history')) judgeRow(change, put);
    if (isOf(put, 'challenge')) judgeChallenge(change, put);
    if (isOf(put, 'identity')) judgeIdentity(change, put);
  }
  // Last, as it makes the term a confirmed one, which none of the other writes may rely on.
  const { record } = change;
  if (record !== undefined) judgeRecord(change, record);
}

/**
 * A leader deletes a record together with a rewrite of its own candidate key, which says who it was. Returns how many
 * deletions of registrations say nothing of the kind.
 */
function judgeDeletions(change: Change): number {
  const { before, terms } = change;
  const deleted = change.writes.flatMap(({ key, put }) => {
    const stood = put === null ? before.get(key) : undefined;
    return stood !== undefined && isOf(stood, 'registration') ? [stood] : [];
  });
  if (deleted.length === 0) return 0;
  const author = change.puts.find((put) => isOf(put, 'candidate') && before.get(put.key) !== undefined);
  if (author === undefined) return deleted.length;
  const confirmed = terms.all.some(({ token }) => token.epoch === author.createRevision);
  if (!confirmed) {
    const keys = [author.key, ...deleted.map(({ key }) => key)];
    const detail = 'A candidate that was never confirmed deleted a registration.';
    change.found('G1', 'deleted-unconfirmed', detail, keys, [author.createRevision]);
  }
  return 0;
}

function byRevision(writes: readonly StoreWrite[]): StoreWrite[][] {
  const groups: StoreWrite[][] = [];
  for (const write of writes) {
    const last = groups.at(-1);
    if (last?.[0]?.revision === write.revision) last.push(write);
    else groups.push([write]);
  }
  return groups;
}
