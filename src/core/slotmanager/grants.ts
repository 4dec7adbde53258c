import type { SlotRequestEntry } from './entries.ts';
import type { Turn } from './turn.ts';

/** Tells the job master where its slot is; does nothing while the grant number is not known. */
export function announce(turn: Turn, request: SlotRequestEntry): void {
  const { slot, allocationId, jobId, jobMasterId } = request;
  if (slot === null || slot.grantNumber === null || slot.grantInstanceId === null) return;
  request.announcedGrant = slot.grantNumber;
  const { resourceId, address } = slot.taskExecutor;
  turn.outbox.grant(jobId, jobMasterId, {
    allocationId,
    slotId: { resourceId, slotNumber: slot.slotNumber },
    instanceId: slot.grantInstanceId,
    address,
    grantNumber: slot.grantNumber,
    profile: slot.profile,
  });
}
