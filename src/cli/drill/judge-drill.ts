import type { WriteLog } from '../../core/audit/store-writes.ts';
import type { DrillEvidence, DrillRound, DrillVerdict } from '../../core/drill/drill-evidence.ts';
import { countInRounds } from '../../core/drill/count-in-rounds.ts';
import { judgeEvidence } from '../../core/drill/judge-evidence.ts';

/** Rules whose breach is that two had one slot, or one request two slots. */
const TWICE: ReadonlySet<string> = new Set([
  'slot-leased-twice',
  'grant-number-fell',
  'quarantine-broken',
  'two-users',
  'grant-claimed-twice',
  'slot-in-two-hands',
  'allocation-leased-twice',
  'allocation-holds-two',
  'allocation-claimed-twice',
]);

/**
 * Judges a drill by its evidence, and by requests that waited at a fault and got nothing although all was well again.
 * The rounds come back with the slots that were granted twice in each, and with errors and refusals counted up to the next
 * fault; what belongs to no round counts for the first.
 */
export function judgeDrill(
  evidence: DrillEvidence,
  log: WriteLog,
): { readonly verdict: DrillVerdict; readonly rounds: readonly DrillRound[] } {
  const { guarantees, violations, judged } = judgeEvidence(evidence, log);
  const starved = evidence.rounds.filter(({ requestsLost }) => requestsLost > 0);
  const verdict: DrillVerdict = {
    judged,
    guarantees: starved.length > 0 ? { ...guarantees, G7: 'broken' } : guarantees,
    violations: [
      ...violations,
      ...starved.map(({ round, requestsLost }) => ({
        guarantee: 'G7' as const,
        rule: 'request-starved',
        detail: `${requestsLost} requests that waited at the fault got no slot and no answer.`,
        places: [],
        round,
      })),
    ],
  };
  const [first] = evidence.rounds;
  const rounds = countInRounds(evidence).map((round) => ({
    ...round,
    doubleGrants: violations.filter(
      (violation) => TWICE.has(violation.rule) && (violation.round ?? first?.round) === round.round,
    ).length,
  }));
  return { verdict, rounds };
}
