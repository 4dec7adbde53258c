import { writeFileSync } from 'node:fs';
import { FailedRun, leaderCrash } from './leader-crash.ts';
import { trouble } from './trouble.ts';
import { workerTrouble } from './worker-trouble.ts';

const SCENARIOS = { 'leader-crash': leaderCrash, trouble, 'worker-trouble': workerTrouble } as const;

function isScenario(name: string): name is keyof typeof SCENARIOS {
  return Object.hasOwn(SCENARIOS, name);
}

/** `SCENARIO` names one of them, `trouble` unless given; `SEEDS=n` runs that many seeds from `FROM` on; `SEED=n` runs one and writes its trace to `TRACE` if that is given. */
async function main(): Promise<number> {
  const single = process.env['SEED'];
  const from = Number(single ?? process.env['FROM'] ?? 1);
  const count = single === undefined ? Number(process.env['SEEDS'] ?? 20) : 1;
  const name = process.env['SCENARIO'] ?? 'trouble';
  if (!isScenario(name)) throw new Error(`There is no scenario ${name}.`);
  const scenario = SCENARIOS[name];
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
