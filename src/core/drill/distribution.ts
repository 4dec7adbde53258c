import type { Distribution } from './drill-evidence.ts';

/** Nearest-rank percentiles: each is a value that was measured. Null for no sample. */
export function distributionOf(samples: readonly number[]): Distribution | null {
  const sorted = samples.toSorted((a, b) => a - b);
  const max = sorted.at(-1);
  if (max === undefined) return null;
  const at = (percent: number): number => sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? max;
  return { p50: at(50), p90: at(90), p99: at(99), max };
}
