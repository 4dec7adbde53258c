import { shrink } from './shrink.ts';
import { storm, StormFailure, type StormOptions } from './storm.ts';

/** A failed seed for people: what broke, how to see it again, and by which few faults. */
export interface SeedReport {
  readonly seed: number;
  /** `G3` and the like, or `books`. */
  readonly invariant: string;
  readonly sentence: string;
  /** Numbers of the faults that are enough. */
  readonly faults: readonly number[];
  readonly replay: string;
  /** Several lines. */
  readonly text: string;
  /** Of the shortened run. */
  readonly trace: readonly string[];
}

/** So many lines of the trace are shown: who said and did what, without the frames. */
const SHOWN_LINES = 60;
const SHOWN_COLUMNS = 200;

/** Shortens the schedule of a seed that failed for as long as the same invariant falls, and tells about it. */
export async function reportFailure(failure: StormFailure, options: StormOptions = {}): Promise<SeedReport> {
  const { seed, invariant } = failure;
  const fails = async (keep: readonly number[]): Promise<boolean> =>
    (await failureOf(seed, { ...options, keep }))?.invariant === invariant;
  const faults = await shrink(
    failure.struck.map(({ number }) => number),
    fails,
  );
  const shortest = (await failureOf(seed, { ...options, keep: faults })) ?? failure;
  const replay = `make simulate SEED=${seed} FAULTS=${faults.length === 0 ? 'none' : faults.join(',')}`;
  const said = shortest.trace.filter((line) => !/^\S+ \S+ <- /.test(line)).slice(-SHOWN_LINES);
  const lines = [
    `seed ${seed} broke ${invariant}, ${failure.atMs.toFixed(1)} ms into it: ${failure.message}`,
    `  replay: make simulate SEED=${seed}, trace ${failure.digest}`,
    `  with ${faults.length} of its ${failure.struck.length} faults: ${replay}`,
    `  which then says: ${shortest.message}`,
    '  faults:',
    ...shortest.struck.map(
      ({ number, atMs, what, where }) => `    ${atMs.toFixed(1)} ms, number ${number}: ${what}, ${where}`,
    ),
    `  the last ${said.length} lines of its trace without the frames:`,
    ...said.map((line) => `    ${line.slice(0, SHOWN_COLUMNS)}`),
  ];
  return {
    seed,
    invariant,
    sentence: failure.message,
    faults,
    replay,
    text: lines.join('\n'),
    trace: shortest.trace,
  };
}

async function failureOf(seed: number, options: StormOptions): Promise<StormFailure | null> {
  try {
    await storm(seed, options);
    return null;
  } catch (error) {
    if (error instanceof StormFailure) return error;
    throw error;
  }
}
