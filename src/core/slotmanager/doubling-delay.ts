/** Bounds of a delay that doubles, in milliseconds. */
export interface DoublingDelay {
  readonly firstMs: number;
  readonly mostMs: number;
}

/** Delay before repetition `attempt` (0 for the first). No chance in it: the core is deterministic. */
export function doublingDelayMs(delay: DoublingDelay, attempt: number): number {
  return Math.min(delay.mostMs, delay.firstMs * 2 ** Math.min(attempt, 30));
}
