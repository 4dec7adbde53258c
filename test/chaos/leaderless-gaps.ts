/** A time in which nobody said that he leads and serves, in ms of a monotonic clock. */
export interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The longest of them, 0 for none. */
export function longestGapMs(gaps: readonly Gap[]): number {
  return Math.max(0, ...gaps.map(({ fromMs, toMs }) => toMs - fromMs));
}

/**
 * Those that last longer than a leader may take to come (G8). What was broken or mended within a gap starts the wait
 * again, as the one who was about to lead may be whom it struck.
 */
export function lateGaps(gaps: readonly Gap[], blowsMs: readonly number[], withinMs: number): readonly Gap[] {
  return gaps.filter(({ fromMs, toMs }) => {
    const last = blowsMs.findLast((atMs) => atMs > fromMs && atMs <= toMs) ?? fromMs;
    return toMs - last > withinMs;
  });
}
