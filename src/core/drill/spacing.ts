/** How many depositions a cluster makes in a time; beyond it only the lease ends a term. */
export interface DepositionLimit {
  readonly most: number;
  readonly windowMs: number;
}

/** Times of day of those who wrote and of those who read them differ by no more, on one machine. */
const MARGIN_MS = 250;

/**
 * How long to wait before the next fault, so that the deposition which answers it is not one too many, and each fault
 * meets processes that have run for about as long. `depositions` are the times of those so far, in order.
 */
export function waitBeforeFaultMs(
  depositions: readonly number[],
  nowMs: number,
  { most, windowMs }: DepositionLimit,
): number {
  const last = depositions.at(-1);
  if (last === undefined) return 0;
  const decisive = depositions.at(-most) ?? -Infinity;
  const window = windowMs + MARGIN_MS;
  return Math.max(0, decisive + window - nowMs, last + window / most - nowMs);
}
