import type { KeyValue } from './coordination-store.ts';
import type { HistoryWork } from './election-transactions.ts';
import { parseHistoryRow, type TermEnd } from './election-records.ts';
import type { ClusterKeys } from './keys.ts';
import { type CallOutcome, sendUntilAnswered, type StoreContext } from './persistent-call.ts';

/** How many terms history keeps. */
const HISTORY_ROWS_KEPT = 1_000;

/** etcd takes 128 operations in a transaction; what is left over is the next confirm's. */
const MOST_CLOSED = 32;
const MOST_DROPPED = 64;
const PAGE_ROWS = 500;

/**
 * The rows of history, read again only from the first one on that was still open: an ended term is not written
 * any more. So a take-over reads a row or two, not a thousand.
 */
export class HistoryIndex {
  /** Rows from the oldest one on, all of them ended. */
  #ended: readonly KeyValue[] = [];

  /** All rows, oldest first; null when the signal was aborted before the store answered. */
  async read(
    context: StoreContext,
    keys: ClusterKeys,
    signal: AbortSignal,
  ): Promise<readonly KeyValue[] | null> {
    const rows = [...this.#ended];
    for (let more = true; more; ) {
      const answer = await readPage(context, keys, rows.at(-1)?.key, signal);
      if (answer.kind !== 'answered') return null;
      rows.push(...answer.value.keyValues);
      more = answer.value.more && answer.value.keyValues.length > 0;
    }
    const open = rows.findIndex(({ value }) => parseHistoryRow(value)?.ended === null);
    const ended = rows.slice(0, open === -1 ? rows.length : open).slice(-HISTORY_ROWS_KEPT);
    if (ended.length > 0) this.#ended = ended;
    return rows;
  }
}

/** What the confirm of the term at `ownRow` has to close, with `end`, and to drop. */
export function historyWork(rows: readonly KeyValue[], ownRow: string, end: TermEnd): HistoryWork {
  const others = rows.filter(({ key }) => key !== ownRow);
  const surplus = Math.max(0, others.length + 1 - HISTORY_ROWS_KEPT);
  const dropped = Math.min(surplus, MOST_DROPPED);
  const close = others.slice(dropped).flatMap((keyValue) => {
    const row = parseHistoryRow(keyValue.value);
    return row === null || row.ended !== null ? [] : [{ keyValue, closed: { ...row, ended: end } }];
  });
  // The newest ones: there is one at most unless somebody meddled.
  return { close: close.slice(-MOST_CLOSED), drop: others.slice(0, dropped) };
}

function readPage(
  context: StoreContext,
  keys: ClusterKeys,
  after: string | undefined,
  signal: AbortSignal,
): Promise<CallOutcome<{ readonly keyValues: readonly KeyValue[]; readonly more: boolean }>> {
  const range = { type: 'range', key: keys.history, prefix: true, limit: PAGE_ROWS } as const;
  return sendUntilAnswered(
    context,
    (endpoint) =>
      endpoint.range(after === undefined ? range : { ...range, after }, context.timing.etcdCallMs),
    { name: 'read history', signal },
  );
}
