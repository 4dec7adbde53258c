import type { Ending, HandOver } from '../core/election/election-events.ts';
import type { Identity } from '../core/election/identity.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import type { Compare, KeyValue, Operation, OperationResult, Transaction } from './coordination-store.ts';
import { formatHistoryRow, formatIdentity, formatLeaderRecord, type HistoryRow } from './election-records.ts';
import type { ClusterKeys } from './keys.ts';
import type { GuardedWrite, LeaderRecord, Registrations } from './leader-election.ts';

/** A candidate key together with the revision that created it. */
export interface StandingKey {
  readonly key: string;
  readonly createRevision: bigint;
}

/** The guard of G1: this very key, not one put there later under the same name. */
export function stands(own: StandingKey): Compare {
  return { key: own.key, target: 'create', result: '==', operand: own.createRevision };
}

/** The line, the leader record and the identity, all as of one revision. */
export function listElection(keys: ClusterKeys): Transaction {
  return {
    compare: [],
    success: [
      { type: 'range', key: keys.election, prefix: true },
      { type: 'range', key: keys.leader },
      { type: 'range', key: keys.identity },
    ],
    failure: [],
  };
}

/** Creates the first identity, only if nothing at all is there of this cluster; else reads the one there is. */
export function createIdentity(keys: ClusterKeys, identity: Identity): Transaction {
  return {
    compare: [{ key: keys.root, prefix: true, target: 'create', result: '==', operand: 0n }],
    success: [{ type: 'put', key: keys.identity, value: formatIdentity(identity) }],
    failure: [{ type: 'range', key: keys.identity }],
  };
}

/** Joins the line and reads it; a repetition finds the key there. */
export function putCandidate(
  { election }: ClusterKeys,
  key: string,
  value: string,
  leaseId: bigint,
): Transaction {
  const line: Operation = { type: 'range', key: election, prefix: true };
  return {
    compare: [{ key, target: 'create', result: '==', operand: 0n }],
    success: [{ type: 'put', key, value, lease: leaseId }, line],
    failure: [{ type: 'range', key }, line],
  };
}

/**
 * The check of a leader. The range in both branches makes the member that answers ask its quorum; without it a
 * member that is cut off would answer from its own store.
 */
export function check(keys: ClusterKeys, own: StandingKey, token: FencingToken): Transaction {
  return {
    compare: [stands(own)],
    success: [{ type: 'range', key: keys.challenge(token.generation, token.epoch) }],
    failure: [{ type: 'range', key: keys.election, prefix: true }],
  };
}

/** A leader's answer to the challenge that its check has found. */
export function answerChallenge(keys: ClusterKeys, own: StandingKey, token: FencingToken): Transaction {
  return {
    compare: [stands(own)],
    success: [{ type: 'delete', key: keys.challenge(token.generation, token.epoch) }],
    failure: [{ type: 'range', key: keys.election, prefix: true }],
  };
}

/** Of those ahead, and of their rows: a transaction takes no more than 128 compares. The nearest ones count. */
const MOST_AHEAD = 32;

/** Of each folder a confirm reads so many keys along; the rest of a larger one is read afterwards, in pages. */
const REGISTRATIONS_AT_ONCE = 200;

/** Where a row of history stands, and since which revision as it does; 0n when there is none. */
export type RowAsRead = Pick<KeyValue, 'key' | 'modRevision'>;

/** Rows of history that a confirm closes or drops, as they were read, and one that it takes to be closed unread. */
export interface HistoryWork {
  readonly closedUnread?: RowAsRead;
  readonly close: readonly { readonly keyValue: KeyValue; readonly closed: HistoryRow }[];
  readonly drop: readonly KeyValue[];
}

/** Keys that a deposition removes from the head of the line. */
export interface DeposedKeys {
  /** The head first. */
  readonly dead: readonly StandingKey[];
  /** Where challenges to the head stand. */
  readonly challengeKey: string;
  /** Create revision of the challenge that the head has not answered; null when it needed none. */
  readonly challengeRevision: bigint | null;
  /** The head's row, to be created because it never confirmed; null when there is one, which is closed. */
  readonly neverConfirmed: HistoryRow | null;
}

export interface Confirm {
  readonly own: StandingKey;
  readonly leaseId: bigint;
  readonly record: LeaderRecord;
  /** Value of the identity key, byte for byte as it was read. */
  readonly identityValue: string;
  readonly history: HistoryWork;
  /** Who is deposed with it; nobody unless given. */
  readonly deposed?: DeposedKeys;
  /** Keys that stood ahead when the own one was put. */
  readonly aheadAtFirst: readonly StandingKey[];
  /** The rows of their terms. */
  readonly rowsAhead: readonly RowAsRead[];
}

/** That those to be deposed are as they were seen: nothing of what is known about them holds for others. */
export function guardDeposed(keys: ClusterKeys, deposed: DeposedKeys): Compare[] {
  const { dead, challengeKey, challengeRevision, neverConfirmed } = deposed;
  const compare = [...dead.map(stands), ...dead.slice(0, 1).map((head) => nobodyBefore(keys, head))];
  if (challengeRevision !== null) {
    compare.push(stands({ key: challengeKey, createRevision: challengeRevision }));
  }
  if (neverConfirmed !== null) {
    compare.push(absent(keys.historyRow(neverConfirmed.generation, neverConfirmed.epoch)));
  }
  return compare;
}

