import type { Randomness } from './randomness.ts';

/** Bounds of a growing delay, in milliseconds. */
export interface BackoffBounds {
  readonly firstMs: number;
  readonly mostMs: number;
}

/** Delay before attempt `attempt` (0 for the first repetition): doubles up to the bound, the upper half of it by chance. */
export function backoffDelayMs(bounds: BackoffBounds, attempt: number, randomness: Randomness): number {
  const full = Math.min(bounds.mostMs, bounds.firstMs * 2 ** Math.min(attempt, 30));
  return full / 2 + (full / 2) * randomness.fraction();
}
