import { SeededRandomness } from '../../support/testing-randomness.ts';
import { runSeeds } from './run-seeds.ts';

/** Plays the same seeds twice on several threads, then once more in another order on one; returns those of which two traces differ. */
export async function differingSeeds(seeds: readonly number[], workers: number): Promise<number[]> {
  const chance = new SeededRandomness(seeds.length, 'order');
  const shuffled = seeds
    .map((seed) => ({ seed, place: chance.fraction() }))
    .sort((a, b) => a.place - b.place)
    .map(({ seed }) => seed);
  const once = await runSeeds({ seeds, workers, shrinks: false, stopsAtFailure: false });
  const again = await runSeeds({ seeds, workers, shrinks: false, stopsAtFailure: false });
  const otherwise = await runSeeds({ seeds: shuffled, workers: 1, shrinks: false, stopsAtFailure: false });
  return seeds.filter((seed) => {
    const digests = [once, again, otherwise].map(({ totals }) => totals.digestOf(seed) ?? 'failed');
    return new Set(digests).size > 1 || digests[0] === 'failed';
  });
}
