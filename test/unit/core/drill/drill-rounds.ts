import type { DrillLeader, DrillRound } from '../../../../src/core/drill/drill-evidence.ts';

/** A leader of that epoch, as a confirm tells of it. */
export function leaderOf(resourceManagerId: string, epoch: bigint): DrillLeader {
  return { resourceManagerId, generation: 1, epoch, leaderSessionId: `session-${epoch}` };
}

/** A round in which a leader was followed by another without any trouble, but for what is given. */
export function roundWith(given: Partial<DrillRound> = {}): DrillRound {
  return {
    round: 1,
    scenario: 'kill-leader',
    fault: 'SIGKILL to rm-1',
    faultAtWallMs: 1_000,
    leaderBefore: leaderOf('rm-1', 3n),
    leaderAfter: leaderOf('rm-2', 4n),
    confirmMs: 10,
    leaderlessMs: 15,
    firstGrantMs: 20,
    fellBackToTtl: false,
    ended: { reason: 'deposed', evidence: 'nobody listens there any more' },
    waitingAtFault: 5,
    needlessChanges: 0,
    sdkErrors: 0,
    staleRefused: 0,
    leasesLost: 0,
    doubleGrants: 0,
    requestsLost: 0,
    overlapMs: 0,
    marks: [],
    ...given,
  };
}
