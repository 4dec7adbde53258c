import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseTap } from './support/tap-report.ts';

// `make test` after the build: format, lint, then all tests, the quick ones first. The last line is always
// `N passed, N failed` over everything; a step that fails as a whole, hangs or dies counts as one failure.

interface Step {
  readonly name: string;
  readonly program: string;
  readonly programArguments: readonly string[];
  readonly timeoutMs: number;
  /** Whether it writes one line of TAP for each test. */
  readonly tap: boolean;
}

interface Ended {
  readonly output: string;
  /** Null when it ended well. */
  readonly problem: string | null;
  readonly timedOut: boolean;
}

interface Outcome {
  readonly passed: number;
  readonly failures: readonly string[];
}

const BIN = 'node_modules/.bin';
const TESTS = 'dist/test';
/** All steps together end within this time. */
const ALL_STEPS_MS = 420_000;
const IN_PARALLEL = ['--parallel', '--jobs', '2'];
/** Tests that start processes or wait for real time. */
const SLOW = /[\\/](integration|e2e)[\\/]|-etcd\.test\.js$/;
/** Of those that take longest, the longest first: begun last, they would run alone in the end. */
const LONGEST_FIRST = [
  'rolling-upgrade',
  'lost-etcd',
  'failover',
  'drill',
  'dev-lifecycle',
  'coordination-store-etcd',
  'audit',
  'etcd-trouble',
  'drill-namespaces',
  'etcd-full',
  'asked-to-go',
  'etcd-access',
  'doctor',
  'etcd-model',
  'worker-provider',
  'operator-http',
];
/** Takes every core for itself. */
const MANY_STORMS = /[\\/]many-storms\.test\.js$/;

function mocha(name: string, files: readonly string[], timeoutMs: number, options: readonly string[]): Step {
  const programArguments = ['--reporter', 'tap', ...options, ...files];
  return { name, program: `${BIN}/mocha`, programArguments, timeoutMs, tap: true };
}

/** Its place among those that take longest; after all of them when it is none. */
function rankOf(file: string): number {
  const rank = LONGEST_FIRST.indexOf(basename(file, '.test.js'));
  return rank === -1 ? LONGEST_FIRST.length : rank;
}

function allSteps(): Step[] {
  const files = readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => join(TESTS, file))
    .sort();
  const slow = files.filter((file) => SLOW.test(file)).toSorted((a, b) => rankOf(a) - rankOf(b));
  const storms = files.filter((file) => MANY_STORMS.test(file));
  const quick = files.filter((file) => !SLOW.test(file) && !MANY_STORMS.test(file));
  const check = { timeoutMs: 120_000, tap: false };
  return [
    { name: 'format', program: `${BIN}/biome`, programArguments: ['format', '.'], ...check },
    { name: 'lint', program: `${BIN}/oxlint`, programArguments: ['--type-aware'], ...check },
    mocha('quick tests', quick, 60_000, IN_PARALLEL),
    mocha('simulation', storms, 120_000, []),
    mocha('slow tests', slow, 260_000, IN_PARALLEL),
  ];
}

/** Runs a program in a process group of its own, which is killed as a whole when time is up. */
function run(step: Step, timeoutMs: number): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(step.program, step.programArguments, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    let timedOut = false;
    const keep = (text: Buffer): void => {
      output += text.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const kill = (): void => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    };
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, timeoutMs);
    const interrupt = (): void => {
      kill();
      process.exit(130);
    };
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
    const settle = (problem: string | null): void => {
      clearTimeout(timer);
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
      resolve({ output, problem, timedOut });
    };
    child.once('error', (error) => settle(error.message));
    child.once('close', (code, signal) => {
      if (timedOut) settle(`did not end within ${Math.round(timeoutMs / 1_000)} s`);
      else settle(code === 0 ? null : `ended with ${signal ?? `exit code ${code}`}`);
    });
  });
}

function judge(step: Step, { output, problem, timedOut }: Ended): Outcome {
  if (!step.tap) return { passed: 0, failures: problem === null ? [] : [`${step.name} ${problem}`] };
  const { passed, failures, complete } = parseTap(output);
  // mocha's exit code is the number of failures; any other end of it is a failure of its own.
  const unexplained = problem !== null && (timedOut || failures.length === 0 || !complete);
  return { passed, failures: unexplained ? [...failures, `${step.name} ${problem}`] : failures };
}

/** The part of a step's output that a reader needs: all of it for a check, for tests what failed. */
function explanation(step: Step, output: string): string {
  if (!step.tap) return output.trimEnd();
  return output
    .split('\n')
    .filter((line) => !/^(ok \d+ |\d+\.\.\d+$|# )/.test(line))
    .join('\n')
    .trimEnd();
}

async function main(): Promise<void> {
  const write = (line: string): void => void process.stdout.write(`${line}\n`);
  const failures: string[] = [];
  let passed = 0;
  const deadlineMs = performance.now() + ALL_STEPS_MS;
  for (const step of allSteps()) {
    const startMs = performance.now();
    const timeoutMs = Math.max(1, Math.min(step.timeoutMs, deadlineMs - startMs));
    const ended = await run(step, timeoutMs);
    const outcome = judge(step, ended);
    if (outcome.failures.length > 0) write(explanation(step, ended.output));
    passed += outcome.passed;
    failures.push(...outcome.failures);
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
    const counts = step.tap ? `${outcome.passed} passed, ${outcome.failures.length} failed` : 'done';
    write(`${step.name}: ${outcome.failures.length > 0 && !step.tap ? 'failed' : counts} in ${seconds} s`);
  }
  if (failures.length > 0) {
    write('\nFailed:');
    for (const failure of failures) write(`  ${failure}`);
  }
  write(`\n${passed} passed, ${failures.length} failed`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

await main();
