import type { Finding, Severity } from './finding.ts';
import { judgeMembers } from './judge-members.ts';
import { judgeStore } from './judge-store.ts';
import { judgeSurroundings } from './judge-surroundings.ts';
import type { Measurements } from './measurements.ts';

const RANK: Readonly<Record<Severity, number>> = { critical: 0, warning: 1, note: 2 };

/** What these measurements mean, the worst first; the same finding of several endpoints stands there once for each. */
export function findingsFrom(measurements: Measurements): Finding[] {
  const { endpoints } = measurements;
  return [...judgeMembers(endpoints), ...judgeStore(endpoints), ...judgeSurroundings(measurements)].toSorted(
    (a, b) => RANK[a.severity] - RANK[b.severity],
  );
}
