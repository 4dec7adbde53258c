import { createHash } from 'node:crypto';
import { EXPECTED_FAULTS } from './expected-faults.ts';
import { EXPECTED_INTERLEAVINGS } from './interleavings.ts';
import type { StormResult } from './storm.ts';

/** With fewer seeds than this not every kind of trouble need have been seen. */
const ENOUGH_SEEDS = 1_000;
/** Of these a thousand seeds see about two to four, and may see none. */
const RARE: ReadonlySet<string> = new Set([
  'no quorum of more than a TTL',
  'machine suspend of more than a slot lease',
  'terms ended by their own deadline',
]);
const ENOUGH_SEEDS_FOR_RARE = 10_000;
const YEAR_MS = 365.25 * 24 * 3_600_000;

/** What many seeds have seen together. */
export class Totals {
  seeds = 0;
  events = 0;
  virtualMs = 0;
  terms = 0;
  longestConvergenceMs = 0;
  readonly faults = new Map<string, number>();
  readonly interleavings = new Map<string, number>();
  readonly #digests = new Map<number, string>();

  add(result: StormResult): void {
    this.seeds += 1;
    this.events += result.events;
    this.virtualMs += result.virtualMs;
    this.terms += result.terms;
    this.longestConvergenceMs = Math.max(this.longestConvergenceMs, result.convergenceMs);
    sumUp(this.faults, result.faults);
    sumUp(this.interleavings, result.interleavings);
    this.#digests.set(result.seed, result.digest);
  }

  /** A leader after another one in a cluster. */
  get leaderChanges(): number {
    return this.terms - this.seeds;
  }

  get clusterYears(): number {
    return this.virtualMs / YEAR_MS;
  }

  /** Hash of all traces, whatever the order in which the seeds were played. */
  get digest(): string {
    const hash = createHash('sha256');
    for (const [seed, digest] of [...this.#digests].sort(([a], [b]) => a - b))
      hash.update(`${seed} ${digest}\n`);
    return hash.digest('hex');
  }

  digestOf(seed: number): string | undefined {
    return this.#digests.get(seed);
  }

  /** Kinds of faults and of interleavings that so many seeds should have seen, and have not. */
  unseen(): string[] {
    if (this.seeds < ENOUGH_SEEDS) return [];
    return [
      ...EXPECTED_FAULTS.filter((what) => !this.faults.has(what)),
      ...EXPECTED_INTERLEAVINGS.filter((what) => !this.interleavings.has(what)),
    ].filter((what) => this.seeds >= ENOUGH_SEEDS_FOR_RARE || !RARE.has(what));
  }

  /** Several lines for people. */
  text(): string {
    const average = (sum: number): string => (sum / Math.max(1, this.seeds)).toFixed(1);
    const sum = (counts: ReadonlyMap<string, number>): number =>
      [...counts.values()].reduce((all, one) => all + one, 0);
    const list = (counts: ReadonlyMap<string, number>): string[] =>
      [...counts]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([what, count]) => `  ${String(count).padStart(9)}  ${what}`);
    const { hours } = { hours: this.virtualMs / 3_600_000 };
    return [
      `${this.seeds} seeds, each on average: ${average(this.virtualMs / 1_000)} s of virtual time, ${average(sum(this.faults))} faults, ` +
        `${average(this.leaderChanges)} leader changes, ${average(this.interleavings.get('grants') ?? 0)} grants, ${average(this.events)} lines of trace`,
      `together ${this.leaderChanges} leader changes in ${hours.toFixed(1)} hours (${this.clusterYears.toFixed(4)} years) of a cluster; ` +
        `right again after ${(this.longestConvergenceMs / 1_000).toFixed(1)} s at most`,
      'faults:',
      ...list(this.faults),
      'interleavings:',
      ...list(this.interleavings),
      `hash of all traces ${this.digest.slice(0, 32)}`,
    ].join('\n');
  }
}

function sumUp(totals: Map<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [what, count] of Object.entries(counts)) totals.set(what, (totals.get(what) ?? 0) + count);
}
