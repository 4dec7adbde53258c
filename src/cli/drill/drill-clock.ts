import { performance } from 'node:perf_hooks';
import type { Clock } from '../../runtime/clock.ts';

/** Time of day with fractions of a millisecond; it runs with the monotonic clock and is never set. */
export function preciseWallMs(clock: Clock): number {
  return performance.timeOrigin + clock.monotonicMs();
}
