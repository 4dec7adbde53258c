import type { AllocationId } from '../ids.ts';
import type { SlotGrant, Whereabouts } from '../messages/slots.ts';
import type { Problem } from '../problem.ts';
import {
  abandonClaim,
  claimAnswered,
  giveUpClaim,
  HOLDS_NOTHING,
  sendClaims,
  takeGrant,
  withdrawalOver,
} from './claiming.ts';
import { doubt, endLease, expireLeases, isInHand, latch, renewalAnswered } from './holding.ts';
import { isPause } from './leader-requests.ts';
import { PoolState, type PoolTiming } from './pool-state.ts';
import type { PooledAllocation } from './pooled-allocation.ts';
import type { PeerId, SlotPoolEffect, SlotPoolEvent } from './slot-pool-events.ts';

/** So many a leader takes in one heartbeat. */
const MOST_MISSED = 1_000;

/**
 * A job master's slots, from request to release (Flink's `SlotPool`): pure and synchronous. Every time is an
 * argument on the monotonic clock and never falls. An effect is begun at the `nowMs` of the event that asked
 * for it, or later: what an answer proves counts from there.
 */
export class SlotPool {
  readonly #state: PoolState;

  constructor(timing: PoolTiming) {
    this.#state = new PoolState(timing);
  }

  /** Takes one event and returns what is to be done, in order. */
  handle(event: SlotPoolEvent, nowMs: number): SlotPoolEffect[] {
    const state = this.#state;
    state.out = [];
    this.#take(event, nowMs);
    state.requests.flush(nowMs, (id) => state.toRequest(id, nowMs), state.out);
    sendClaims(state, nowMs);
    for (const peer of state.peers.values()) {
      peer.flush(
        nowMs,
        () => state.nextCallId(),
        (id) => state.heldGrant(id),
        state.out,
      );
      if (peer.used) continue;
      state.peers.delete(peer.id);
      state.out.push({ type: 'disconnect', peer: peer.id });
    }
    return state.out;
  }

  /** Whether the user may use the slot of this allocation at this moment. */
  isInHand(id: AllocationId, nowMs: number): boolean {
    const phase = this.#state.allocations.get(id)?.phase;
    return phase?.kind === 'held' && isInHand(this.#state, phase, nowMs);
  }

  /** Allocations that still wait for their slot, those without a grant first. */
  unfinished(): AllocationId[] {
    const waiting: AllocationId[] = [];
    const granted: AllocationId[] = [];
    for (const { id, phase } of this.#state.allocations.values()) {
      if (phase.kind === 'waiting') waiting.push(id);
      else if (phase.kind !== 'held') granted.push(id);
    }
    return [...waiting, ...granted];
  }

  /** The leases that task executors have acknowledged. */
  held(): SlotGrant[] {
    return [...this.#state.allocations.keys()].flatMap((id) => this.#state.heldGrant(id) ?? []);
  }

  /** Task executors whose leases are held and that there is no connection to: they may be elsewhere by now. */
  unreachable(): Whereabouts[] {
    const missed = [...this.#state.peers.values()].filter((peer) => !peer.connected && peer.held.size > 0);
    return missed.slice(0, MOST_MISSED).map(({ resourceId, address }) => ({ resourceId, address }));
  }

  /** Nothing is waited for or held, and no task executor is still to be told so. */
  get empty(): boolean {
    const { allocations, peers } = this.#state;
    return allocations.size === 0 && peers.size === 0;
  }

  /** The leader knows of every request that was cancelled. */
  get quiet(): boolean {
    return this.#state.requests.quiet;
  }

  /** When the next `tick` is due; null when nothing waits for time. */
  nextDueMs(): number | null {
    const { allocations, peers, requests } = this.#state;
    let dueMs = requests.nextDueMs() ?? Infinity;
    for (const { phase, deadlineMs } of allocations.values()) {
      dueMs = Math.min(dueMs, phase.kind === 'held' ? phase.deadlineMs : deadlineMs);
      if (phase.kind === 'claiming') dueMs = Math.min(dueMs, phase.giveUpAtMs);
    }
    for (const peer of peers.values()) {
      dueMs = Math.min(dueMs, peer.nextDueMs());
      for (const { untilMs } of peer.withdrawals.values()) dueMs = Math.min(dueMs, untilMs);
    }
    return dueMs === Infinity ? null : dueMs;
  }

  #take(event: SlotPoolEvent, nowMs: number): void {
    const state = this.#state;
    switch (event.type) {
      case 'slotsRequested':
        return this.#request(event, nowMs);
      case 'allocationsReleased':
        for (const id of event.allocationIds) this.#release(id, nowMs);
        return;
      case 'registered':
        return state.requests.registered(this.unfinished(), event.newTerm);
      case 'registrationLost':
        return state.requests.lost();
      case 'requestsAnswered':
        return this.#failed(state.requests.answered(event.callId, event.answer, nowMs), nowMs);
      case 'cancellationAnswered':
        return state.requests.cancellationAnswered(event.callId, event.answer, nowMs);
      case 'requestsUnknown':
        for (const id of event.allocationIds) {
          if (state.allocations.get(id)?.phase.kind === 'waiting') state.requests.send(id);
        }
        return;
      case 'slotsAllocated':
        for (const grant of event.grants) takeGrant(state, grant, nowMs);
        return;
      case 'requestsFailed':
        return this.#failed(event.failures, nowMs);
      case 'allocationsDoubted':
        return doubt(state, event.allocationIds, nowMs);
      case 'peerConnected':
        return this.#connected(event.peer, nowMs);
      case 'peerDisconnected':
        return state.peers.get(event.peer)?.disconnected();
      case 'claimAnswered':
        return claimAnswered(state, event.callId, event.allocationId, event.answer, nowMs);
      case 'renewalAnswered':
        return renewalAnswered(state, event.callId, event.peer, event.answer, nowMs);
      case 'releaseAnswered':
        return this.#released(event, nowMs);
      case 'gap':
        return latch(state, event.lostMs, nowMs);
      case 'abandoned':
        return this.#abandon(event.problem);
      case 'closing':
        for (const id of state.allocations.keys()) this.#release(id, nowMs);
        return;
      case 'tick':
        return this.#tick(nowMs);
    }
  }

  #request(event: Extract<SlotPoolEvent, { type: 'slotsRequested' }>, nowMs: number): void {
    const state = this.#state;
    const deadlineMs = nowMs + event.timeoutMs;
    for (const { allocationId: id, profile } of event.requests) {
      state.allocations.set(id, {
        id,
        profile,
        deadlineMs,
        phase: { kind: 'waiting' },
        deferred: null,
        gone: new Set(),
      });
      state.record('slot-requested', { allocationId: id });
      state.requests.send(id);
    }
  }

  #release(id: AllocationId, nowMs: number): void {
    const allocation = this.#state.allocations.get(id);
    if (allocation === undefined) return;
    if (allocation.phase.kind === 'held') {
      endLease(this.#state, allocation, allocation.phase, 'released', 'The slot was released.', nowMs);
    } else {
      this.#end(allocation, { code: 'CANCELLED', detail: 'The request was cancelled.' }, nowMs);
    }
  }

  /** Ends an allocation that has no slot in hand. */
  #end(allocation: PooledAllocation, problem: Problem, nowMs: number): void {
    const state = this.#state;
    const { id, phase, deferred } = allocation;
    state.allocations.delete(id);
    if (phase.kind === 'claiming') {
      abandonClaim(state, phase, nowMs);
      state.reject(phase.grant, 'not-wanted');
    }
    if (deferred !== null) state.refuse(deferred.grant, nowMs);
    state.requests.withdraw(id);
    state.record('request-ended', { allocationId: id, code: problem.code });
    state.out.push({ type: 'requestFailed', allocationId: id, problem });
  }

