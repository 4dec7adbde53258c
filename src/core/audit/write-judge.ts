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
 * Judges every write by the state of the line at its revision (G1, G5): leader record, registrations and history are
 * written by confirmed leaders whose candidate key stood, but for what G1 excepts. Takes writes as they come.
 */
export class WriteJudge {
  readonly #terms = new ConfirmedTerms();
  readonly #counts = { leader: 0, registration: 0, history: 0, challenge: 0, identity: 0 };
  readonly #violations: Violation[] = [];
  #standing = new StandingKeys([]);
  #unattributedDeletions = 0;
  #foreignWrites = 0;

  get violations(): readonly Violation[] {
    return this.#violations;
  }

  get verdict(): WritesVerdict {
    const { leader, registration, history, challenge, identity } = this.#counts;
    return {
      violations: this.#violations,
      terms: this.#terms.all,
      judged: {
        leaderRecords: leader,
        registrations: registration,
        historyRows: history,
        challenges: challenge,
        identities: identity,
      },
      unattributedDeletions: this.#unattributedDeletions,
      foreignWrites: this.#foreignWrites,
    };
  }

  /** What stands where a segment of the log begins. */
  begin({ revision, keys }: WriteLog[number]['base']): void {
    const terms = this.#terms;
    this.#standing = new StandingKeys(keys);
    const epochs = new Set(this.#standing.line.map(({ createRevision }) => createRevision));
    terms.end(
      terms.all.map(({ token }) => token.epoch).filter((epoch) => !epochs.has(epoch)),
      revision,
    );
    terms.remember(this.#standing.all('history'), epochs);
  }

  /** All writes of one revision, in their order. */
  take(together: readonly StoreWrite[]): void {
    const change = new Change(together, this.#standing, this.#terms);
    judgePuts(change);
    this.#unattributedDeletions += judgeDeletions(change);
    for (const { is } of change.puts) {
      if (is.of === 'foreign') this.#foreignWrites += 1;
      else if (is.of !== 'candidate') this.#counts[is.of] += 1;
    }
    this.#terms.end(
      change.removed.map(({ createRevision }) => createRevision),
      change.revision,
    );
    this.#violations.push(...change.violations);
    this.#standing.apply(together);
  }
}

/** Judges every write of a log. */
export function judgeWrites(log: WriteLog): WritesVerdict {
  const judge = new WriteJudge();
  for (const { base, writes } of log) {
    judge.begin(base);
    for (const together of byRevision(writes)) judge.take(together);
  }
  return judge.verdict;
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
