import type { DrillEvidence, LoadObservation } from './drill-evidence.ts';
import type { DrillFindings } from './findings.ts';

type InHand = Extract<LoadObservation, { readonly type: 'claimed' }>;

interface SlotHistory {
  highestGrant: number;
  holder: InHand | null;
}

/**
 * Judges the history of each slot as a lock with fencing, as its users saw it (G3): nobody has it in hand while another
 * one has, and grant numbers grow from user to user, so that an outside system which remembers the highest one lets no
 * former user in. Users share one clock, so there is no tolerance. Returns how many times in hand were judged.
 */
export function judgeSlots(
  { observations }: Pick<DrillEvidence, 'observations'>,
  findings: DrillFindings,
): number {
  const slots = new Map<string, SlotHistory>();
  let judged = 0;
  for (const seen of observations) {
    if (seen.type !== 'claimed' && seen.type !== 'released' && seen.type !== 'lost') continue;
    const history = slots.get(seen.slot) ?? { highestGrant: -1, holder: null };
    slots.set(seen.slot, history);
    if (seen.type === 'claimed') {
      judged += 1;
      judgeClaim(seen, history, findings);
    } else if (history.holder?.grantNumber === seen.grantNumber) {
      history.holder = null;
    }
  }
  return judged;
}

function judgeClaim(claim: InHand, history: SlotHistory, findings: DrillFindings): void {
  const { slot, grantNumber, requestId, atWallMs } = claim;
  const { holder, highestGrant } = history;
  if (holder !== null) {
    const detail = `Grant ${grantNumber} came to hand while grant ${holder.grantNumber} was in hand.`;
    const places = [slot, `request ${holder.requestId}`, `request ${requestId}`];
    findings.add('G3', 'slot-in-two-hands', detail, places, atWallMs);
  }
  if (grantNumber <= highestGrant) {
    const detail = `Grant ${grantNumber} came to hand after grant ${highestGrant}.`;
    findings.add('G3', 'grant-number-fell', detail, [slot, `request ${requestId}`], atWallMs);
  }
  history.highestGrant = Math.max(highestGrant, grantNumber);
  history.holder = claim;
}
