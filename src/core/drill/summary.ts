import { distributionOf } from './distribution.ts';
import type { DrillRound, DrillSummary } from './drill-evidence.ts';

/** The numbers of these rounds together, under that name. */
export function summarize(scenario: string, rounds: readonly DrillRound[]): DrillSummary {
  const total = (of: (round: DrillRound) => number): number =>
    rounds.reduce((sum, round) => sum + of(round), 0);
  const times = (of: (round: DrillRound) => number | null): number[] =>
    rounds.flatMap((round) => of(round) ?? []);
  return {
    scenario,
    rounds: rounds.length,
    leaderlessMs: distributionOf(times((round) => round.leaderlessMs)),
    firstGrantMs: distributionOf(times((round) => round.firstGrantMs)),
    overlapMs: { max: Math.max(0, ...rounds.map((round) => round.overlapMs)) },
    needlessChanges: total((round) => round.needlessChanges),
    sdkErrors: total((round) => round.sdkErrors),
    staleRefused: total((round) => round.staleRefused),
    leasesLost: total((round) => round.leasesLost),
    doubleGrants: total((round) => round.doubleGrants),
    requestsLost: total((round) => round.requestsLost),
    fellBackToTtl: rounds.filter((round) => round.fellBackToTtl).length,
  };
}
