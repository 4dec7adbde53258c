import { HISTORY_ROWS_KEPT } from '../core/election/history-rows-kept.ts';
import type { KeyValue } from './coordination-store.ts';
import type { HistoryWork } from './election-transactions.ts';
import type { HeadGone } from './election-observer.ts';
import { formatHistoryRow, type HistoryRow, parseHistoryRow, type TermEnd } from './election-records.ts';
import type { ClusterKeys } from './keys.ts';
import { type CallOutcome, sendUntilAnswered, type StoreContext } from './persistent-call.ts';

/** etcd takes 128 operations in a transaction; what is left over is the next confirm's. */
const MOST_CLOSED = 32;
const MOST_DROPPED = 64;
/** Those that a confirm has yet to drop among them. */
const MOST_KNOWN = HISTORY_ROWS_KEPT + MOST_DROPPED;
const PAGE_ROWS = 500;

/** All rows, oldest first, as they are, or are if that one of them is closed in that revision. */
export interface KnownHistory {
  readonly rows: readonly KeyValue[];
  readonly closedUnread?: KeyValue;
}

/**
 * The rows of history, read again only from the first one on that was still open: an ended term is not written
 * any more. So a take-over reads a row or two, not a thousand.
 */
export class HistoryIndex {
  /** Rows from the oldest one on, all of them ended. */
  #ended: readonly KeyValue[] = [];
  /** All rows as they were last read. */
  #latest: readonly KeyValue[] = [];

  /** How often everything was forgotten: what is read meanwhile belongs to both sides of it. */
  #forgotten = 0;

  /** Reads everything anew: what was read may be of another etcd. */
  forget(): void {
    this.#forgotten += 1;
    this.#ended = [];
    this.#latest = [];
  }

  /**
   * All rows, as they were read while the term of that epoch was under way: nobody else can have deposed anybody
   * since without ending it, so they are as good as new for whoever deposes it. Read again when it is not among them.
   */
  async readDuring(
    epoch: bigint,
    context: StoreContext,
    keys: ClusterKeys,
    signal: AbortSignal,
  ): Promise<readonly KeyValue[] | null> {
    const latest = this.#latest;
    // A second attempt reads for itself.
    this.#latest = [];
    return openRow(latest, epoch) === undefined ? this.read(context, keys, signal) : latest;
  }

  /**
   * All rows as they are when the term of that epoch, which was under way when they were last read, has closed its
   * row in that revision, in which its candidate key went: while that key stood nobody else wrote history. Null when
   * they were not read then. The caller's transaction must demand that the row was last written in that revision.
   */
  closedBy({ epoch, revision }: HeadGone): KnownHistory | null {
    const open = openRow(this.#latest, epoch);
    if (open === undefined) return null;
    const { keyValue, row } = open;
    const gone = { at: row.confirmedAt ?? '', reason: 'closed', evidence: '', by: row.resourceManagerId };
    const closedUnread = {
      ...keyValue,
      value: formatHistoryRow({ ...row, ended: gone }),
      modRevision: revision,
    };
    return { rows: this.#latest.map((each) => (each === keyValue ? closedUnread : each)), closedUnread };
  }

  /** All rows, oldest first; null when the signal was aborted before the store answered. */
  async read(
    context: StoreContext,
    keys: ClusterKeys,
    signal: AbortSignal,
  ): Promise<readonly KeyValue[] | null> {
    const forgotten = this.#forgotten;
    const rows = [...this.#ended];
    for (let more = true; more; ) {
      const answer = await readPage(context, keys, rows.at(-1)?.key, signal);
      if (answer.kind !== 'answered') return null;
      rows.push(...answer.value.keyValues);
      more = answer.value.more && answer.value.keyValues.length > 0;
    }
    if (forgotten !== this.#forgotten) return this.read(context, keys, signal);
    const open = rows.findIndex((keyValue) => rowOf(keyValue)?.ended === null);
    const ended = rows.slice(0, open === -1 ? rows.length : open).slice(-MOST_KNOWN);
    if (ended.length > 0) this.#ended = ended;
    this.#latest = rows;
    return rows;
  }
}

const parsed = new WeakMap<KeyValue, HistoryRow | null>();

/** The row, null for what is none. Parsed once, when it is read: a take-over does not wait for a thousand rows to be parsed. */
function rowOf(keyValue: KeyValue): HistoryRow | null {
  const known = parsed.get(keyValue);
  if (known !== undefined) return known;
  const row = parseHistoryRow(keyValue.value);
  parsed.set(keyValue, row);
  return row;
}

/** Reason under which history keeps a term that was ended by a deposition. */
export const DEPOSED = 'deposed';

/** More than so many depositions within `DEPOSITION_WINDOW_MS` are as many mistakes: beyond it only the lease ends a term. */
export const MOST_DEPOSITIONS = 3;
export const DEPOSITION_WINDOW_MS = 10_000;

/** How many depositions history has of the last 10 s, by the wall clocks of those who deposed. */
export function depositionsOfLate(rows: readonly KeyValue[], wallMs: number): number {
  return rows.filter((keyValue) => {
    const ended = rowOf(keyValue)?.ended;
    if (ended?.reason !== DEPOSED) return false;
    return Math.abs(wallMs - Date.parse(ended.at)) < DEPOSITION_WINDOW_MS;
  }).length;
}

/** The row of the term of that epoch that is still open; undefined when there is none. */
export function openRow(
  rows: readonly KeyValue[],
  epoch: bigint,
): { readonly keyValue: KeyValue; readonly row: HistoryRow } | undefined {
  for (const keyValue of rows) {
    const row = rowOf(keyValue);
    if (row !== null && row.epoch === epoch && row.ended === null) return { keyValue, row };
  }
  return undefined;
}

/** What the confirm of the term at `ownRow` has to close, with the end that `endOf` gives, and to drop. */
export function historyWork(
  rows: readonly KeyValue[],
  ownRow: string,
  endOf: TermEnd | ((row: HistoryRow) => TermEnd),
): HistoryWork {
  const others = rows.filter(({ key }) => key !== ownRow);
  const surplus = Math.max(0, others.length + 1 - HISTORY_ROWS_KEPT);
  const dropped = Math.min(surplus, MOST_DROPPED);
  const close = others.slice(dropped).flatMap((keyValue) => {
    const row = rowOf(keyValue);
    if (row === null || row.ended !== null) return [];
    return [{ keyValue, closed: { ...row, ended: typeof endOf === 'function' ? endOf(row) : endOf } }];
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
