import { audit } from '../../core/audit/audit.ts';
import {
  DRILL_GUARANTEES,
  type DrillEvidence,
  type DrillVerdict,
  type DrillViolation,
} from '../../core/drill/drill-evidence.ts';

/** Judges a drill by the audit of its journals and of etcd, and by what its rounds have counted. */
export function judgeDrill(evidence: DrillEvidence): DrillVerdict {
  const { violations, judged } = audit(evidence.store, evidence.journals);
  const found: DrillViolation[] = violations.map(({ guarantee, rule, detail, keys, revisions, places }) => ({
    guarantee,
    rule,
    detail,
    places: [...keys, ...revisions.map((revision) => `revision ${revision}`), ...places],
    round: null,
  }));
  for (const { round, leasesLost, requestsLost } of evidence.rounds) {
    const add = (rule: string, detail: string): void =>
      void found.push({ guarantee: 'G7', rule, detail, places: [], round });
    if (leasesLost > 0) add('lease-lost', `${leasesLost} leases ended that nobody had given back.`);
    if (requestsLost > 0) add('request-lost', `${requestsLost} requests that waited were never answered.`);
  }
  const broken = new Set(found.map(({ guarantee }) => guarantee));
  const guarantees = Object.fromEntries(
    DRILL_GUARANTEES.map((name) => [name, broken.has(name) ? 'broken' : 'held']),
  ) as DrillVerdict['guarantees'];
  return { guarantees, violations: found, judged };
}
