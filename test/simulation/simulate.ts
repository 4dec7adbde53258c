import { writeFileSync } from 'node:fs';
import { FailedRun, leaderCrash, type Result } from './leader-crash.ts';
import { FAILOVER_SCENARIOS } from './failover-scenarios.ts';
import { failover } from './failover.ts';
import { checkDeterminism, playOne, playStorm, type StormRun } from './storm/play-storm.ts';
import { trouble } from './trouble.ts';
import { workerTrouble } from './worker-trouble.ts';

const SCENARIOS = new Map<string, (seed: number) => Promise<Result>>([
  ['trouble', trouble],
  ['worker-trouble', workerTrouble],
  ['leader-crash', leaderCrash],
  ...Object.keys(FAILOVER_SCENARIOS).map((name) => [name, (seed: number) => failover(name, seed)] as const),
]);

const say = (text: string): void => void process.stdout.write(`${text}\n`);

/**
 * `SCENARIO` names one of them, `storm` unless given; `SEEDS=n` plays that many seeds from `FROM` on; `SEED=n` plays one
 * and writes its trace to `TRACE` if that is given. Of a storm, `FAULTS=1,5` keeps only those of its schedule,
 * `WORKERS=n` sets the threads, `DETERMINISM=1` plays the seeds three times and compares the traces, and `DIST` plays
 * the simulator and the classes of another compiled copy.
 */
async function main(): Promise<number> {
  const { env } = process;
  const name = env['SCENARIO'] ?? 'storm';
  const single = env['SEED'] === undefined ? null : wholeNumber('SEED', 0);
  const from = wholeNumber('FROM', 1);
  if (name !== 'storm')
    return playScenario(
      name,
      single === null ? { from, count: wholeNumber('SEEDS', 20) } : { from: single, count: 1 },
    );
  if (single !== null) return playOne(single, { faults: env['FAULTS'], traceFile: env['TRACE'] }, say);
  const run: StormRun = {
    from,
    count: wholeNumber('SEEDS', 100),
    workers: wholeNumber('WORKERS', 2),
    dist: env['DIST'],
  };
  return env['DETERMINISM'] === undefined ? playStorm(run, say) : checkDeterminism(run, say);
}

function wholeNumber(name: string, otherwise: number): number {
  const text = process.env[name];
  const number = text === undefined || text === '' ? otherwise : Number(text);
  if (!Number.isSafeInteger(number) || number < 0)
    throw new Error(`${name} must be a whole number, not ${text}.`);
  return number;
}

async function playScenario(name: string, { from, count }: { from: number; count: number }): Promise<number> {
  const scenario = SCENARIOS.get(name);
  if (scenario === undefined) {
    throw new Error(`There is no scenario ${name}, only storm, ${[...SCENARIOS.keys()].join(', ')}.`);
  }
  let failed = 0;
  for (let seed = from; seed < from + count; seed++) {
    try {
      const { digest, events, trouble: broken, ...more } = await scenario(seed);
      say(
        `seed ${seed}: ${events} events, ${broken} broken links, trace ${digest.slice(0, 16)} ${JSON.stringify(more)}`,
      );
    } catch (error) {
      failed += 1;
      say(error instanceof Error ? error.message : String(error));
      const file = process.env['TRACE'];
      if (file !== undefined && error instanceof FailedRun)
        writeFileSync(file, `${error.lines.join('\n')}\n`);
    }
  }
  say(`${count - failed} of ${count} seeds passed`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