/** No key comes back in front of one that is first in line, unless a backup brings it: then a late copy must not commit. */
function nobodyBefore({ election: key }: ClusterKeys, { createRevision }: StandingKey): Compare {
  return { key, prefix: true, target: 'create', result: '>', operand: createRevision - 1n };
}

/**
 * That whoever else has ever stood ahead is gone: new keys come behind only, but a backup may bring an old one back
 * between the dead head and the own key.
 */
function guardGone(aheadAtFirst: readonly StandingKey[], { dead }: DeposedKeys): Compare[] {
  const others = aheadAtFirst.filter((each) => !dead.some(({ key }) => key === each.key));
  return others.slice(-MOST_AHEAD).map(({ key }) => absent(key));
}

/**
 * That no term of those who stood ahead has begun since history was read, nor is open again: in an etcd that was restored
 * while the confirm is sent again they may be confirmed, and go without a word, by keys that the backup had.
 */
function guardRowsAhead(rowsAhead: readonly RowAsRead[], { close, closedUnread }: HistoryWork): Compare[] {
  const compared = new Set([closedUnread?.key, ...close.map(({ keyValue }) => keyValue.key)]);
  const others = rowsAhead.filter(({ key }) => !compared.has(key)).slice(-MOST_AHEAD);
  return others.map((row) => (row.modRevision === 0n ? absent(row.key) : unchanged(row)));
}

/** Removes them, with any challenge to the head, and says so in history. */
export function removeDeposed(keys: ClusterKeys, deposed: DeposedKeys): Operation[] {
  const { dead, challengeKey, neverConfirmed } = deposed;
  const operations = [...dead.map(({ key }) => key), challengeKey].map(
    (key): Operation => ({ type: 'delete', key }),
  );
  if (neverConfirmed !== null) {
    const key = keys.historyRow(neverConfirmed.generation, neverConfirmed.epoch);
    operations.push({ type: 'put', key, value: formatHistoryRow(neverConfirmed) });
  }
  return operations;
}

/** That the rows to be closed are as they were read. */
export function guardClosed(close: HistoryWork['close']): Compare[] {
  return close.map(({ keyValue }) => unchanged(keyValue));
}

function unchanged({ key, modRevision: operand }: RowAsRead): Compare {
  return { key, target: 'mod', result: '==', operand };
}

export function writeClosed(close: HistoryWork['close']): Operation[] {
  return close.map(({ keyValue: { key }, closed }) => ({
    type: 'put',
    key,
    value: formatHistoryRow(closed),
  }));
}

/** Registrations of a confirm that committed. */
export function registrationsOf(results: readonly OperationResult[]): Registrations | null {
  const [taskExecutors, jobMasters] = results;
  return taskExecutors?.type === 'range' && jobMasters?.type === 'range'
    ? { taskExecutors, jobMasters }
    : null;
}

function absent(key: string): Compare {
  return { key, target: 'create', result: '==', operand: 0n };
}

/**
 * Makes the head of the line the leader, or who becomes it by deposing everybody ahead: new keys only come behind,
 * so a line that was read after the own key was put shows all of them. Guarded by the own key, by there being
 * nobody else ahead, by the identity, and by the absence of this term's history row: of several variants of one
 * confirm only one can ever commit.
 */
export function confirm(keys: ClusterKeys, request: Confirm): Transaction {
  const { own, record, history, deposed } = request;
  const { generation, epoch } = record.token;
  const row = keys.historyRow(generation, epoch);
  const nobodyAhead: readonly Compare[] =
    deposed === undefined
      ? [nobodyBefore(keys, own)]
      : [...guardDeposed(keys, deposed), ...guardGone(request.aheadAtFirst, deposed)];
  return {
    compare: [
      stands(own),
      ...nobodyAhead,
      { key: keys.identity, target: 'value', result: '==', operand: request.identityValue },
      absent(row),
      ...guardClosed(history.close),
      ...(history.closedUnread === undefined ? [] : [unchanged(history.closedUnread)]),
      ...guardRowsAhead(request.rowsAhead, history),
    ],
    success: [
      // First, so that whoever has confirmed finds them at a known place.
      { type: 'range', key: keys.taskExecutors, prefix: true, limit: REGISTRATIONS_AT_ONCE },
      { type: 'range', key: keys.jobMasters, prefix: true, limit: REGISTRATIONS_AT_ONCE },
      { type: 'put', key: keys.leader, value: formatLeaderRecord(record), lease: request.leaseId },
      { type: 'put', key: row, value: formatHistoryRow(historyOf(record)) },
      ...writeClosed(history.close),
      ...history.drop.map(({ key }): Operation => ({ type: 'delete', key })),
      // Nobody stands ahead any more: whoever was asked before has gone or is deposed, and this is our answer.
      { type: 'delete', key: keys.challenges, prefix: true },
      ...(deposed === undefined ? [] : removeDeposed(keys, deposed)),
    ],
    failure: [
      { type: 'range', key: own.key },
      { type: 'range', key: keys.leader },
      { type: 'range', key: keys.identity },
      { type: 'range', key: row },
      { type: 'range', key: keys.election, prefix: true },
      { type: 'range', key: keys.challenges, prefix: true },
    ],
  };
}

