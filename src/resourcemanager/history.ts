import { QuartermasterError } from '../core/problem.ts';
import type { CoordinationStore, KeyValue, RangeResult } from '../ha/coordination-store.ts';
import type { HistoryRow } from './operator-view.ts';

/** More than what is kept, so that one call reads all of it. */
const MOST_ROWS = 2_000;

/** Reads every row of history, newest first; rejects with `UNAVAILABLE` when no endpoint answers. */
export async function readHistory(
  store: CoordinationStore,
  prefix: string,
  timeoutMs: number,
): Promise<HistoryRow[]> {
  const { keyValues } = await rangeAnywhere(store, prefix, timeoutMs);
  return keyValues
    .flatMap((keyValue) => historyRow(prefix, keyValue) ?? [])
    .toSorted((a, b) => a.generation - b.generation || (a.epoch < b.epoch ? -1 : 1))
    .toReversed();
}

async function rangeAnywhere(
  store: CoordinationStore,
  prefix: string,
  timeoutMs: number,
): Promise<RangeResult> {
  let cause: unknown;
  for (const endpoint of store.endpoints) {
    try {
      return await endpoint.range({ type: 'range', key: prefix, prefix: true, limit: MOST_ROWS }, timeoutMs);
    } catch (error) {
      cause = error;
    }
  }
  throw new QuartermasterError({ code: 'UNAVAILABLE', detail: 'etcd does not answer.' }, { cause });
}

function historyRow(prefix: string, keyValue: KeyValue): HistoryRow | null {
  const numbers = /^(\d+)-(\d+)$/.exec(keyValue.key.slice(prefix.length));
  if (numbers?.[1] === undefined || numbers[2] === undefined) return null;
  let record: unknown;
  try {
    record = JSON.parse(keyValue.value);
  } catch {
    record = null;
  }
  return {
    generation: Number(numbers[1]),
    epoch: BigInt(numbers[2]),
    createRevision: keyValue.createRevision,
    modRevision: keyValue.modRevision,
    record: typeof record === 'object' && record !== null ? { ...record } : {},
  };
}