  #failed(
    failures: readonly { readonly allocationId: AllocationId; readonly problem: Problem }[],
    nowMs: number,
  ): void {
    for (const { allocationId, problem } of failures) {
      const allocation = this.#state.allocations.get(allocationId);
      const kind = allocation?.phase.kind;
      // With a claim under way the task executor decides, not the leader.
      if (allocation === undefined || kind === 'held' || kind === 'claiming') continue;
      if (isPause(problem)) this.#state.requests.sendLater(allocationId, problem, nowMs);
      else this.#end(allocation, problem, nowMs);
    }
  }

  #connected(id: PeerId, nowMs: number): void {
    const peer = this.#state.peers.get(id);
    if (peer === undefined) return;
    peer.connectedAgain(nowMs);
    peer.nextClaimMs = nowMs;
    for (const allocationId of peer.claims) {
      const phase = this.#state.allocations.get(allocationId)?.phase;
      if (phase?.kind === 'claiming') phase.retryAtMs = nowMs;
    }
  }

  #released(event: Extract<SlotPoolEvent, { type: 'releaseAnswered' }>, nowMs: number): void {
    const peer = this.#state.peers.get(event.peer);
    const withdrawals = peer?.takeRelease(event.callId) ?? null;
    if (peer === undefined || withdrawals === null) return;
    const { answer } = event;
    if (!answer.ok && answer.problem.code === 'SUPERSEDED') {
      this.#state.out.push({ type: 'jobSuperseded', problem: answer.problem });
      return;
    }
    if (!answer.ok && !HOLDS_NOTHING.has(answer.problem.code)) return peer.releaseFailed(nowMs);
    for (const withdrawal of withdrawals) withdrawalOver(this.#state, withdrawal, nowMs);
  }

  /** Nothing is released and nothing renewed any more: the leases lapse. */
  #abandon(problem: Problem): void {
    const state = this.#state;
    for (const { id, phase } of state.allocations.values()) {
      if (phase.kind === 'held' && phase.shown) {
        state.recordLease('lease-ended', phase.grant, { reason: 'abandoned' });
        state.out.push({
          type: 'leaseEnded',
          allocationId: id,
          reason: 'abandoned',
          detail: problem.detail,
        });
      } else {
        state.out.push({ type: 'requestFailed', allocationId: id, problem });
      }
    }
    state.allocations.clear();
    for (const peer of state.peers.values()) peer.forgetAll();
    state.requests.close();
  }

  #tick(nowMs: number): void {
    const state = this.#state;
    expireLeases(state, nowMs);
    for (const allocation of state.allocations.values()) {
      const { phase, deadlineMs } = allocation;
      const shown = phase.kind === 'held' && phase.shown;
      if (!shown && nowMs >= deadlineMs) this.#timeOut(allocation, nowMs);
      else if (phase.kind === 'claiming' && nowMs >= phase.giveUpAtMs) {
        giveUpClaim(state, allocation, phase, nowMs);
      }
    }
    for (const peer of state.peers.values()) {
      for (const withdrawal of peer.withdrawals.values()) {
        if (nowMs >= withdrawal.untilMs) withdrawalOver(state, withdrawal, nowMs);
      }
    }
  }

  #timeOut(allocation: PooledAllocation, nowMs: number): void {
    const problem: Problem = { code: 'REQUEST_TIMEOUT', detail: 'No slot was found in time.' };
    const { phase } = allocation;
    if (phase.kind !== 'held') return this.#end(allocation, problem, nowMs);
    endLease(this.#state, allocation, phase, 'released', problem.detail, nowMs);
    this.#state.out.push({ type: 'requestFailed', allocationId: allocation.id, problem });
  }
}