/** The row of a term that is under way. */
export function historyOf(record: LeaderRecord): HistoryRow {
  return {
    resourceManagerId: record.resourceManagerId,
    leaderSessionId: record.token.leaderSessionId,
    generation: record.token.generation,
    epoch: record.token.epoch,
    confirmedAt: record.confirmedAt,
    neverConfirmed: false,
    ended: null,
  };
}

export interface Departure {
  readonly key: string;
  readonly ending: Pick<Ending, 'createRevision' | 'granted'>;
  /** The row to close when the term had been confirmed. */
  readonly row: HistoryRow | null;
  readonly handOver: HandOver | null;
}

/**
 * Gives up a candidate key: with it go the record and the challenge of a head of the line, and the keys ahead of
 * the one to whom leadership is handed. A confirmed term is closed in history, if the store knows of its confirm:
 * one that was restored from before it has the same key, but never had that term.
 */
export function depart(keys: ClusterKeys, departure: Departure): Transaction {
  const { key, ending, row, handOver } = departure;
  const { createRevision } = ending;
  // The put was never answered. The key's name holds a lease id that nobody else has, so no guard is needed.
  if (createRevision === null) {
    return { compare: [], success: [{ type: 'delete', key }], failure: [] };
  }
  const standing = [{ key, createRevision }, ...(handOver === null ? [] : [handOver.to, ...handOver.ahead])];
  const compare = standing.map(stands);
  const success = [key, ...(handOver?.ahead ?? []).map((entry) => entry.key)].map(remove);
  const failure: Operation[] = [
    { type: 'range', key },
    { type: 'range', key: keys.election, prefix: true },
  ];
  if (ending.granted) {
    // To the head, which we are, or to those before it: nobody is left to answer.
    success.push(remove(keys.leader), { type: 'delete', key: keys.challenges, prefix: true });
  }
  if (row !== null) {
    const closed = keys.historyRow(row.generation, row.epoch);
    compare.push({ key: closed, target: 'value', result: '==', operand: openValue(row) });
    success.push({ type: 'put', key: closed, value: formatHistoryRow(row) });
    failure.push({ type: 'range', key: closed });
  }
  return { compare, success, failure };
}

function remove(key: string): Operation {
  return { type: 'delete', key };
}

/** As the confirm wrote the row, byte for byte. */
function openValue(row: HistoryRow): string {
  return formatHistoryRow({ ...row, ended: null });
}

/** Whether the third range of a departure's else branch shows the row as its confirm wrote it. */
export function knowsTerm(row: HistoryRow, results: readonly OperationResult[]): boolean {
  return rangeOf(results, 2)[0]?.value === openValue(row);
}

/** A leader's write (G1); whatever its else branch reads comes after the own candidate key. */
export function guarded(own: StandingKey, write: GuardedWrite): Transaction {
  return {
    compare: [stands(own), ...write.alsoIf],
    // Without any operation a member that is cut off would answer from its own store.
    success: write.operations.length > 0 ? write.operations : [{ type: 'range', key: own.key }],
    failure: [{ type: 'range', key: own.key }, ...write.readBack],
  };
}

/** Whether the write holds only while a key is absent. */
export function needsAbsence({ alsoIf }: GuardedWrite): boolean {
  return alsoIf.some(({ target, operand }) => target !== 'value' && operand === 0n);
}

export function deletes({ operations }: GuardedWrite): boolean {
  return operations.some(({ type }) => type === 'delete');
}

/** A candidate key, and what it takes to write it again as it is. */
export interface Fence extends StandingKey {
  readonly value: string;
  readonly leaseId: bigint;
  /** Revision of its last write. */
  readonly modRevision: bigint;
}

/**
 * A leader's write of which no copy can commit late. An absent key has no revision by which an old copy of its
 * creation could be told: so each deletion writes the candidate key anew as well, and a write that needs a key to
 * be absent holds only while the candidate key is as it was when the write was decided.
 */
export function fenced(fence: Fence, write: GuardedWrite): Transaction {
  const { compare, success, failure } = guarded(fence, write);
  const { key, value, leaseId: lease } = fence;
  return {
    compare: needsAbsence(write) ? [...compare, unchanged(fence)] : compare,
    success: deletes(write) ? [...success, { type: 'put', key, value, lease }] : success,
    failure,
  };
}

/** Key values of the range that is the `index`th operation; none when that was no range. */
export function rangeOf(results: readonly OperationResult[], index: number): readonly KeyValue[] {
  const result = results[index];
  return result?.type === 'range' ? result.keyValues : [];
}

/** Whether the key is among those read, created when we say it was. */
export function isAmong(keyValues: readonly KeyValue[], own: StandingKey): boolean {
  return keyValues.some(
    ({ key, createRevision }) => key === own.key && createRevision === own.createRevision,
  );
}
