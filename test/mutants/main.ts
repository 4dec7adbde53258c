import { type CheckOutcome, runCheck } from './run-check.ts';
import { ALL_MUTANTS } from './all-mutants.ts';
import type { Check, Comparison, Mutant, Simulation } from './mutant.ts';
import { plant } from './planted-copy.ts';

/** Copies that run beside each other. */
const AT_ONCE = 2;
const CHECK_SECONDS = 150;

interface Verdict {
  readonly mutant: Mutant;
  readonly finding: string | null;
  /** Which check it was, and with which seed. */
  readonly by: string;
  readonly seeds: number | null;
  readonly seconds: number;
}

function write(line: string): void {
  process.stdout.write(`${line}\n`);
}

function nameOf(check: Check): string {
  switch (check.kind) {
    case 'simulation':
      return check.scenario;
    case 'exploration':
      return `exhaustive: ${check.world}`;
    case 'test':
      return `test/${check.file}`;
    case 'comparison':
      return 'the naive model of the slot manager';
  }
}

/** Whether that seed passes where nothing is planted: else the finding is not of the mutant. */
async function control(
  check: Simulation | Comparison,
  seed: number,
  timeoutMs: number,
): Promise<CheckOutcome> {
  return runCheck('.', { ...check, seeds: 1 }, timeoutMs, seed);
}

/** Why what was found says nothing of the mutant; null when it does. */
async function doubt(check: Check, outcome: CheckOutcome, timeoutMs: number): Promise<string | null> {
  if ((check.kind !== 'simulation' && check.kind !== 'comparison') || outcome.seeds === null) return null;
  const { finding, failure } = await control(check, outcome.seeds, timeoutMs);
  const why = finding ?? failure;
  return why === null ? null : `seed ${outcome.seeds} fails without it, too: ${why}`;
}

async function judge(mutant: Mutant, timeoutMs: number): Promise<Verdict> {
  const copy = plant(mutant.patches);
  const start = performance.now();
  const seconds = (): number => (performance.now() - start) / 1_000;
  const survived: string[] = [];
  try {
    for (const check of mutant.checks) {
      const outcome = await runCheck(copy.folder, check, timeoutMs, 1);
      const { finding, seeds, failure } = outcome;
      if (finding !== null) {
        const why = await doubt(check, outcome, timeoutMs);
        if (why === null) return { mutant, finding, by: nameOf(check), seeds, seconds: seconds() };
        survived.push(`${nameOf(check)}: ${why}`);
        continue;
      }
      const ran = seeds === null ? 'nothing found' : `${seeds} seeds passed`;
      survived.push(`${nameOf(check)}: ${ran}${failure === null ? '' : `, ${failure}`}`);
    }
  } finally {
    copy.remove();
  }
  return { mutant, finding: null, by: survived.join('; '), seeds: null, seconds: seconds() };
}

function report({ mutant, finding, by, seeds, seconds }: Verdict): void {
  const took = `${seconds.toFixed(0)} s`;
  if (finding === null) return write(`SURVIVED ${mutant.name} (${mutant.after}), ${took}: ${by}`);
  const needed = seeds === null ? '' : `, seed ${seeds}`;
  write(`caught ${mutant.name}: ${by}${needed}, ${took}: ${finding}`);
}

function table(verdicts: readonly Verdict[]): void {
  write('\n| mutant | after | fell | found by | seeds needed | what was found |\n|---|---|---|---|---|---|');
  for (const { mutant, finding, by, seeds } of verdicts) {
    const what = (finding ?? 'SURVIVED').replaceAll('|', '\\|').slice(0, 160);
    const fell = /^(?:G\d|books)/.exec(what)?.[0] ?? '';
    write(
      `| ${mutant.name}: ${mutant.fault} | ${mutant.after} | ${fell} | ${by} | ${seeds ?? ''} | ${what} |`,
    );
  }
}

/** Whether a test alone has found what a simulation, a comparison or an exploration should have. */
function isWeak({ mutant, by }: Verdict): boolean {
  return mutant.checks.find((check) => nameOf(check) === by)?.kind === 'test';
}

/** All mutants, or those whose names hold `ONLY`; exit code 1 when one of them survives, or is found by a test alone. */
async function main(): Promise<number> {
  const only = process.env['ONLY'] ?? '';
  const timeoutMs = 1_000 * Number(process.env['CHECK_SECONDS'] ?? CHECK_SECONDS);
  const chosen = ALL_MUTANTS.filter(({ name }) => name.includes(only));
  if (chosen.length === 0) {
    throw new Error(
      `No mutant is named ${only}: there are ${ALL_MUTANTS.map(({ name }) => name).join(', ')}.`,
    );
  }
  const verdicts = new Map<Mutant, Verdict>();
  const waiting = [...chosen];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const verdict = await judge(next, timeoutMs);
      verdicts.set(next, verdict);
      report(verdict);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const all = chosen.flatMap((mutant) => verdicts.get(mutant) ?? []);
  table(all);
  const caught = all.filter(({ finding }) => finding !== null).length;
  const weak = all.filter((verdict) => verdict.finding !== null && isWeak(verdict));
  for (const { mutant, by } of weak)
    write(`\n${mutant.name} has been found by ${by} alone, not by the simulator`);
  write(`\n${caught} of ${chosen.length} mutants caught`);
  return caught === chosen.length && weak.length === 0 ? 0 : 1;
}

process.exitCode = await main();
