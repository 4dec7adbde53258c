import type { Place } from './journal-facts.ts';

type Line = Place & { readonly wallMs: number; readonly atMs: number };

/**
 * The lines of one name's processes, process by process. Files that begin earlier by the time of day come first,
 * and a file is believed in its own order; within a process lines of several files go by its monotonic clock.
 */
export function byProcess<L extends Line>(lines: readonly L[], processOf: (line: L) => string): L[][] {
  const beginnings = new Map<string, number>();
  for (const { file, wallMs } of lines) if (!beginnings.has(file)) beginnings.set(file, wallMs);
  const begin = ({ file }: Line): number => beginnings.get(file) ?? 0;
  const inOrder = lines.toSorted(
    (a, b) => begin(a) - begin(b) || compareText(a.file, b.file) || a.line - b.line,
  );
  const processes = new Map<string, L[]>();
  for (const line of inOrder) {
    const own = processes.get(processOf(line));
    if (own === undefined) processes.set(processOf(line), [line]);
    else own.push(line);
  }
  return [...processes.values()].map((own) => {
    const oneFile = own.every(({ file }) => file === own[0]?.file);
    return oneFile ? own : own.toSorted((a, b) => a.atMs - b.atMs);
  });
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Lines that could not be read, by file. */
export type Gaps = ReadonlyMap<string, readonly number[]>;

/** Whether lines of that file that could not be read stand between these two. */
export function isGapBetween(gaps: Gaps, before: Place | undefined, after: Place): boolean {
  const lost = gaps.get(after.file) ?? [];
  const from = before?.file === after.file ? before.line : 0;
  return lost.some((line) => line > from && line < after.line);
}
