import { parentPort } from 'node:worker_threads';
import { reportFailure, type SeedReport } from './seed-report.ts';
import { storm, StormFailure, type StormResult } from './storm.ts';

/** What the parent asks of this thread; `shrinks` is whether a failure is to be shortened and told about. */
export interface SeedOrder {
  readonly seed: number;
  readonly shrinks: boolean;
}

/** What became of a seed. */
export type SeedOutcome =
  | { readonly kind: 'passed'; readonly result: StormResult }
  | { readonly kind: 'failed'; readonly report: SeedReport };

async function play({ seed, shrinks }: SeedOrder): Promise<SeedOutcome> {
  try {
    return { kind: 'passed', result: await storm(seed) };
  } catch (error) {
    if (!(error instanceof StormFailure)) throw error;
    if (shrinks) return { kind: 'failed', report: await reportFailure(error) };
    const { invariant, message: sentence, trace } = error;
    const replay = `make simulate SEED=${seed}`;
    const faults = error.struck.map(({ number }) => number);
    return {
      kind: 'failed',
      report: { seed, invariant, sentence, faults, replay, trace, text: `seed ${seed}: ${sentence}` },
    };
  }
}

const port = parentPort;
port?.on('message', (order: SeedOrder) => {
  void play(order).then((outcome) => port.postMessage(outcome));
});
