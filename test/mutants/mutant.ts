import type { Patch } from '../exhaustive/explicit-copy.ts';

/** Seeds of a scenario of the simulator, one after the other until one of them fails. */
export interface Simulation {
  readonly kind: 'simulation';
  /** As `make simulate SCENARIO=` names it. */
  readonly scenario: string;
  /** It must fail within so many. */
  readonly seeds: number;
}

/** Worlds of the exhaustive model whose names hold `world`. */
export interface Exploration {
  readonly kind: 'exploration';
  readonly world: string;
}

/** A test that pins the guarantee, for what the simulator does not run. */
export interface NamedTest {
  readonly kind: 'test';
  /** Below `test`, as source. */
  readonly file: string;
  readonly title: string;
}

/** Runs of the slot manager and the naive model of it, one after the other until they differ. */
export interface Comparison {
  readonly kind: 'comparison';
  /** They must differ within so many runs of 200 operations, all drawn from one seed. */
  readonly seeds: number;
}

/** Whatever may find a mutant. */
export type Check = Simulation | Exploration | NamedTest | Comparison;

/** One fault, planted in a copy of what is compiled, and what must find it. */
export interface Mutant {
  /** Short, in kebab-case, for `ONLY=`. */
  readonly name: string;
  /** What it does wrong. */
  readonly fault: string;
  /** The guarantee that it breaks, and the known bug that it repeats, if it does. */
  readonly after: string;
  /** Several when one guard alone is doubled by another: then `why` says by which. */
  readonly patches: readonly Patch[];
  /** Tried in this order until one finds it. */
  readonly checks: readonly Check[];
  /** Why a guard of the same purpose is taken away with it. */
  readonly why?: string;
}

/** As `make simulate SCENARIO=… SEEDS=…`. */
export function simulation(scenario: string, seeds: number): Simulation {
  return { kind: 'simulation', scenario, seeds };
}

/** As `make exhaustive WORLD=…`. */
export function exploration(world: string): Exploration {
  return { kind: 'exploration', world };
}

/** As `make properties RUNS=…`. */
export function comparison(runs: number): Comparison {
  return { kind: 'comparison', seeds: runs };
}

/** One test by its whole title or the beginning of it. */
export function namedTest(file: string, title: string): NamedTest {
  return { kind: 'test', file, title };
}
