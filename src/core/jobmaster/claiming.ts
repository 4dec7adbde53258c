import type { AllocationId } from '../ids.ts';
import type { SlotGrant } from '../messages/slots.ts';
import type { ProblemCode } from '../problem.ts';
import { HOLDER_SHARE } from '../timing.ts';
import { showIfProved } from './holding.ts';
import type { PoolState } from './pool-state.ts';
import {
  leaseKey,
  leaseText,
  peerId,
  type Claim,
  type Held,
  type PooledAllocation,
  type Withdrawal,
} from './pooled-allocation.ts';
import type { Answer } from './slot-pool-events.ts';

/** After this share of the time that a grant may stay unclaimed, the claim is given up. */
const GIVE_UP_SHARE = 0.5;

/** Answers that prove that the task executor holds nothing for this lease. */
export const HOLDS_NOTHING: ReadonlySet<ProblemCode> = new Set([
  'UNKNOWN_ALLOCATION',
  'SLOT_TAKEN',
  'STALE',
  'CONFLICT',
  'NOT_FOUND',
]);

/** Answers after which the same claim may still succeed. */
const CLAIM_AGAIN: ReadonlySet<ProblemCode> = new Set([
  'NO_ANSWER',
  'UNAVAILABLE',
  'OVERLOADED',
  'SUSPENDED',
  'REQUEST_TIMEOUT',
]);

/** Takes a grant of the leader: the first one wins; another one waits until that is decided. */
export function takeGrant(state: PoolState, grant: SlotGrant, nowMs: number): void {
  const allocation = state.allocations.get(grant.allocationId);
  if (allocation === undefined) return state.refuse(grant, nowMs);
  const { phase } = allocation;
  switch (phase.kind) {
    case 'waiting':
      return beginClaim(state, allocation, grant, nowMs, nowMs);
    case 'claiming':
      if (leaseText(phase.grant) === leaseText(grant)) return moveTo(state, phase, grant);
      return defer(state, allocation, grant, nowMs);
    case 'held':
      if (leaseText(phase.grant) === leaseText(grant)) return moveTo(state, phase, grant);
      return state.refuse(grant, nowMs);
    case 'withdrawing':
      if (phase.key !== leaseText(grant)) defer(state, allocation, grant, nowMs);
  }
}

/** Keeps the newest grant; the leader has given up the one before it. */
function defer(state: PoolState, allocation: PooledAllocation, grant: SlotGrant, nowMs: number): void {
  const before = allocation.deferred?.grant;
  allocation.deferred = { grant, receivedMs: nowMs };
  if (before !== undefined && leaseText(before) !== leaseText(grant)) state.refuse(before, nowMs);
}

/** Sends what is due of the claims at connected task executors. */
export function sendClaims(state: PoolState, nowMs: number): void {
  for (const peer of state.peers.values()) {
    if (!peer.connected || nowMs < peer.nextClaimMs) continue;
    peer.nextClaimMs = Infinity;
    for (const id of peer.claims) {
      const phase = state.allocations.get(id)?.phase;
      if (phase?.kind !== 'claiming' || phase.callId !== null) continue;
      if (nowMs < phase.retryAtMs) {
        peer.nextClaimMs = Math.min(peer.nextClaimMs, phase.retryAtMs);
        continue;
      }
      phase.callId = state.nextCallId();
      phase.firstSentMs ??= nowMs;
      const lease = leaseKey(phase.grant);
      state.recordLease('claim-sent', phase.grant);
      state.out.push({ type: 'claimSlot', callId: phase.callId, peer: peer.id, lease });
    }
  }
}

/** The answer to a claim: in hand from its send time on, refused, or not known, in which case it is asked again. */
export function claimAnswered(
  state: PoolState,
  callId: number,
  allocationId: AllocationId,
  answer: Answer<{ readonly durationMs: number }>,
  nowMs: number,
): void {
  const allocation = state.allocations.get(allocationId);
  const claim = allocation?.phase;
  if (allocation === undefined || claim?.kind !== 'claiming' || claim.callId !== callId) return;
  claim.callId = null;
  if (answer.ok) return claimed(state, allocation, claim, answer.reply.durationMs, nowMs);
  const { code } = answer.problem;
  if (code === 'SUPERSEDED') {
    state.out.push({ type: 'jobSuperseded', problem: answer.problem });
  } else if (HOLDS_NOTHING.has(code)) {
    state.recordLease('claim-refused', claim.grant, { code });
    dropClaim(state, claim);
    // Its reports tell the leader. The request is told again, in case they already have.
    allocation.gone.add(leaseText(claim.grant));
    askAgain(state, allocation, nowMs);
  } else if (CLAIM_AGAIN.has(code)) {
    claimLater(state, claim, nowMs);
  } else {
    giveUpClaim(state, allocation, claim, nowMs);
  }
}

/** Ends a claim without a slot: withdrawn when it may have reached the task executor, and asked for elsewhere. */
export function giveUpClaim(
  state: PoolState,
  allocation: PooledAllocation,
  claim: Claim,
  nowMs: number,
): void {
  const { grant } = claim;
  state.exclude(grant.slotId.resourceId, nowMs);
  const key = abandonClaim(state, claim, nowMs);
  if (key === null) {
    state.reject(grant, 'unreachable');
    askAgain(state, allocation, nowMs);
  } else {
    allocation.phase = { kind: 'withdrawing', key };
  }
}

