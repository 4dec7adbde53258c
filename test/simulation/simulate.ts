import { writeFileSync } from 'node:fs';
import { FailedRun, leaderCrash, type Result } from './leader-crash.ts';
import { FAILOVER_SCENARIOS } from './failover-scenarios.ts';
import { failover } from './failover.ts';
import { StormFailure, storm } from './storm/storm.ts';
import { trouble } from './trouble.ts';
import { workerTrouble } from './worker-trouble.ts';

const SCENARIOS = new Map<string, (seed: number) => Promise<Result>>([
  ['storm', stormRun],
  ['trouble', trouble],
  ['worker-trouble', workerTrouble],
  ['leader-crash', leaderCrash],
  ...Object.keys(FAILOVER_SCENARIOS).map((name) => [name, (seed: number) => failover(name, seed)] as const),
]);

async function stormRun(seed: number): Promise<Result> {
  try {
    const { digest, events, faults, ...more } = await storm(seed);
    return { digest, events, trouble: Object.values(faults).reduce((sum, count) => sum + count, 0), ...more };
  } catch (error) {
    if (!(error instanceof StormFailure)) throw error;
    const struck = error.struck.map(
      ({ number, atMs, what, where }) => `  ${number} at ${atMs.toFixed(1)} ms: ${what}, ${where}`,
    );
    throw new Error(
      [`seed ${seed}: ${error.message}; replay: make simulate SEED=${seed}`, ...struck].join('\n'),
      { cause: error },
    );
  }
}

/** `SCENARIO` names one of them, `storm` unless given; `SEEDS=n` runs that many seeds from `FROM` on; `SEED=n` runs one and writes its trace to `TRACE` if that is given. */
async function main(): Promise<number> {
  const single = process.env['SEED'];
  const from = Number(single ?? process.env['FROM'] ?? 1);
  const count = single === undefined ? Number(process.env['SEEDS'] ?? 20) : 1;
  const name = process.env['SCENARIO'] ?? 'storm';
  const scenario = SCENARIOS.get(name);
  if (scenario === undefined) {
    throw new Error(`There is no scenario ${name}, only ${[...SCENARIOS.keys()].join(', ')}.`);
  }
  let failed = 0;
  for (let seed = from; seed < from + count; seed++) {
    try {
      const { digest, events, trouble: broken, ...more } = await scenario(seed);
      process.stdout.write(
        `seed ${seed}: ${events} events, ${broken} broken links, trace ${digest.slice(0, 16)} ${JSON.stringify(more)}\n`,
      );
    } catch (error) {
      failed += 1;
      process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
      const file = process.env['TRACE'];
      if (file !== undefined && error instanceof FailedRun)
        writeFileSync(file, `${error.lines.join('\n')}\n`);
    }
  }
  process.stdout.write(`${count - failed} of ${count} seeds passed\n`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
