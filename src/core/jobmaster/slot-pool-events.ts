import type { AllocationId, ResourceId, SlotId } from '../ids.ts';
import type { LeaseKey, SlotGrant, SlotRequest } from '../messages/slots.ts';
import type { Problem } from '../problem.ts';
import type { ResourceProfile } from '../resource-profile.ts';

/** One task executor at one address, as the pool names it towards its shell: `resourceId@address`. */
export type PeerId = string;

/** The answer to a call; a missing one is the problem `NO_ANSWER`. */
export type Answer<Reply> =
  | { readonly ok: true; readonly reply: Reply }
  | { readonly ok: false; readonly problem: Problem };

/** One line of an answer that speaks of many allocations; null means that it went well. */
export interface PerAllocation {
  readonly allocationId: AllocationId;
  readonly problem: Problem | null;
}

/** What the pool is told. `callId` names the effect that an answer belongs to. */
export type SlotPoolEvent =
  /** The user wants a slot for each of these new allocations, within `timeoutMs` from now. */
  | {
      readonly type: 'slotsRequested';
      readonly requests: readonly {
        readonly allocationId: AllocationId;
        readonly profile: ResourceProfile;
      }[];
      readonly timeoutMs: number;
    }
  /** The user is done with these, whatever has become of them. */
  | { readonly type: 'allocationsReleased'; readonly allocationIds: readonly AllocationId[] }
  /** A leader has acknowledged the registration; `newTerm` unless it is the one that had acknowledged it before. */
  | { readonly type: 'registered'; readonly newTerm: boolean }
  /** Nobody that leads can be asked at the moment. */
  | { readonly type: 'registrationLost' }
  | {
      readonly type: 'requestsAnswered';
      readonly callId: number;
      readonly answer: Answer<{ readonly results: readonly PerAllocation[] }>;
    }
  | { readonly type: 'cancellationAnswered'; readonly callId: number; readonly answer: Answer<unknown> }
  /** Waiting requests that the leader does not know. */
  | { readonly type: 'requestsUnknown'; readonly allocationIds: readonly AllocationId[] }
  | { readonly type: 'slotsAllocated'; readonly grants: readonly SlotGrant[] }
  | {
      readonly type: 'requestsFailed';
      readonly failures: readonly { readonly allocationId: AllocationId; readonly problem: Problem }[];
    }
  /** A hint of the leader: the task executors of these leases are asked at once. */
  | { readonly type: 'allocationsDoubted'; readonly allocationIds: readonly AllocationId[] }
  | { readonly type: 'peerConnected'; readonly peer: PeerId }
  | { readonly type: 'peerDisconnected'; readonly peer: PeerId }
  | {
      readonly type: 'claimAnswered';
      readonly callId: number;
      readonly allocationId: AllocationId;
      readonly answer: Answer<{ readonly durationMs: number }>;
    }
  | {
      readonly type: 'renewalAnswered';
      readonly callId: number;
      readonly peer: PeerId;
      readonly answer: Answer<{ readonly durationMs: number; readonly results: readonly PerAllocation[] }>;
    }
  | {
      readonly type: 'releaseAnswered';
      readonly callId: number;
      readonly peer: PeerId;
      readonly answer: Answer<unknown>;
    }
  /** The process did not run for a while. `lostMs` of it passed on the wall clock only. */
  | { readonly type: 'gap'; readonly lostMs: number }
  /** The job is over at once, as when a newer job master has taken over: nothing is released or renewed. */
  | { readonly type: 'abandoned'; readonly problem: Problem }
  /** The job ends in good order: requests are cancelled, leases released. */
  | { readonly type: 'closing' }
  /** Time has come for whatever `nextDueMs` announced. */
  | { readonly type: 'tick' };

/** Why a slot is in its user's hand no more. */
export type LeaseEnd = 'released' | 'expired' | 'refused' | 'abandoned';

export type JournalFields = Readonly<Record<string, string | number | bigint | boolean | null>>;

/** What the pool wants done, in order. Each may fail or be lost; what must not be lost is asked for again. */
export type SlotPoolEffect =
  /** To the leader. */
  | { readonly type: 'requestSlots'; readonly callId: number; readonly requests: readonly SlotRequest[] }
  /** To the leader. */
  | {
      readonly type: 'cancelSlotRequests';
      readonly callId: number;
      readonly allocationIds: readonly AllocationId[];
    }
  /** To the leader, without waiting for an answer. */
  | {
      readonly type: 'rejectSlot';
      readonly allocationId: AllocationId;
      readonly slotId: SlotId;
      readonly grantNumber: number;
      readonly reason: 'not-wanted' | 'unreachable';
    }
  /** Keep a connection to this task executor until `disconnect`. */
  | {
      readonly type: 'connect';
      readonly peer: PeerId;
      readonly resourceId: ResourceId;
      readonly address: string;
    }
  | { readonly type: 'disconnect'; readonly peer: PeerId }
  | {
      readonly type: 'claimSlot';
      readonly callId: number;
      readonly peer: PeerId;
      readonly lease: LeaseKey;
    }
  | {
      readonly type: 'renewLeases';
      readonly callId: number;
      readonly peer: PeerId;
      readonly leases: readonly LeaseKey[];
    }
  | {
      readonly type: 'releaseLeases';
      readonly callId: number;
      readonly peer: PeerId;
      readonly leases: readonly LeaseKey[];
    }
  /** The user may use the slot from now on; once for each allocation. */
  | { readonly type: 'slotInHand'; readonly grant: SlotGrant }
  /** The user gets no slot for this allocation. */
  | { readonly type: 'requestFailed'; readonly allocationId: AllocationId; readonly problem: Problem }
  /** The user must not use the slot any more. Only for slots that were in hand. */
  | {
      readonly type: 'leaseEnded';
      readonly allocationId: AllocationId;
      readonly reason: LeaseEnd;
      readonly detail: string;
    }
  /** The task executor has taken the slot back, or must have by now. */
  | { readonly type: 'releaseFinished'; readonly allocationId: AllocationId }
  /** A newer job master of this job was seen at a task executor. */
  | { readonly type: 'jobSuperseded'; readonly problem: Problem }
  /** For the journal. */
  | { readonly type: 'record'; readonly event: string; readonly fields: JournalFields };
