import { depart, type Departure, isAmong, knowsTerm, rangeOf } from './election-transactions.ts';
import type { HandOver } from '../core/election/election-events.ts';
import { parseCandidate } from './election-records.ts';
import type { KeyValue, TransactionResult } from './coordination-store.ts';
import type { ClusterKeys } from './keys.ts';
import { sendUntilAnswered, type StoreContext } from './persistent-call.ts';

/**
 * Takes a candidate key out of the line, and with it whatever the departure says. True once it is known to be
 * gone, be it by an earlier copy or by another hand; false when the signal was aborted before that.
 */
export async function leaveLine(
  context: StoreContext,
  keys: ClusterKeys,
  departure: Departure,
  signal: AbortSignal,
): Promise<boolean> {
  let current = departure;
  for (;;) {
    const transaction = depart(keys, current);
    const outcome = await sendUntilAnswered(
      context,
      (endpoint) => endpoint.transact(transaction, context.timing.etcdCallMs),
      { name: 'leave the line', final: ({ kind }) => kind === 'rejected' || kind === 'no-space', signal },
    );
    if (outcome.kind === 'abandoned') return false;
    if (outcome.kind === 'refused' && outcome.error.kind === 'no-space' && current.row !== null) {
      // An etcd that is out of space still deletes; the next confirm closes the term in history.
      current = { ...current, row: null };
      continue;
    }
    if (outcome.kind === 'refused') {
      context.logger.log('error', 'etcd refused the departure', { error: outcome.error.message });
      return true;
    }
    const next = outcome.value.succeeded ? null : stillStanding(current, outcome.value);
    if (next === null) return true;
    if (current.row !== null && next.row === null) {
      context.logger.log('error', 'etcd knows nothing of the term that ends: it was wiped or restored');
    }
    current = next;
  }
}

/**
 * The own key stands. Either the store has lost the term, and all of it that is ours is the key; or the line between
 * it and the successor has changed: the same again, by the line of now.
 */
function stillStanding(departure: Departure, { results }: TransactionResult): Departure | null {
  const { key, ending, row, handOver } = departure;
  const { createRevision } = ending;
  if (createRevision === null || !isAmong(rangeOf(results, 0), { key, createRevision })) return null;
  if (row !== null && !knowsTerm(row, results)) {
    return { key, ending: { createRevision, granted: false }, row: null, handOver: null };
  }
  if (handOver === null) return null;
  return { ...departure, handOver: renew(handOver, key, rangeOf(results, 1)) };
}

/** Null when the successor is not in line any more: the one who goes, goes all the same. */
function renew(handOver: HandOver, ownKey: string, line: readonly KeyValue[]): HandOver | null {
  const entries = line.map(({ key, value, createRevision }) => ({
    key,
    createRevision,
    candidate: parseCandidate(value),
  }));
  const to = entries.find(({ key }) => key === handOver.to.key);
  if (to === undefined) return null;
  const ahead = entries.filter((entry) => entry.key !== ownKey && entry.createRevision < to.createRevision);
  return { to, ahead };
}

/** Gives the lease back; returns once it is known to be gone, or when the signal is aborted. */
export async function revokeLease(
  context: StoreContext,
  leaseId: bigint,
  signal: AbortSignal,
): Promise<void> {
  await sendUntilAnswered(context, (endpoint) => endpoint.revokeLease(leaseId, context.timing.etcdCallMs), {
    name: 'revoke lease',
    final: ({ kind }) => kind === 'lease-not-found' || kind === 'rejected',
    signal,
  });
}
