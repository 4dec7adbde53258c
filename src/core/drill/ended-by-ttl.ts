import type { DrillRound } from './drill-evidence.ts';

/**
 * How history says that a term ended by its lease: the next confirm found the key gone; or the leader saw its deadline
 * pass, which is a tenth of the time to live earlier, or its lease gone, and wrote it down itself.
 */
const BY_LEASE: ReadonlySet<string> = new Set(['lost', 'lease deadline passed', 'lease lost']);

/** Whether only the time to live of its lease ended that term, so that nobody had found the leader out before. */
export function endedByTtl(ended: DrillRound['ended']): boolean {
  return ended !== null && BY_LEASE.has(ended.reason);
}
