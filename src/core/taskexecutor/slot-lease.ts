import type { FencingToken } from '../fencing-token.ts';
import type { AllocationId, InstanceId, JobId, JobMasterId } from '../ids.ts';
import type { LeaseKey } from '../messages/slots.ts';

/** A task executor's promise of one slot to one allocation; it runs on the task executor's monotonic clock. */
export interface SlotLease {
  readonly slotNumber: number;
  readonly allocationId: AllocationId;
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
  /** Process that granted it; kept when a later process reads it from the state file. */
  readonly instanceId: InstanceId;
  /** Grows with each lease of the slot, over restarts too. */
  readonly grantNumber: number;
  /** Of the leader whose command granted it. */
  readonly token: FencingToken;
  /** Whether the job master has it in its hand. */
  readonly claimed: boolean;
  /** How long it runs from its grant, claim, renewal, or from the start of a process that has read it. */
  readonly durationMs: number;
}

/**
 * Why a lease is over. `released`: its job master gave it back; `lapsed`: claimed and not renewed in time;
 * `unclaimed`: granted and not claimed in time; `freed`: granted, not claimed, and withdrawn by the leader.
 */
export type LeaseEndReason = 'released' | 'lapsed' | 'unclaimed' | 'freed';

/** Who asks about a lease. */
export interface LeaseHolder {
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
}

/** Whether the lease is the one that this holder names; every number must agree (guarantees G2 and G3). */
export function isLeaseOf(lease: SlotLease, holder: LeaseHolder, key: LeaseKey): boolean {
  return (
    lease.slotNumber === key.slotNumber &&
    lease.allocationId === key.allocationId &&
    lease.instanceId === key.instanceId &&
    lease.grantNumber === key.grantNumber &&
    lease.jobId === holder.jobId &&
    lease.jobMasterId === holder.jobMasterId
  );
}
