import { spawn } from 'node:child_process';
import type { Check } from './mutant.ts';

/** What a check says of one copy. */
export interface CheckOutcome {
  /** What was found, in the words of whoever found it; null when nothing was. */
  readonly finding: string | null;
  /** How many seeds were run, the one that failed included; null where there are none. */
  readonly seeds: number | null;
  /** Why it says nothing, such as a process that died; null when it ran to its end or to a finding. */
  readonly failure: string | null;
}

/** What one line of a program's output says. */
export interface Line {
  readonly finding?: string;
  /** The one that has failed. */
  readonly seed?: number;
  /** How many have passed. */
  readonly passed?: number;
}

interface Program {
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly read: (line: string) => Line;
}

const MOCHA = 'node_modules/mocha/bin/mocha.js';
/** A run that broke an expectation says so in one of these ways; whatever else goes wrong is no finding. */
const SEED_FAILED = [
  /^seed (?<seed>\d+) broke (?<finding>(?:G\d|books)\b.*)$/,
  /^seed (?<seed>\d+)(?:, at [\d.]+ ms)?: (?<finding>(?:G\d|books)\b.*?)(?:; replay: .*)?$/,
];
const MANAGERS_DIFFER = /^run (?<run>\d+) (?<finding>differs from the naive model.*)$/;
const SEEDS_PASSED = /^(?:seed \d+: \d+ events|(?<all>\d+) seeds passed)/;

/** What a line of `make simulate` says of a seed. */
export function readSeedLine(line: string): Line {
  for (const pattern of SEED_FAILED) {
    const { finding, seed } = pattern.exec(line)?.groups ?? {};
    if (finding !== undefined) return { finding, seed: Number(seed) };
  }
  const passed = SEEDS_PASSED.exec(line);
  return passed === null ? {} : { passed: Number(passed.groups?.['all'] ?? 1) };
}

function programOf(check: Check, from: number): Program {
  switch (check.kind) {
    case 'simulation':
      return {
        arguments: ['dist/test/simulation/simulate.js'],
        // One after the other: it is said how many are needed.
        environment: {
          SCENARIO: check.scenario,
          SEEDS: String(check.seeds),
          FROM: String(from),
          WORKERS: '1',
        },
        read: readSeedLine,
      };
    case 'comparison':
      return {
        arguments: ['dist/test/slot-model/main.js'],
        environment: { SEED: '2026', RUNS: String(check.seeds), FROM: String(from) },
        read: (line) => {
          const { run, finding } = MANAGERS_DIFFER.exec(line)?.groups ?? {};
          if (run !== undefined && finding !== undefined)
            return { finding: `books: ${finding}`, seed: Number(run) };
          return { passed: Number(/^(\d+) runs, .* no difference$/.exec(line)?.[1] ?? 0) };
        },
      };
    case 'exploration':
      return {
        arguments: ['--max-old-space-size=4096', 'dist/test/exhaustive/exhaustive.js'],
        environment: { WORLD: check.world },
        read: (line) => {
          const finding = /^\s*VIOLATION: (.*)$/.exec(line)?.[1];
          return finding === undefined ? {} : { finding };
        },
      };
    case 'test':
      return {
        arguments: [
          MOCHA,
          '--reporter',
          'tap',
          '--fgrep',
          check.title,
          `dist/test/${check.file.replace(/\.ts$/, '.js')}`,
        ],
        environment: {},
        read: (line) => {
          const finding = /^not ok \d+ (.*)$/.exec(line)?.[1];
          return { ...(finding !== undefined && { finding }), passed: /^ok \d+ /.test(line) ? 1 : 0 };
        },
      };
  }
}

/** Runs a check in a copy until it finds something, ends, or `timeoutMs` have passed; seeds begin with `from`. */
export function runCheck(
  folder: string,
  check: Check,
  timeoutMs: number,
  from: number,
): Promise<CheckOutcome> {
  const program = programOf(check, from);
  return new Promise((resolve) => {
    const child = spawn(process.execPath, program.arguments, {
      cwd: folder,
      env: { PATH: process.env['PATH'], ...program.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let rest = '';
    let last = '';
    let passed = 0;
    let settled = false;
    const settle = (finding: string | null, failure: string | null, seed = passed): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      child.kill('SIGKILL');
      const counted = check.kind === 'simulation' || check.kind === 'comparison';
      const seeds = !counted ? null : finding === null ? passed : seed - from + 1;
      resolve({ finding, seeds, failure });
    };
    const timer = setTimeout(() => settle(null, `not ended after ${timeoutMs / 1_000} s`), timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const said = program.read(line);
        if (said.finding !== undefined) settle(said.finding, null, said.seed);
        passed += said.passed ?? 0;
        if (line !== '') last = line;
      }
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      last = text.trim().split('\n').at(-1) ?? last;
    });
    child.once('error', (error) => settle(null, error.message));
    child.once('close', (code) => {
      const silent = check.kind === 'test' && passed === 0;
      settle(null, code !== 0 || silent ? `ended with exit code ${code}: ${last}` : null);
    });
  });
}
