import type { Deposition, DepositionOutcome } from '../core/election/election-events.ts';
import type { ResourceManagerId } from '../core/ids.ts';
import type { Compare, KeyValue, Operation, Transaction } from './coordination-store.ts';
import type { HistoryRow, TermEnd } from './election-records.ts';
import {
  type DeposedKeys,
  guardClosed,
  guardDeposed,
  type HistoryWork,
  removeDeposed,
  type StandingKey,
  stands,
  writeClosed,
} from './election-transactions.ts';
import { DEPOSED, depositionsOfLate, type HistoryIndex, MOST_DEPOSITIONS, openRow } from './history.ts';
import type { ClusterKeys } from './keys.ts';
import { sendUntilAnswered, type StoreContext } from './persistent-call.ts';

/** Stands in history for who has put a foreign key. */
const FOREIGN = 'foreign' as ResourceManagerId;

/** How history says that a term ended by a deposition. */
export function depositionEnd(
  deposition: Deposition,
  by: ResourceManagerId,
  wallMs: number,
  lastServingMs: number | null = null,
): TermEnd {
  const at = new Date(wallMs).toISOString();
  const end = { at, reason: DEPOSED, evidence: deposition.evidence.slice(0, 4_096), by };
  return lastServingMs === null ? end : { ...end, lastServingAt: new Date(lastServingMs).toISOString() };
}

/** The keys that the deposition removes, and the row of a head that never confirmed. */
export function deposedKeys(
  keys: ClusterKeys,
  rows: readonly KeyValue[],
  deposition: Deposition,
  generation: number,
  ended: TermEnd,
): DeposedKeys {
  const { dead, challengeRevision } = deposition;
  const [head] = dead;
  if (head === undefined) throw new Error('a deposition without a head');
  const neverConfirmed: HistoryRow = {
    resourceManagerId: head.candidate?.resourceManagerId ?? FOREIGN,
    leaderSessionId: null,
    generation,
    epoch: head.createRevision,
    confirmedAt: null,
    neverConfirmed: true,
    ended,
  };
  return {
    dead,
    challengeKey: keys.challenge(generation, head.createRevision),
    challengeRevision,
    neverConfirmed: openRow(rows, head.createRevision) === undefined ? neverConfirmed : null,
  };
}

/** Who deposes, and whom, without taking over. */
export interface DeposalRequest {
  readonly own: StandingKey;
  readonly by: ResourceManagerId;
  readonly generation: number;
  readonly deposition: Deposition;
  /** When the head was last seen to serve, by the wall clock; null when it never was. */
  readonly lastServingMs: number | null;
}

/** Deposes whoever is known to be gone, for the sake of one who stands between. */
export function depose(
  keys: ClusterKeys,
  own: StandingKey,
  deposed: DeposedKeys,
  close: HistoryWork['close'],
): Transaction {
  const compare: Compare[] = [stands(own), ...guardDeposed(keys, deposed), ...guardClosed(close)];
  const success: Operation[] = [
    ...removeDeposed(keys, deposed),
    ...writeClosed(close),
    // The head stood until now, so the record can be no newer one.
    { type: 'delete', key: keys.leader },
  ];
  return { compare, success, failure: [{ type: 'range', key: keys.election, prefix: true }] };
}

/** Sends it until it is known what became of it; null when the candidacy ended meanwhile. */
export async function deposeHead(
  context: StoreContext,
  keys: ClusterKeys,
  history: HistoryIndex,
  request: DeposalRequest,
  signal: AbortSignal,
): Promise<DepositionOutcome | null> {
  const { own, by, generation, deposition, lastServingMs } = request;
  const epoch = deposition.dead[0]?.createRevision ?? 0n;
  const rows = await history.readDuring(epoch, context, keys, signal);
  if (rows === null) return null;
  const wallMs = context.clock.wallMs();
  if (depositionsOfLate(rows, wallMs) >= MOST_DEPOSITIONS) return 'limited';
  const end = depositionEnd(deposition, by, wallMs, lastServingMs);
  const deposed = deposedKeys(keys, rows, deposition, generation, end);
  const open = openRow(rows, epoch);
  const close = open === undefined ? [] : [{ keyValue: open.keyValue, closed: { ...open.row, ended: end } }];
  const transaction = depose(keys, own, deposed, close);
  const outcome = await sendUntilAnswered(
    context,
    (endpoint) => endpoint.transact(transaction, context.timing.etcdCallMs),
    { name: 'depose', final: ({ kind }) => kind === 'rejected' || kind === 'no-space', signal },
  );
  if (outcome.kind === 'abandoned') return null;
  if (outcome.kind === 'refused' && outcome.error.kind === 'no-space') return 'store-full';
  return outcome.kind === 'answered' && outcome.value.succeeded ? 'done' : 'refused';
}
