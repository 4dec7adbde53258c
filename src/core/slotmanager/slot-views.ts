import type { ResourceProfile } from '../resource-profile.ts';
import type { TaskExecutorEntry } from './entries.ts';
import { stateOf, takesNoWork } from './slot-book.ts';
import type { SlotView, TaskExecutorSlotsView } from './slot-manager-events.ts';

const NO_PROFILE: ResourceProfile = { cpuCores: 0, memoryMB: 0, extended: {} };

/** Every slot as the operator sees it; those of a task executor that is only expected are known by their number alone. */
export function* slotViews(taskExecutors: Iterable<TaskExecutorEntry>): Iterable<SlotView> {
  for (const entry of taskExecutors) {
    for (let slotNumber = 0; slotNumber < entry.expectedSlots; slotNumber++)
      yield {
        resourceId: entry.resourceId,
        slotNumber,
        state: 'unknown',
        profile: NO_PROFILE,
        allocationId: null,
        jobId: null,
        jobMasterId: null,
        grantNumber: null,
        beingFreed: false,
      };
    for (const slot of entry.slots.values())
      yield {
        resourceId: entry.resourceId,
        slotNumber: slot.slotNumber,
        state: stateOf(slot),
        profile: slot.profile,
        allocationId: slot.holder?.allocationId ?? null,
        jobId: slot.holder?.jobId ?? null,
        jobMasterId: slot.holder?.jobMasterId ?? null,
        grantNumber: slot.grantNumber,
        beingFreed: slot.freeing !== 'no',
      };
  }
}

/** Every task executor as the operator sees it. */
export function* taskExecutorViews(
  taskExecutors: Iterable<TaskExecutorEntry>,
): Iterable<TaskExecutorSlotsView> {
  for (const entry of taskExecutors) {
    const isRegistered = entry.state === 'registered';
    yield {
      resourceId: entry.resourceId,
      instanceId: entry.instanceId,
      state: entry.state,
      draining: takesNoWork(entry),
      provider: entry.provider,
      slots: entry.slots.size + entry.expectedSlots,
      freeSlots: isRegistered ? entry.slots.size - entry.busySlots : 0,
      idleSinceMs: isRegistered ? entry.idleSinceMs : null,
    };
  }
}
