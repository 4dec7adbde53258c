import type { ConfirmedTerm } from '../audit/confirmed-terms.ts';
import { formatPlace, tokenOf } from '../audit/journal-facts.ts';
import { compareTokens, formatToken } from '../fencing-token.ts';
import type { DrillEvidence } from './drill-evidence.ts';
import type { DrillFindings } from './findings.ts';

/**
 * A command that was under way when a higher term was confirmed may be accepted afterwards and is no overlap. Nothing
 * shows when it was sent, so what is accepted within this time is reported, and not called broken.
 */
const UNDER_WAY_MS = 100;

/**
 * Judges that no leader acts past its deadline (G6): for each grant that a task executor accepted, how long before a
 * higher term had been confirmed. The confirm counts from the moment at which its writer says to have decided it, or
 * at which the watch told of it, whichever is earlier; the grant at which its line was written: so it is an upper bound.
 * Returns the longest.
 */
export function judgeOverlap(
  { journals }: Pick<DrillEvidence, 'journals'>,
  terms: readonly ConfirmedTerm[],
  findings: DrillFindings,
): number {
  let longest = 0;
  for (const line of journals.executors) {
    if (line.event !== 'grant') continue;
    const token = tokenOf(line);
    for (const term of terms) {
      const { receivedWallMs, decidedWallMs } = term;
      if (receivedWallMs === null || compareTokens(term.token, token) <= 0) continue;
      const overlapMs = line.wallMs - Math.min(receivedWallMs, decidedWallMs ?? receivedWallMs);
      longest = Math.max(longest, overlapMs);
      if (overlapMs <= UNDER_WAY_MS) continue;
      const detail =
        `A grant of term ${formatToken(token)} was accepted ${Math.round(overlapMs)} ms after ` +
        `term ${formatToken(term.token)} had been confirmed.`;
      const places = [formatPlace(line), `revision ${term.revision}`];
      findings.add('G6', 'acted-past-deadline', detail, places, line.wallMs);
    }
  }
  return longest;
}
