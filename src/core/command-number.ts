/**
 * Number of one command of a resource manager to one task executor. Ordered by generation, then epoch,
 * then `n`; a task executor executes only a higher number than the last one it has seen.
 */
export interface CommandNumber {
  readonly generation: number;
  readonly epoch: bigint;
  readonly n: number;
}

/** Negative, zero or positive as `a` is lower than, equal to or higher than `b`. */
export function compareCommandNumbers(a: CommandNumber, b: CommandNumber): number {
  if (a.generation !== b.generation) return a.generation - b.generation;
  if (a.epoch !== b.epoch) return a.epoch < b.epoch ? -1 : 1;
  return a.n - b.n;
}
