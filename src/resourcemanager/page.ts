import type { Page, PageRequest } from './operator-view.ts';

/** The part of a listing that a request asks for: rows in the order of their keys, which are unique. */
export function pageOf<Row>(
  rows: Iterable<Row>,
  keyOf: (row: Row) => string,
  { limit, after }: PageRequest,
): Page<Row> {
  const keyed: { readonly key: string; readonly row: Row }[] = [];
  for (const row of rows) {
    const key = keyOf(row);
    if (after === null || key > after) keyed.push({ key, row });
  }
  keyed.sort((a, b) => (a.key < b.key ? -1 : 1));
  const part = keyed.slice(0, limit);
  const next = part.length < keyed.length ? (part.at(-1)?.key ?? null) : null;
  return { rows: part.map(({ row }) => row), next };
}
