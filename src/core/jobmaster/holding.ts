import type { AllocationId } from '../ids.ts';
import type { Problem, ProblemCode } from '../problem.ts';
import { HOLDER_SHARE } from '../timing.ts';
import type { PoolState } from './pool-state.ts';
import { leaseText, peerId, type Held, type PooledAllocation } from './pooled-allocation.ts';
import type { Answer, LeaseEnd, PeerId, PerAllocation } from './slot-pool-events.ts';

/** Answers of a task executor that end a lease; after any other the renewal is sent again. */
const ENDS_LEASE: ReadonlySet<ProblemCode> = new Set([
  'UNKNOWN_ALLOCATION',
  'SLOT_TAKEN',
  'STALE',
  'CONFLICT',
  'NOT_FOUND',
]);

/** Whether the user may use the slot at this moment. */
export function isInHand(state: PoolState, held: Held, nowMs: number): boolean {
  return held.shown && held.sentMs >= state.latchedAtMs && nowMs < held.deadlineMs;
}

/** Gives the slot to its user once a claim or renewal begun after the last gap is acknowledged. */
export function showIfProved(state: PoolState, held: Held, nowMs: number): void {
  if (held.shown || held.sentMs < state.latchedAtMs || nowMs >= held.deadlineMs) return;
  held.shown = true;
  state.out.push({ type: 'slotInHand', grant: held.grant });
}

/** The answer to a renewal: each lease acknowledged counts from its send time, each refused one ends. */
export function renewalAnswered(
  state: PoolState,
  callId: number,
  peerName: PeerId,
  answer: Answer<{ readonly durationMs: number; readonly results: readonly PerAllocation[] }>,
  nowMs: number,
): void {
  const peer = state.peers.get(peerName);
  const renewal = peer?.takeRenewal(callId) ?? null;
  if (peer === undefined || renewal === null) return;
  if (!answer.ok) {
    if (answer.problem.code === 'SUPERSEDED') return superseded(state, answer.problem);
    return peer.renewalFailed(nowMs);
  }
  const { durationMs, results } = answer.reply;
  const asked = new Map(renewal.grants.map((grant) => [grant.allocationId, leaseText(grant)]));
  peer.renewalSucceeded(renewal.sentMs, durationMs);
  for (const { allocationId, problem } of results) {
    const lease = asked.get(allocationId);
    const allocation = state.allocations.get(allocationId);
    if (allocation?.phase.kind !== 'held' || leaseText(allocation.phase.grant) !== lease) continue;
    // Asked for at another address meanwhile: the process that is there now has the last word.
    if (peerId(allocation.phase.grant) !== peerName) continue;
    if (problem === null || ENDS_LEASE.has(problem.code)) asked.delete(allocationId);
    if (problem === null) renewed(state, allocation, allocation.phase, renewal.sentMs, durationMs, nowMs);
    else if (problem.code === 'SUPERSEDED') return superseded(state, problem);
    else if (ENDS_LEASE.has(problem.code)) {
      endLease(state, allocation, allocation.phase, 'refused', `${problem.code}: ${problem.detail}`, nowMs);
    }
  }
  if ([...asked.keys()].some((id) => peer.held.has(id))) peer.renewalFailed(nowMs);
}

/** Ends a lease that the user may have in hand; one that was never shown is asked for again instead. */
export function endLease(
  state: PoolState,
  allocation: PooledAllocation,
  held: Held,
  reason: LeaseEnd,
  detail: string,
  nowMs: number,
): void {
  const { grant, shown } = held;
  state.peers.get(peerId(grant))?.held.delete(allocation.id);
  state.recordLease('lease-ended', grant, { reason });
  const key = reason === 'refused' ? null : state.withdraw(grant, 'lease', held.durationMs, nowMs);
  if (!shown && reason !== 'released') {
    allocation.gone.add(leaseText(grant));
    if (key === null) state.wait(allocation);
    else allocation.phase = { kind: 'withdrawing', key };
    return;
  }
  state.allocations.delete(allocation.id);
  if (shown) state.out.push({ type: 'leaseEnded', allocationId: allocation.id, reason, detail });
  if (key === null) state.out.push({ type: 'releaseFinished', allocationId: allocation.id });
}

/** The process did not run: nothing is in hand before a renewal begun from now on is acknowledged. */
export function latch(state: PoolState, lostMs: number, nowMs: number): void {
  state.latchedAtMs = nowMs;
  state.record('gap', { lostMs });
  for (const allocation of state.allocations.values()) {
    const { phase } = allocation;
    if (phase.kind === 'claiming' && phase.firstSentMs !== null) phase.firstSentMs -= lostMs;
    // What passed on the wall clock alone has passed at the task executor too.
    if (phase.kind === 'held') phase.deadlineMs -= lostMs;
  }
  for (const peer of state.peers.values()) if (peer.held.size > 0) peer.renewNow(nowMs);
  expireLeases(state, nowMs);
}

/** Ends each lease whose last acknowledged renewal was sent too long ago. */
export function expireLeases(state: PoolState, nowMs: number): void {
  for (const allocation of state.allocations.values()) {
    const { phase } = allocation;
    if (phase.kind !== 'held' || nowMs < phase.deadlineMs) continue;
    endLease(state, allocation, phase, 'expired', 'The lease was not renewed in time.', nowMs);
  }
}

/** Asks the task executors of these leases at once. */
export function doubt(state: PoolState, allocationIds: readonly AllocationId[], nowMs: number): void {
  for (const id of allocationIds) {
    const grant = state.heldGrant(id);
    if (grant !== null) state.peers.get(peerId(grant))?.renewSoon(nowMs);
  }
}

function renewed(
  state: PoolState,
  allocation: PooledAllocation,
  held: Held,
  sentMs: number,
  durationMs: number,
  nowMs: number,
): void {
  // Past its deadline the slot was out of its user's hand; no late answer brings it back.
  const deadlineMs = sentMs + durationMs * HOLDER_SHARE;
  if (nowMs >= Math.min(held.deadlineMs, deadlineMs)) {
    endLease(state, allocation, held, 'expired', 'The lease was not renewed in time.', nowMs);
    return;
  }
  held.sentMs = sentMs;
  held.deadlineMs = deadlineMs;
  held.durationMs = durationMs;
  state.recordLease('lease-renewed', held.grant, { sentMs, deadlineMs });
  showIfProved(state, held, nowMs);
}

function superseded(state: PoolState, problem: Problem): void {
  state.out.push({ type: 'jobSuperseded', problem });
}
