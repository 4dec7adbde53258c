import {
  compareManagers,
  drawRun,
  ManagerDiffers,
  OPERATIONS_OF_A_RUN,
  shrinkRun,
} from './compare-managers.ts';

/** `RUNS=n` so many runs, `SEED=n` the same again, `FROM=n` from that run on. */
function main(): number {
  const runs = Number(process.env['RUNS'] ?? 10_000);
  const seed = Number(process.env['SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
  const from = Number(process.env['FROM'] ?? 0);
  if (![runs, seed, from].every((each) => Number.isSafeInteger(each) && each >= 0) || runs === 0)
    throw new Error('RUNS, SEED and FROM are whole numbers.');
  process.stdout.write(`${runs} runs of ${OPERATIONS_OF_A_RUN} operations, seed ${seed}\n`);
  const startMs = performance.now();
  const seen = new Map<string, number>();
  const count = (what: string): void => void seen.set(what, (seen.get(what) ?? 0) + 1);
  let events = 0;
  for (let run = from; run < from + runs; run++) {
    const drawn = drawRun(seed, run);
    try {
      compareManagers(drawn, undefined, (event, said) => {
        events++;
        count(event.type);
        for (const line of said) count(line.slice(0, line.indexOf(' ')));
      });
    } catch (error) {
      if (!(error instanceof ManagerDiffers)) throw error;
      const { drawn: shrunk, difference } = shrinkRun(drawn, error);
      process.stdout.write(`${difference.trace.join('\n')}\n\n${difference.message}\n`);
      process.stdout.write(
        `run ${run} differs from the naive model, shrunk to ${shrunk.operations.length} operations\n`,
      );
      process.stdout.write(`again: make properties SEED=${seed} FROM=${run} RUNS=1\n`);
      return 1;
    }
  }
  for (const [what, times] of [...seen].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    process.stdout.write(`${String(times).padStart(10)} ${what}\n`);
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  process.stdout.write(`${runs} runs, ${events} events in ${seconds} s, seed ${seed}: no difference\n`);
  return 0;
}

process.exitCode = main();
