import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandContext } from '../../src/cli/command-context.ts';
import { EXIT_CODES } from '../../src/cli/exit-codes.ts';
import { toJson } from '../../src/rpc/wire-format.ts';
import { SystemClock } from '../../src/runtime/system-clock.ts';
import { SystemRandomness } from '../../src/runtime/system-randomness.ts';
import { runChaos } from './chaos.ts';
import { renderChaos } from './chaos-report.ts';

const MOST_SEEDS = 2 ** 32;

/** A number from the environment; throws with a sentence when it is none. */
function numberFrom(name: string, fallback: number, isFit: (value: number) => boolean, what: string): number {
  const text = process.env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (isFit(value)) return value;
  throw new Error(`${name} must be ${what}, but is ${text}.`);
}

/** `MINUTES` of faults, drawn from `SEED`; `JSON=1` prints the report as one line of JSON. */
async function main(): Promise<number> {
  const minutes = numberFrom(
    'MINUTES',
    5,
    (value) => value > 0 && value <= 1_440,
    'above 0 and at most 1440',
  );
  const isSeed = (value: number): boolean => Number.isInteger(value) && value >= 0 && value < MOST_SEEDS;
  const seed = numberFrom('SEED', Date.now() % MOST_SEEDS, isSeed, 'a whole number below 2^32');
  const clock = new SystemClock();
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interruption.abort(signal));
  const context: CommandContext = {
    environment: process.env,
    clock,
    randomness: new SystemRandomness(),
    print: (text) => process.stdout.write(`${text}\n`),
    warn: (text) => process.stderr.write(`${text}\n`),
    isTerminal: false,
    logStream: process.stderr,
    interruption: () => interruption.signal,
    insistence: () => interruption.signal,
    onUncaught: () => {},
    exit: (code) => process.exit(code),
  };
  const say = (line: string): void =>
    context.warn(`${new Date(clock.wallMs()).toISOString().slice(11, 23)}  ${line}`);
  const folder = mkdtempSync(join(tmpdir(), 'quartermaster-chaos-'));
  say(`seed ${seed}; the same faults again: make chaos MINUTES=${minutes} SEED=${seed}`);
  let isKept = true;
  try {
    const report = await runChaos({ context, signal: interruption.signal, seed, minutes, folder, say });
    isKept = report.kept !== null;
    context.print(process.env['JSON'] === '1' ? toJson(report) : renderChaos(report));
    if (report.faultsInAll === 0) {
      context.warn('No fault has struck: this run shows nothing.');
      return 1;
    }
    return report.violations.length > 0 ? EXIT_CODES.guaranteeViolated : 0;
  } catch (error) {
    isKept = !interruption.signal.aborted;
    throw error;
  } finally {
    if (isKept) say(`journals and logs are kept in ${folder}`);
    else rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

let code = 1;
try {
  code = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
}
// What a library keeps open after an interruption must not hold up the end.
process.exit(code);
