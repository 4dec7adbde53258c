import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { SeedOrder, SeedOutcome } from './seed-worker.ts';
import { Totals } from './totals.ts';

/** Where the compiled project is that this file belongs to. */
const OWN_DIST = fileURLToPath(new URL('../../../', import.meta.url));
/** A seed that takes longer than this hangs. */
const HANGS_MS = 600_000;
/** Most of what a seed makes is thrown away at once. */
const YOUNG_MB = 64;

/** Which seeds to play, and how. */
export interface SeedRun {
  readonly seeds: readonly number[];
  /** Threads; each plays one seed after the other. */
  readonly workers: number;
  /** Root of a compiled copy of the project, `dist` unless given: its simulator plays its own production classes. */
  readonly dist?: string | undefined;
  /** Whether the schedule of a seed that fails is shortened; slow. True unless given. */
  readonly shrinks?: boolean | undefined;
  /** No further seed is begun after a failure. True unless given. */
  readonly stopsAtFailure?: boolean | undefined;
  /** Is told each seed that has ended. */
  readonly onSeed?: ((totals: Totals) => void) | undefined;
}

export type FailedSeed = Extract<SeedOutcome, { kind: 'failed' }>['report'];

/** What came of a run: which invariant fell at which seed, if one did. */
export interface SeedRunOutcome {
  readonly totals: Totals;
  readonly failures: readonly FailedSeed[];
}

/** Plays seeds on several threads. A seed that ends in neither way, or hangs, is a failure of the invariant `simulator`. */
export async function runSeeds(run: SeedRun): Promise<SeedRunOutcome> {
  const totals = new Totals();
  const failures: FailedSeed[] = [];
  const path = join(run.dist ?? OWN_DIST, 'test/simulation/storm/seed-worker.js');
  let next = 0;
  const stops = run.stopsAtFailure ?? true;
  const takeSeed = (): number | undefined => (stops && failures.length > 0 ? undefined : run.seeds[next++]);
  const thread = async (): Promise<void> => {
    const start = (): Worker => new Worker(path, { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } });
    let worker = start();
    for (let seed = takeSeed(); seed !== undefined; seed = takeSeed()) {
      const outcome = await play(worker, { seed, shrinks: run.shrinks ?? true });
      if (outcome.kind === 'passed') totals.add(outcome.result);
      else failures.push(outcome.report);
      if (outcome.kind === 'failed' && outcome.report.invariant === 'simulator') {
        await worker.terminate();
        worker = start();
      }
      run.onSeed?.(totals);
    }
    await worker.terminate();
  };
  await Promise.all(Array.from({ length: run.workers }, thread));
  return { totals, failures };
}

function play(worker: Worker, order: SeedOrder): Promise<SeedOutcome> {
  const { seed } = order;
  return new Promise((resolve) => {
    const broken = (sentence: string): void => {
      const replay = `make simulate SEED=${seed}`;
      const text = `seed ${seed}: ${sentence}; replay: ${replay}`;
      settle({
        kind: 'failed',
        report: { seed, invariant: 'simulator', sentence, faults: [], replay, trace: [], text },
      });
    };
    const onError = (error: Error): void => broken(error.stack ?? error.message);
    const onExit = (): void => broken('its thread ended');
    const settle = (outcome: SeedOutcome): void => {
      clearTimeout(timer);
      worker.off('message', settle).off('error', onError).off('exit', onExit);
      resolve(outcome);
    };
    const timer = setTimeout(() => broken(`it did not end within ${HANGS_MS} ms`), HANGS_MS);
    worker.on('message', settle).on('error', onError).on('exit', onExit);
    worker.postMessage(order);
  });
}
