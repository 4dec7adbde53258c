import { writeFileSync } from 'node:fs';
import { compareTraces } from './determinism.ts';
import { runSeeds } from './run-seeds.ts';
import { reportFailure } from './seed-report.ts';
import { storm, StormFailure } from './storm.ts';
import type { Totals } from './totals.ts';

/** Seeds `from` to `from + count - 1`. */
export interface StormRun {
  readonly from: number;
  readonly count: number;
  readonly workers: number;
  /** Root of a compiled copy whose simulator and classes are played. */
  readonly dist?: string | undefined;
}

/** Who tells a person what has come out. */
export type Say = (text: string) => void;

const PROGRESS_MS = 10_000;

/** Plays many seeds; stops at the first violation, which it tells how to see again. Returns the exit code. */
export async function playStorm({ from, count, workers, dist }: StormRun, say: Say): Promise<number> {
  const startMs = performance.now();
  let toldMs = startMs;
  const onSeed = (totals: Totals): void => {
    const nowMs = performance.now();
    if (nowMs - toldMs < PROGRESS_MS) return;
    toldMs = nowMs;
    process.stderr.write(`${progress(totals, count, nowMs - startMs)}\n`);
  };
  const { totals, failures } = await runSeeds({ seeds: seedsOf(from, count), workers, dist, onSeed });
  say(totals.text());
  for (const { text } of failures) say(text);
  const unseen = failures.length === 0 ? totals.unseen() : [];
  for (const what of unseen) say(`never seen in ${count} seeds: ${what}`);
  const seconds = (performance.now() - startMs) / 1_000;
  say(
    `${totals.seeds} seeds passed, ${failures.length} failed, in ${seconds.toFixed(1)} s on ${workers} threads`,
  );
  return failures.length === 0 && unseen.length === 0 ? 0 : 1;
}

/** Plays the seeds three times, in two orders, on several threads and on one. Returns the exit code. */
export async function checkDeterminism({ from, count, workers }: StormRun, say: Say): Promise<number> {
  const { differing, digest } = await compareTraces(seedsOf(from, count), workers);
  if (differing.length === 0)
    say(`${count} seeds, three times, in two orders: the same traces, hash ${digest.slice(0, 32)}`);
  else say(`the traces differ of seeds ${differing.join(', ')}`);
  return differing.length === 0 ? 0 : 1;
}

/** Plays one seed, with some of its faults only (`none`, or their numbers) if that is asked. Returns the exit code. */
export async function playOne(
  seed: number,
  { faults, traceFile }: { readonly faults?: string | undefined; readonly traceFile?: string | undefined },
  say: Say,
): Promise<number> {
  const keep =
    faults === undefined || faults === ''
      ? undefined
      : faults === 'none'
        ? []
        : faults.split(',').map(Number);
  const write = (lines: readonly string[]): void => {
    if (traceFile !== undefined) writeFileSync(traceFile, `${lines.join('\n')}\n`);
  };
  try {
    const result = await storm(seed, { keep, onTrace: write });
    say(JSON.stringify(result, null, 2));
    return 0;
  } catch (error) {
    if (!(error instanceof StormFailure)) throw error;
    if (keep === undefined) {
      const report = await reportFailure(error);
      write(report.trace);
      say(report.text);
    } else {
      write(error.trace);
      for (const { number, atMs, what, where } of error.struck)
        say(`${atMs.toFixed(1)} ms, number ${number}: ${what}, ${where}`);
      say(`seed ${seed} broke ${error.invariant}, ${error.atMs.toFixed(1)} ms into it: ${error.message}`);
    }
    return 1;
  }
}

function seedsOf(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

function progress(totals: Totals, count: number, elapsedMs: number): string {
  const perSecond = totals.seeds / (elapsedMs / 1_000);
  const left = (count - totals.seeds) / perSecond / 60;
  return (
    `${totals.seeds} of ${count} seeds, ${totals.leaderChanges} leader changes, ${totals.clusterYears.toFixed(4)} cluster-years, ` +
    `${perSecond.toFixed(1)} seeds/s, about ${left.toFixed(0)} min left`
  );
}
