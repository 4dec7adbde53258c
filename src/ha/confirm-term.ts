import type { ConfirmOutcome, Deposition } from '../core/election/election-events.ts';
import type { Identity } from '../core/election/identity.ts';
import { sameToken } from '../core/fencing-token.ts';
import type { KeyValue, TransactionResult } from './coordination-store.ts';
import {
  type HistoryRow,
  parseHistoryRow,
  parseIdentity,
  parseLeaderRecord,
  type TermEnd,
} from './election-records.ts';
import { deposedKeys, depositionEnd } from './depose.ts';
import {
  confirm,
  type DeposedKeys,
  isAmong,
  rangeOf,
  registrationsOf,
  type RowAsRead,
  type StandingKey,
} from './election-transactions.ts';
import type { HeadGone } from './election-observer.ts';
import {
  depositionsOfLate,
  type HistoryIndex,
  historyWork,
  type KnownHistory,
  MOST_DEPOSITIONS,
} from './history.ts';
import type { ClusterKeys } from './keys.ts';
import type { LeaderRecord, Registrations } from './leader-election.ts';
import { sendUntilAnswered, type StoreContext } from './persistent-call.ts';

export interface TermToConfirm {
  readonly own: StandingKey;
  readonly leaseId: bigint;
  readonly record: LeaderRecord;
  readonly identity: Identity;
  /** Value of the identity key, byte for byte as it was last seen. */
  readonly identityValue: string;
  /** Who is to be deposed with it; null when nobody stands ahead. */
  readonly deposition: Deposition | null;
  /** When the head to be deposed was last seen to serve, by the wall clock; null when it never was. */
  readonly lastServingMs: number | null;
  /** Keys that stood ahead when the own one was put, the head first. */
  readonly aheadAtFirst: readonly StandingKey[];
  /** Who stood first in line before, if the watch has told of its end. */
  readonly headGone: HeadGone | null;
}

/** What became of a confirm; registrations only where its own answer has brought them. */
export interface ConfirmedTerm {
  readonly outcome: ConfirmOutcome;
  readonly registrations: Registrations | null;
}

const EVIDENCE = 'its candidate key was gone: its lease ran out or was revoked, or an operator deleted it';

/**
 * Sends the confirm until it is known what became of it (G5): our session id in what the else branch reads is an
 * earlier copy that committed, our key gone is a definite no, a record that is absent proves nothing. Null when
 * the candidacy ended meanwhile.
 */
export async function confirmTerm(
  context: StoreContext,
  keys: ClusterKeys,
  history: HistoryIndex,
  term: TermToConfirm,
  signal: AbortSignal,
): Promise<ConfirmedTerm | null> {
  const { deposition, headGone } = term;
  const deposedEpoch = deposition?.dead[0]?.createRevision;
  if (deposedEpoch !== undefined) {
    const rows = await history.readDuring(deposedEpoch, context, keys, signal);
    return rows === null ? null : sendConfirm(context, keys, term, { rows }, signal);
  }
  // One that went in good order has closed its row with its key: then nothing is left to read.
  const known = headGone === null ? null : history.closedBy(headGone);
  if (known !== null) {
    const confirmed = await sendConfirm(context, keys, term, known, signal);
    if (confirmed?.outcome.kind !== 'refused') return confirmed;
  }
  const rows = await history.read(context, keys, signal);
  return rows === null ? null : sendConfirm(context, keys, term, { rows }, signal);
}

/** The rows of the terms that others may have had since then, as they were read: revision 0 of one that was not there. */
function rowsAhead(
  keys: ClusterKeys,
  { aheadAtFirst, record }: TermToConfirm,
  rows: readonly KeyValue[],
): RowAsRead[] {
  const known = new Map(rows.map(({ key, modRevision }) => [key, modRevision]));
  return aheadAtFirst.map(({ createRevision }) => {
    const key = keys.historyRow(record.token.generation, createRevision);
    return { key, modRevision: known.get(key) ?? 0n };
  });
}

