import type { Page, PageRequest } from './operator-view.ts';

interface Keyed<Row> {
  readonly key: string;
  readonly row: Row;
}

/**
 * The part of a listing that a request asks for: rows in the order of their keys, which are unique. Picked in
 * one pass, not sorted as a whole: the books may be long, and the loop that reads them has a leadership to keep.
 */
export function pageOf<Row>(
  rows: Iterable<Row>,
  keyOf: (row: Row) => string,
  { limit, after }: PageRequest,
): Page<Row> {
  // One more than asked for, which tells whether there is a next page.
  const picked: Keyed<Row>[] = [];
  for (const row of rows) {
    const key = keyOf(row);
    if (after !== null && key <= after) continue;
    const last = picked[limit];
    if (last !== undefined && key >= last.key) continue;
    picked.splice(placeOf(picked, key), 0, { key, row });
    if (picked.length > limit + 1) picked.pop();
  }
  const part = picked.slice(0, limit);
  const next = part.length < picked.length ? (part.at(-1)?.key ?? null) : null;
  return { rows: part.map(({ row }) => row), next };
}

/** Where in the ordered list that key belongs. */
function placeOf(picked: readonly Keyed<unknown>[], key: string): number {
  let low = 0;
  let high = picked.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((picked[middle]?.key ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
