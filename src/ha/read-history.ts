import { QuartermasterError } from '../core/problem.ts';
import type { KeyValue, RangeResult } from './coordination-store.ts';
import type { ClusterKeys } from './keys.ts';
import type { StoreContext } from './persistent-call.ts';
import { readRange } from './read-range.ts';

/** At most `limit` terms, after the one that an earlier page's `next` names; the newest ones first when it is null. */
export interface HistoryQuery {
  readonly limit: number;
  readonly after: string | null;
}

/** One term of office as it stands in the store. */
export interface KeptTerm {
  readonly generation: number;
  readonly epoch: bigint;
  /** Revision of the confirm, unless the term was never confirmed. */
  readonly createRevision: bigint;
  /** Revision of the last write; above `createRevision` once the end was recorded. */
  readonly modRevision: bigint;
  /** The row's JSON: see `HistoryRow` in `election-records.ts`. */
  readonly record: Readonly<Record<string, unknown>>;
}

/** Newest first; `next` is null on the last page. */
export interface HistoryPage {
  readonly rows: readonly KeptTerm[];
  readonly next: string | null;
}

const PAGE_ROWS = 500;
const CALL_MS = 1_000;
const ROW_NAME = /^(\d{10})-(\d{19})$/;

/** Reads a page of history, linearizably; rejects with `INVALID` when no page named `after`, with `UNAVAILABLE` when no endpoint answers within a second. */
export async function readHistory(
  context: StoreContext,
  keys: ClusterKeys,
  { limit, after }: HistoryQuery,
  signal?: AbortSignal,
): Promise<HistoryPage> {
  if (after !== null && !ROW_NAME.test(after)) throw noSuchPage();
  const all: KeyValue[] = [];
  for (let more = true; more; ) {
    const page = await readPage(context, keys, all.at(-1)?.key, signal);
    all.push(...page.keyValues);
    more = page.more && page.keyValues.length > 0;
  }
  const name = (keyValue: KeyValue): string => keyValue.key.slice(keys.history.length);
  // etcd sorts by key; history is short, and people read it from its end.
  const newestFirst = all.reverse().filter((keyValue) => after === null || name(keyValue) < after);
  const shown = newestFirst.slice(0, limit);
  const last = shown.at(-1);
  return {
    rows: shown.flatMap((keyValue) => toTerm(name(keyValue), keyValue)),
    next: newestFirst.length > shown.length && last !== undefined ? name(last) : null,
  };
}

function noSuchPage(): QuartermasterError {
  const fields = [{ field: 'after', detail: 'must be what an earlier page gave as next' }];
  return new QuartermasterError({ code: 'INVALID', detail: 'There is no such page of history.', fields });
}

function readPage(
  context: StoreContext,
  keys: ClusterKeys,
  after: string | undefined,
  signal: AbortSignal | undefined,
): Promise<RangeResult> {
  const all = { type: 'range', key: keys.history, prefix: true, limit: PAGE_ROWS } as const;
  const range = after === undefined ? all : { ...all, after };
  return readRange(context, { name: 'read history', range, limitMs: CALL_MS, signal });
}

function toTerm(name: string, { value, createRevision, modRevision }: KeyValue): KeptTerm[] {
  const [, generation, epoch] = ROW_NAME.exec(name) ?? [];
  const record = parseObject(value);
  if (generation === undefined || epoch === undefined || record === null) return [];
  return [{ generation: Number(generation), epoch: BigInt(epoch), createRevision, modRevision, record }];
}

function parseObject(value: string): Readonly<Record<string, unknown>> | null {
  try {
    const parsed: unknown = JSON.parse(value);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null;
    return Object.fromEntries(Object.entries(parsed));
  } catch {
    return null;
  }
}
