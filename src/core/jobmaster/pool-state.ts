import type { AllocationId, ResourceId } from '../ids.ts';
import type { SlotGrant, SlotRequest } from '../messages/slots.ts';
import type { Timing } from '../timing.ts';
import { LeaderRequests } from './leader-requests.ts';
import { leaseKey, leaseText, peerId, type PooledAllocation, type Withdrawal } from './pooled-allocation.ts';
import type { JournalFields, PeerId, SlotPoolEffect } from './slot-pool-events.ts';
import { TaskExecutorPeer } from './task-executor-peer.ts';

/** The times that the pool goes by. */
export type PoolTiming = Pick<Timing, 'slotLeaseMs' | 'slotRenewalMs' | 'unclaimedMs'>;

/** A bound on a time at the task executor allows for clocks whose rates differ by this factor. */
const CLOCK_RATES = 1.25;

/** The books of a slot pool, and the entries that all of its parts make in them. */
export class PoolState {
  readonly timing: PoolTiming;
  readonly allocations = new Map<AllocationId, PooledAllocation>();
  readonly peers = new Map<PeerId, TaskExecutorPeer>();
  readonly requests: LeaderRequests;
  /** Task executors that could not be reached, and until when no slot of theirs is asked for. */
  readonly excluded = new Map<ResourceId, number>();
  /** Only what was begun at or after this time proves that a slot is in hand. */
  latchedAtMs = -Infinity;
  /** What the event under way wants done. */
  out: SlotPoolEffect[] = [];
  #calls = 0;

  constructor(timing: PoolTiming) {
    this.timing = timing;
    this.requests = new LeaderRequests(() => this.nextCallId());
  }

  nextCallId(): number {
    this.#calls += 1;
    return this.#calls;
  }

  record(event: string, fields: JournalFields): void {
    this.out.push({ type: 'record', event, fields });
  }

  recordLease(event: string, grant: SlotGrant, fields: JournalFields = {}): void {
    const { allocationId, slotId, instanceId, grantNumber } = grant;
    this.record(event, { allocationId, ...slotId, instanceId, grantNumber, ...fields });
  }

  /** The task executor that a grant leads to; from now on a connection to it is kept while it is used. */
  peerOf(grant: SlotGrant): TaskExecutorPeer {
    const id = peerId(grant);
    const known = this.peers.get(id);
    if (known !== undefined) return known;
    const peer = new TaskExecutorPeer(grant, this.timing.slotRenewalMs);
    this.peers.set(id, peer);
    this.out.push({ type: 'connect', peer: id, resourceId: peer.resourceId, address: peer.address });
    return peer;
  }

  /** The task executor is told that the lease is not used, until it answers or the lease must have ended. */
  withdraw(grant: SlotGrant, of: Withdrawal['of'], possibleMs: number, nowMs: number): string {
    const key = leaseText(grant);
    const peer = this.peerOf(grant);
    peer.withdrawals.set(key, {
      key,
      lease: leaseKey(grant),
      of,
      grant,
      untilMs: nowMs + possibleMs * CLOCK_RATES,
    });
    this.recordLease('lease-withdrawn', grant, { of });
    return key;
  }

  /** A grant that is not taken, because its allocation has a slot or is over. */
  refuse(grant: SlotGrant, nowMs: number): void {
    this.reject(grant, 'not-wanted');
    const peer = this.peers.get(peerId(grant));
    if (peer?.withdrawals.has(leaseText(grant)) === true) return;
    this.withdraw(grant, 'refused', this.timing.unclaimedMs, nowMs);
  }

  reject(grant: SlotGrant, reason: 'not-wanted' | 'unreachable'): void {
    const { allocationId, slotId, grantNumber } = grant;
    this.out.push({ type: 'rejectSlot', allocationId, slotId, grantNumber, reason });
  }

  /** The allocation has no slot and is asked for (again). */
  wait(allocation: PooledAllocation): void {
    allocation.phase = { kind: 'waiting' };
    this.requests.send(allocation.id);
  }

  /** The leader is told again of everything that waits. */
  tellWaiting(): void {
    for (const { id, phase } of this.allocations.values())
      if (phase.kind === 'waiting') this.requests.send(id);
  }

  exclude(resourceId: ResourceId, nowMs: number): void {
    this.excluded.set(resourceId, nowMs + this.timing.slotLeaseMs);
  }

  /** The request as the leader is told it; null for one that is not waited for any more. */
  toRequest(id: AllocationId, nowMs: number): SlotRequest | null {
    const allocation = this.allocations.get(id);
    if (allocation === undefined || allocation.phase.kind === 'held') return null;
    for (const [resourceId, untilMs] of this.excluded) if (nowMs >= untilMs) this.excluded.delete(resourceId);
    return {
      allocationId: id,
      profile: allocation.profile,
      remainingMs: Math.max(0, allocation.deadlineMs - nowMs),
      excluded: [...this.excluded.keys()].slice(0, 1_000),
    };
  }

  /** The grant of an allocation that is held; null for any other. */
  heldGrant(id: AllocationId): SlotGrant | null {
    const phase = this.allocations.get(id)?.phase;
    return phase?.kind === 'held' ? phase.grant : null;
  }
}
