import type { DrillEvidence, DrillRound, LoadObservation } from './drill-evidence.ts';

const SDK_ERRORS: ReadonlySet<LoadObservation['type']> = new Set(['failed', 'job-failed']);

/**
 * The rounds with what users and task executors saw in each, from its fault to the next one: what comes when a round has
 * been summed up, or while the drill waits for the next fault, was brought about by the fault before. What came before
 * any fault counts for the first round, so that no error is left out of the sum.
 */
export function countInRounds({
  rounds,
  observations,
  refusals,
}: Pick<DrillEvidence, 'rounds' | 'observations' | 'refusals'>): DrillRound[] {
  return rounds.map((round, index) => {
    const fromMs = index === 0 ? -Infinity : round.faultAtWallMs;
    const toMs = rounds[index + 1]?.faultAtWallMs ?? Infinity;
    const isWithin = ({ atWallMs }: { readonly atWallMs: number }): boolean =>
      atWallMs >= fromMs && atWallMs < toMs;
    const seen = observations.filter(isWithin);
    return {
      ...round,
      sdkErrors: seen.filter(({ type }) => SDK_ERRORS.has(type)).length,
      leasesLost: seen.filter(({ type }) => type === 'lost').length,
      staleRefused: refusals.filter((refusal) => refusal.code === 'FENCED' && isWithin(refusal)).length,
    };
  });
}
