import { quantileOf } from '../../../src/cli/doctor/latency.ts';
import type { Round } from './round.ts';
import { FAULTS, type Fault } from './system.ts';

/** All rounds of one system under one fault. */
export interface Summary {
  readonly system: string;
  readonly fault: Fault;
  readonly rounds: number;
  /** Rounds in which nobody took over in time; they count in no quantile. */
  readonly failed: number;
  readonly tookOverMs: { readonly p50: number; readonly p90: number; readonly max: number } | null;
  /** Median until something had effect that the successor did. */
  readonly firstEffectMs: { readonly p50: number } | null;
  readonly effects: { readonly accepted: number; readonly late: number };
  readonly overlapMs: { readonly max: number; readonly rounds: number };
  /** By how much longer it took than the system in the first place, at the median. */
  readonly ratio: number | null;
}

/** One summary for each system and fault that has rounds, fault by fault, in the order of `systems`. */
export function summarize(rounds: readonly Round[], systems: readonly string[]): Summary[] {
  return FAULTS.flatMap((fault) => {
    const summaries = systems.flatMap((system) => {
      const own = rounds.filter((round) => round.system === system && round.fault === fault);
      return own.length === 0 ? [] : [summaryOf(system, fault, own)];
    });
    const base = summaries.find(({ system }) => system === systems[0])?.tookOverMs?.p50;
    return summaries.map((summary) => {
      const p50 = summary.tookOverMs?.p50;
      return { ...summary, ratio: base === undefined || p50 === undefined ? null : p50 / base };
    });
  });
}

function summaryOf(system: string, fault: Fault, rounds: readonly Round[]): Omit<Summary, 'ratio'> {
  const took = rounds.flatMap(({ tookOverMs }) => tookOverMs ?? []).toSorted((a, b) => a - b);
  const firsts = rounds.flatMap(({ firstEffectMs }) => firstEffectMs ?? []).toSorted((a, b) => a - b);
  const sum = (of: 'accepted' | 'late'): number => rounds.reduce((all, { effects }) => all + effects[of], 0);
  const overlaps = rounds.map((round) => round.overlapMs);
  return {
    system,
    fault,
    rounds: rounds.length,
    failed: rounds.length - took.length,
    tookOverMs:
      took.length === 0
        ? null
        : { p50: quantileOf(took, 0.5), p90: quantileOf(took, 0.9), max: quantileOf(took, 1) },
    firstEffectMs: firsts.length === 0 ? null : { p50: quantileOf(firsts, 0.5) },
    effects: { accepted: sum('accepted'), late: sum('late') },
    overlapMs: { max: Math.max(...overlaps), rounds: overlaps.filter((ms) => ms > 0).length },
  };
}
