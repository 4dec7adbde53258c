import { slotKey, type AllocationId } from '../ids.ts';
import type { LeaseKey, SlotGrant } from '../messages/slots.ts';
import type { ResourceProfile } from '../resource-profile.ts';
import type { PeerId } from './slot-pool-events.ts';

/** A grant that is being claimed. The claim is sent again until it is answered or given up. */
export interface Claim {
  readonly kind: 'claiming';
  grant: SlotGrant;
  readonly receivedMs: number;
  /** Null while nothing was sent: then nothing can have been claimed. The lease counts from here. */
  firstSentMs: number | null;
  /** The call under way. */
  callId: number | null;
  retryAtMs: number;
  failures: number;
  readonly giveUpAtMs: number;
}

/** A lease that the task executor has acknowledged. */
export interface Held {
  readonly kind: 'held';
  grant: SlotGrant;
  /** When the last acknowledged claim or renewal was sent. */
  sentMs: number;
  /** When this job master stops using the slot, whatever happens. */
  deadlineMs: number;
  durationMs: number;
  /** The user has been given it. */
  shown: boolean;
}

export type Phase =
  | { readonly kind: 'waiting' }
  | Claim
  /** Nothing else is claimed before that withdrawal is over. */
  | { readonly kind: 'withdrawing'; readonly key: string }
  | Held;

/** One allocation from the user's request to the end of its lease. */
export interface PooledAllocation {
  readonly id: AllocationId;
  readonly profile: ResourceProfile;
  /** When the user stops waiting. */
  readonly deadlineMs: number;
  phase: Phase;
  /** The newest grant that came while another one was being claimed or withdrawn. */
  deferred: { readonly grant: SlotGrant; readonly receivedMs: number } | null;
  /** Leases of it that are over, one way or the other: not claimed again, however often they are told. */
  readonly gone: Set<string>;
}

/** A lease that this job master does not use (any more) and that its task executor is still to be told about. */
export interface Withdrawal {
  readonly key: string;
  readonly lease: LeaseKey;
  /** `lease`: was held. `claim`: may have been claimed. `refused`: never was. */
  readonly of: 'lease' | 'claim' | 'refused';
  readonly grant: SlotGrant;
  /** By then the lease has ended at the task executor, told or not. */
  readonly untilMs: number;
}

/** Name of the task executor that a grant leads to. */
export function peerId(grant: SlotGrant): PeerId {
  return `${grant.slotId.resourceId}@${grant.address}`;
}

/** How the task executor knows the lease that a grant became. */
export function leaseKey(grant: SlotGrant): LeaseKey {
  const { allocationId, instanceId, grantNumber, slotId } = grant;
  return { allocationId, instanceId, slotNumber: slotId.slotNumber, grantNumber };
}

/** The same for the same lease, different for any two leases. */
export function leaseText(grant: SlotGrant): string {
  const { slotId, grantNumber, instanceId, allocationId } = grant;
  return `${slotKey(slotId)}#${grantNumber}@${instanceId}:${allocationId}`;
}
