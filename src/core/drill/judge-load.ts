import type { DrillEvidence, LoadObservation } from './drill-evidence.ts';
import type { DrillFindings } from './findings.ts';

type Claim = Extract<LoadObservation, { readonly type: 'claimed' }>;

/**
 * Judges what the users of the SDK saw. Each request ends, once: fulfilled, failed with a reason, or cancelled; no claimed
 * lease is lost (G7). No grant and no allocation is claimed twice (G3, G4). Returns how many requests there were.
 */
export function judgeLoad(
  { observations }: Pick<DrillEvidence, 'observations'>,
  findings: DrillFindings,
): number {
  const asked = new Map<number, LoadObservation & { readonly type: 'asked' }>();
  const ended = new Map<number, string>();
  const failedJobs = new Set<string>();
  for (const seen of observations) {
    if (seen.type === 'job-failed') {
      failedJobs.add(seen.jobId);
      continue;
    }
    const { type, requestId, atWallMs } = seen;
    const places = [`request ${requestId} of ${seen.jobId}`];
    if (type === 'asked') asked.set(requestId, seen);
    if (type === 'lost' && seen.excused === null) {
      const detail = `The lease of ${seen.slot} was lost: ${seen.code}, ${seen.detail}`;
      findings.add('G7', 'lease-lost', detail, [...places, seen.slot], atWallMs);
    }
    if (type !== 'claimed' && type !== 'failed' && type !== 'cancelled') continue;
    const before = ended.get(requestId);
    if (before !== undefined) {
      findings.add('G7', 'request-ended-twice', `It was ${before}, and then ${type}.`, places, atWallMs);
    }
    if (type === 'failed' && seen.code === '') {
      findings.add('G7', 'failed-without-reason', 'It failed and no reason was given.', places, atWallMs);
    }
    ended.set(requestId, type);
  }
  for (const { requestId, jobId, purpose, atWallMs } of asked.values()) {
    if (ended.has(requestId) || failedJobs.has(jobId)) continue;
    const detail = `A request (${purpose}) was never fulfilled, failed or cancelled.`;
    findings.add('G7', 'request-lost', detail, [`request ${requestId} of ${jobId}`], atWallMs);
  }
  judgeClaims(
    observations.filter((seen) => seen.type === 'claimed'),
    findings,
  );
  return asked.size;
}

function judgeClaims(claims: readonly Claim[], findings: DrillFindings): void {
  const byGrant = new Map<string, Claim>();
  const byAllocation = new Map<string, Claim>();
  for (const claim of claims) {
    const { slot, grantNumber, allocationId, requestId, atWallMs } = claim;
    const grant = `${slot}#${grantNumber}`;
    const places = (other: Claim): string[] => [slot, `request ${other.requestId}`, `request ${requestId}`];
    const twice = byGrant.get(grant);
    if (twice !== undefined) {
      findings.add('G3', 'grant-claimed-twice', `Grant ${grant} has two users.`, places(twice), atWallMs);
    }
    const other = byAllocation.get(allocationId);
    if (other !== undefined && other.slot !== slot) {
      const detail = `Allocation ${allocationId} was shown ${other.slot} and ${slot}.`;
      findings.add('G4', 'allocation-claimed-twice', detail, places(other), atWallMs);
    }
    byGrant.set(grant, claim);
    byAllocation.set(allocationId, claim);
  }
}
