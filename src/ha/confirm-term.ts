import type { ConfirmOutcome, Identity } from '../core/election/election-events.ts';
import { sameToken } from '../core/fencing-token.ts';
import type { KeyValue, TransactionResult } from './coordination-store.ts';
import { parseHistoryRow, parseIdentity, parseLeaderRecord } from './election-records.ts';
import { confirm, isAmong, rangeOf, type StandingKey } from './election-transactions.ts';
import { type HistoryIndex, historyWork } from './history.ts';
import type { ClusterKeys } from './keys.ts';
import type { LeaderRecord } from './leader-election.ts';
import { sendUntilAnswered, type StoreContext } from './persistent-call.ts';

export interface TermToConfirm {
  readonly own: StandingKey;
  readonly leaseId: bigint;
  readonly record: LeaderRecord;
  readonly identity: Identity;
  /** Value of the identity key, byte for byte as it was last seen. */
  readonly identityValue: string;
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
): Promise<ConfirmOutcome | null> {
  const { record } = term;
  const rows = await history.read(context, keys, signal);
  if (rows === null) return null;
  const ownRow = keys.historyRow(record.token.generation, record.token.epoch);
  const end = { at: record.confirmedAt, reason: 'lost', evidence: EVIDENCE, by: record.resourceManagerId };
  const transaction = confirm(keys, { ...term, history: historyWork(rows, ownRow, end) });
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
    return { kind: outcome.error.kind === 'lease-not-found' ? 'key-gone' : 'refused' };
  }
  if (outcome.value.succeeded) return { kind: 'confirmed', sent: outcome.sent };
  const verdict = judgeElseBranch(outcome.value, term);
  return verdict === 'confirmed' ? { kind: 'confirmed', sent: outcome.sent } : verdict;
}

type ElseVerdict = 'confirmed' | Exclude<ConfirmOutcome, { readonly kind: 'confirmed' }>;

function judgeElseBranch({ results }: TransactionResult, term: TermToConfirm): ElseVerdict {
  const { own, record, identity } = term;
  if (!isAmong(rangeOf(results, 0), own)) return { kind: 'key-gone' };
  const written = first(rangeOf(results, 1), parseLeaderRecord);
  if (written !== null && sameToken(written.token, record.token)) return 'confirmed';
  // The row outlives the record; only our confirm writes our session id into it.
  const row = first(rangeOf(results, 3), parseHistoryRow);
  if (row?.leaderSessionId === record.token.leaderSessionId) return 'confirmed';
  const found = first(rangeOf(results, 2), parseIdentity);
  const same = found?.clusterId === identity.clusterId && found.generation === identity.generation;
  return same ? { kind: 'refused' } : { kind: 'identity-differs', identity: found };
}

function first<T>(keyValues: readonly KeyValue[], parse: (value: string) => T | null): T | null {
  const [keyValue] = keyValues;
  return keyValue === undefined ? null : parse(keyValue.value);
}
