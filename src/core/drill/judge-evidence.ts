import { audit } from '../audit/audit.ts';
import type { ConfirmedTerm } from '../audit/confirmed-terms.ts';
import { formatPlace } from '../audit/journal-facts.ts';
import type { WriteLog } from '../audit/store-writes.ts';
import type { Violation } from '../audit/violation.ts';
import { formatToken, sameToken } from '../fencing-token.ts';
import {
  DRILL_GUARANTEES,
  type DrillEvidence,
  type DrillGuarantee,
  type DrillVerdict,
} from './drill-evidence.ts';
import { DrillFindings } from './findings.ts';
import { judgeLeases } from './judge-leases.ts';
import { judgeLoad } from './judge-load.ts';
import { judgeOverlap } from './judge-overlap.ts';
import { judgeSlots } from './judge-slots.ts';

/**
 * Judges a drill by all nine guarantees, from journals, from etcd's revisions and from what users saw. `log` is what the
 * events of the evidence say. A guarantee is `held` only when there was something to judge it by. Pure.
 */
export function judgeEvidence(evidence: DrillEvidence, log: WriteLog): DrillVerdict {
  const { store, journals, observations, rounds } = evidence;
  const findings = new DrillFindings(evidence);
  const { violations, judged, confirmed: terms } = audit(store, journals, log);
  const timeOf = timesOf(evidence);
  for (const { guarantee, rule, detail, keys, revisions, places } of violations) {
    const where = [...keys, ...revisions.map((revision) => `revision ${revision}`), ...places];
    findings.add(guarantee, rule, detail, where, timeOf({ revisions, places }));
  }
  const overlapMs = judgeOverlap(evidence, terms, findings);
  const requests = judgeLoad(evidence, findings);
  const timesInHand = judgeSlots(evidence, findings);
  const observedTokens = judgeObservedTokens(evidence, terms, findings);
  const renewals = judgeLeases(evidence, findings);
  const changes = judgeLiveness(evidence, findings);
  const grants = journals.executors.filter(({ event }) => event === 'grant').length;
  const tokens = [...journals.executors, ...journals.masters].filter(
    ({ event }) => event === 'token-adopted',
  );
  const claims = observations.filter(({ type }) => type === 'claimed').length;
  const isSeen: Readonly<Record<DrillGuarantee, boolean>> = {
    G1: judged.leaderRecords + judged.registrations > 0,
    G2: tokens.length > 0,
    G3: judged.leases > 0 && judged.holdings > 0,
    G4: judged.holdings > 0 || claims > 0,
    G5: terms.length > 0 && judged.tokens > 0,
    G6: terms.length > 1 && grants > 0,
    G7: requests > 0,
    G8: changes > 0,
    G9: renewals > 0,
  };
  const broken = new Set(findings.violations.map(({ guarantee }) => guarantee));
  const guarantees = Object.fromEntries(
    DRILL_GUARANTEES.map((name) => [name, broken.has(name) ? 'broken' : isSeen[name] ? 'held' : 'unseen']),
  ) as DrillVerdict['guarantees'];
  return {
    guarantees,
    violations: findings.violations,
    judged: {
      ...judged,
      writes: log.reduce((sum, { writes }) => sum + writes.length, 0),
      tokensAdopted: tokens.length,
      grants,
      requests,
      claims,
      timesInHand,
      observedTokens,
      renewals,
      rounds: rounds.length,
      changesOfLeader: changes,
      overlapAtMostMs: Math.ceil(overlapMs),
    },
  };
}

/** A leader is confirmed within the bound that the configured times give (G8). Returns how many had to be. */
function judgeLiveness({ rounds, liveWithinMs }: DrillEvidence, findings: DrillFindings): number {
  const lost = rounds.filter(({ confirmMs, leaderlessMs }) => confirmMs !== null || leaderlessMs !== null);
  for (const { round, fault, confirmMs, leaderlessMs, faultAtWallMs } of lost) {
    const tookMs = confirmMs ?? leaderlessMs ?? 0;
    if (tookMs <= liveWithinMs) continue;
    const detail = `After ${fault} a leader was confirmed in ${Math.round(tookMs)} ms, not within ${liveWithinMs} ms.`;
    findings.add('G8', 'confirmed-too-late', detail, [`round ${round}`], faultAtWallMs);
  }
  return lost.length;
}

/** Whom a job obeyed when it got a slot had been confirmed (G5). Returns how many tokens were looked at. */
function judgeObservedTokens(
  { observations }: DrillEvidence,
  terms: readonly ConfirmedTerm[],
  findings: DrillFindings,
): number {
  const seen = new Set<string>();
  for (const claim of observations) {
    if (claim.type !== 'claimed' || claim.token === null) continue;
    const { token, requestId, atWallMs } = claim;
    const name = `${formatToken(token)} ${token.leaderSessionId}`;
    if (seen.has(name)) continue;
    seen.add(name);
    if (terms.some((term) => sameToken(term.token, token))) continue;
    const detail = `Token ${formatToken(token)} was obeyed, but no such leader session was ever confirmed.`;
    findings.add('G5', 'token-never-confirmed', detail, [`request ${requestId}`], atWallMs);
  }
  return seen.size;
}

/** Tells when something was written that a violation names; null when nothing tells. */
function timesOf({
  events,
  journals,
}: DrillEvidence): (violation: Pick<Violation, 'revisions' | 'places'>) => number | null {
  const byRevision = new Map(events.map(({ revision, receivedWallMs }) => [revision, receivedWallMs]));
  const byPlace = new Map(
    [...journals.executors, ...journals.masters].map((line) => [formatPlace(line), line.wallMs]),
  );
  return ({ revisions, places }) => {
    const [revision] = revisions;
    const ofStore = revision === undefined ? undefined : byRevision.get(revision);
    const ofJournal = places.flatMap((place) => byPlace.get(place) ?? []);
    return ofStore ?? (ofJournal.length === 0 ? null : Math.max(...ofJournal));
  };
}
