/** Quantiles of a bounded number of calls, nearest rank. */
export interface Latency {
  readonly samples: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Of these durations, in hundredths of a millisecond; null when there are none. */
export function latencyOf(durationsMs: readonly number[]): Latency | null {
  const sorted = durationsMs.toSorted((a, b) => a - b);
  const last = sorted.at(-1);
  if (last === undefined) return null;
  const quantile = (share: number): number => rounded(quantileOf(sorted, share));
  return { samples: sorted.length, p50Ms: quantile(0.5), p99Ms: quantile(0.99), maxMs: rounded(last) };
}

/** Nearest rank in values in ascending order, of which there is one at least; `share` 1 is the greatest. */
export function quantileOf(sorted: readonly number[], share: number): number {
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new RangeError('there is no quantile of nothing');
  return value;
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