/** Stops to claim; the key of the withdrawal, or null when nothing was ever sent. */
export function abandonClaim(state: PoolState, claim: Claim, nowMs: number): string | null {
  const { unclaimedMs, slotLeaseMs } = state.timing;
  const key =
    claim.firstSentMs === null
      ? null
      : state.withdraw(claim.grant, 'claim', unclaimedMs + slotLeaseMs, nowMs);
  dropClaim(state, claim);
  return key;
}

/** The task executor has let go of the lease, or must have: whoever waited for that goes on. */
export function withdrawalOver(state: PoolState, withdrawal: Withdrawal, nowMs: number): void {
  const { grant, key, of } = withdrawal;
  state.peers.get(peerId(grant))?.withdrawals.delete(key);
  if (of === 'lease') state.out.push({ type: 'releaseFinished', allocationId: grant.allocationId });
  const allocation = state.allocations.get(grant.allocationId);
  allocation?.gone.add(key);
  if (allocation?.phase.kind !== 'withdrawing' || allocation.phase.key !== key) return;
  state.reject(grant, 'unreachable');
  askAgain(state, allocation, nowMs);
}

/** The allocation has no slot: it is asked for again, unless another grant has come meanwhile. */
function askAgain(state: PoolState, allocation: PooledAllocation, nowMs: number): void {
  const { deferred } = allocation;
  state.wait(allocation);
  allocation.deferred = null;
  // An older one is told again, should the leader still mean it.
  const fresh = deferred !== null && nowMs < deferred.receivedMs + state.timing.unclaimedMs * GIVE_UP_SHARE;
  if (fresh) beginClaim(state, allocation, deferred.grant, deferred.receivedMs, nowMs);
}

function beginClaim(
  state: PoolState,
  allocation: PooledAllocation,
  grant: SlotGrant,
  receivedMs: number,
  nowMs: number,
): void {
  // A lease that is over, or on its way back because it was refused before, is nothing to claim.
  if (allocation.gone.has(leaseText(grant))) return;
  if (state.peers.get(peerId(grant))?.withdrawals.has(leaseText(grant)) === true) return;
  allocation.phase = {
    kind: 'claiming',
    grant,
    receivedMs,
    firstSentMs: null,
    callId: null,
    retryAtMs: nowMs,
    failures: 0,
    giveUpAtMs: receivedMs + state.timing.unclaimedMs * GIVE_UP_SHARE,
  };
  const peer = state.peerOf(grant);
  peer.claims.add(allocation.id);
  peer.nextClaimMs = -Infinity;
  state.recordLease('slot-granted', grant);
}

function claimed(
  state: PoolState,
  allocation: PooledAllocation,
  claim: Claim,
  durationMs: number,
  nowMs: number,
): void {
  // Repetitions are answered the same, so the lease may count from the first of them.
  const sentMs = claim.firstSentMs ?? nowMs;
  const deadlineMs = sentMs + durationMs * HOLDER_SHARE;
  if (nowMs >= deadlineMs) return giveUpClaim(state, allocation, claim, nowMs);
  const { grant } = claim;
  dropClaim(state, claim);
  // What waits may be served from there again.
  if (state.excluded.delete(grant.slotId.resourceId)) state.tellWaiting();
  state.requests.fulfilled(allocation.id);
  const held: Held = { kind: 'held', grant, sentMs, deadlineMs, durationMs, shown: false };
  allocation.phase = held;
  const peer = state.peerOf(grant);
  peer.held.add(allocation.id);
  peer.renewAfter(sentMs, durationMs);
  state.recordLease('slot-claimed', grant, { sentMs, deadlineMs });
  if (sentMs < state.latchedAtMs) peer.renewNow(nowMs);
  const { deferred } = allocation;
  allocation.deferred = null;
  if (deferred !== null) state.refuse(deferred.grant, nowMs);
  showIfProved(state, held, nowMs);
}

function claimLater(state: PoolState, claim: Claim, nowMs: number): void {
  const peer = state.peerOf(claim.grant);
  claim.retryAtMs = nowMs + peer.claimRetryMs(claim.failures);
  claim.failures += 1;
  peer.nextClaimMs = Math.min(peer.nextClaimMs, claim.retryAtMs);
}

function dropClaim(state: PoolState, claim: Claim): void {
  state.peers.get(peerId(claim.grant))?.claims.delete(claim.grant.allocationId);
}

/** The same lease at another address: its task executor has started again elsewhere. */
function moveTo(state: PoolState, phase: Claim | Held, grant: SlotGrant): void {
  if (phase.grant.address === grant.address) return;
  const before = state.peers.get(peerId(phase.grant));
  const { allocationId } = grant;
  const book = phase.kind === 'held' ? 'held' : 'claims';
  before?.[book].delete(allocationId);
  phase.grant = grant;
  const peer = state.peerOf(grant);
  peer[book].add(allocationId);
  if (phase.kind === 'held') {
    peer.nextRenewalMs = -Infinity;
  } else {
    phase.callId = null;
    peer.nextClaimMs = -Infinity;
  }
}
