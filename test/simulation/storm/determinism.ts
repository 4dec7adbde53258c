import { SeededRandomness } from '../../support/testing-randomness.ts';
import { runSeeds } from './run-seeds.ts';

/** What the traces of some seeds were when they were played three times. */
export interface TracesCompared {
  /** Seeds of which two traces differ, or that failed. */
  readonly differing: readonly number[];
  /** Hash of all traces of the first time. */
  readonly digest: string;
}

/** Plays the same seeds twice on several threads, then once more in another order on one. */
export async function compareTraces(seeds: readonly number[], workers: number): Promise<TracesCompared> {
  const chance = new SeededRandomness(seeds.length, 'order');
  const shuffled = seeds
    .map((seed) => ({ seed, place: chance.fraction() }))
    .sort((a, b) => a.place - b.place)
    .map(({ seed }) => seed);
  const once = await runSeeds({ seeds, workers, shrinks: false, stopsAtFailure: false });
  const again = await runSeeds({ seeds, workers, shrinks: false, stopsAtFailure: false });
  const otherwise = await runSeeds({ seeds: shuffled, workers: 1, shrinks: false, stopsAtFailure: false });
  const differing = seeds.filter((seed) => {
    const digests = [once, again, otherwise].map(({ totals }) => totals.digestOf(seed) ?? 'failed');
    return new Set(digests).size > 1 || digests[0] === 'failed';
  });
  return { differing, digest: once.totals.digest };
}