async function sendConfirm(
  context: StoreContext,
  keys: ClusterKeys,
  term: TermToConfirm,
  { rows, closedUnread }: KnownHistory,
  signal: AbortSignal,
): Promise<ConfirmedTerm | null> {
  const { record, deposition } = term;
  const deposedEpoch = deposition?.dead[0]?.createRevision;
  const { generation, epoch } = record.token;
  const by = record.resourceManagerId;
  const lost = { at: record.confirmedAt, reason: 'lost', evidence: EVIDENCE, by };
  let deposed: DeposedKeys | undefined;
  let endOf: (row: HistoryRow) => TermEnd = () => lost;
  if (deposition !== null) {
    const wallMs = context.clock.wallMs();
    if (depositionsOfLate(rows, wallMs) >= MOST_DEPOSITIONS) return withoutRegistrations({ kind: 'limited' });
    const end = depositionEnd(deposition, by, wallMs, term.lastServingMs);
    deposed = deposedKeys(keys, rows, deposition, generation, end);
    endOf = (row) => (row.epoch === deposedEpoch ? end : lost);
  }
  const work = historyWork(rows, keys.historyRow(generation, epoch), endOf);
  const history = { ...work, ...(closedUnread && { closedUnread }) };
  const ahead = rowsAhead(keys, term, rows);
  const transaction = confirm(keys, { ...term, history, rowsAhead: ahead, ...(deposed && { deposed }) });
  const outcome = await sendUntilAnswered(
    context,
    (endpoint) => endpoint.transact(transaction, context.timing.etcdCallMs),
    {
      name: 'confirm',
      final: ({ kind }) => kind === 'lease-not-found' || kind === 'rejected',
      signal,
    },
  );
  if (outcome.kind === 'abandoned') return null;
  if (outcome.kind === 'refused') {
    context.logger.log('error', 'etcd refused the confirm', { error: outcome.error.message });
    // The key is bound to that lease, so it is gone too.
    return withoutRegistrations({ kind: outcome.error.kind === 'lease-not-found' ? 'key-gone' : 'refused' });
  }
  const { value, sent } = outcome;
  if (value.succeeded) {
    return { outcome: { kind: 'confirmed', sent }, registrations: registrationsOf(value.results) };
  }
  const verdict = judgeElseBranch(value, term, deposed);
  return withoutRegistrations(verdict === 'confirmed' ? { kind: 'confirmed', sent } : verdict);
}

function withoutRegistrations(outcome: ConfirmOutcome): ConfirmedTerm {
  return { outcome, registrations: null };
}

type ElseVerdict = 'confirmed' | Exclude<ConfirmOutcome, { readonly kind: 'confirmed' }>;

function judgeElseBranch(
  { results }: TransactionResult,
  term: TermToConfirm,
  deposed: DeposedKeys | undefined,
): ElseVerdict {
  const { own, record, identity } = term;
  if (!isAmong(rangeOf(results, 0), own)) return { kind: 'key-gone' };
  const written = first(rangeOf(results, 1), parseLeaderRecord);
  if (written !== null && sameToken(written.token, record.token)) return 'confirmed';
  // The row outlives the record; only our confirm writes our session id into it.
  const row = first(rangeOf(results, 3), parseHistoryRow);
  if (row?.leaderSessionId === record.token.leaderSessionId) return 'confirmed';
  const found = first(rangeOf(results, 2), parseIdentity);
  const same = found?.clusterId === identity.clusterId && found.generation === identity.generation;
  if (!same) return { kind: 'identity-differs', identity: found };
  const head = deposed?.dead[0];
  if (deposed === undefined || head === undefined) return { kind: 'refused' };
  const { challengeKey: key, challengeRevision: createRevision } = deposed;
  if (createRevision === null) return { kind: 'refused' };
  const answered =
    isAmong(rangeOf(results, 4), head) && !isAmong(rangeOf(results, 5), { key, createRevision });
  return { kind: answered ? 'head-answered' : 'refused' };
}

function first<T>(keyValues: readonly KeyValue[], parse: (value: string) => T | null): T | null {
  const [keyValue] = keyValues;
  return keyValue === undefined ? null : parse(keyValue.value);
}
