import type { AllocationId, ResourceId } from '../../../../src/core/ids.ts';
import { fits, type ResourceProfile } from '../../../../src/core/resource-profile.ts';
import type { SlotManager, SlotView } from '../../../../src/core/slotmanager/slot-manager-events.ts';

/** Each slot is in the books once and in one state, and the counts say the same. */
export function checkCounts(manager: SlotManager, views: readonly SlotView[]): void {
  const counts = manager.slotCounts();
  const seen = { total: views.length, free: 0, requested: 0, allocated: 0, quarantined: 0, unknown: 0 };
  for (const { state } of views) seen[state]++;
  if (JSON.stringify(counts) !== JSON.stringify(seen))
    throw new Error(`counts ${JSON.stringify(counts)}, but slots ${JSON.stringify(seen)}`);
  const places = new Set(views.map((view) => `${view.resourceId}/${view.slotNumber}`));
  if (places.size !== views.length) throw new Error('a slot is in the books twice');
}

/** An allocation has at most one slot that is not being freed. */
export function checkOnePlace(views: readonly SlotView[]): void {
  const placed = new Set<AllocationId>();
  for (const view of views) {
    const { allocationId } = view;
    if ((allocationId === null) !== (view.state === 'free') && view.state !== 'unknown')
      throw new Error(`${view.resourceId}/${view.slotNumber} is ${view.state} of ${allocationId}`);
    if (allocationId === null || view.beingFreed) continue;
    if (placed.has(allocationId)) throw new Error(`${allocationId} has two slots and neither is being freed`);
    placed.add(allocationId);
  }
}

/** No request waits while a slot that fits is free on a task executor that has been quiet for long. */
export function checkNobodyWaitsForAFreeSlot(
  manager: SlotManager,
  views: readonly SlotView[],
  waiting: readonly { readonly id: AllocationId; readonly profile: ResourceProfile }[],
  isQuiet: (resourceId: ResourceId) => boolean,
): void {
  if (waiting.length > manager.pendingRequests())
    throw new Error(`${waiting.length} must wait, but ${manager.pendingRequests()} do`);
  const draining = new Set(
    [...manager.taskExecutors()].flatMap((view) => (view.draining ? [view.resourceId] : [])),
  );
  for (const view of views) {
    if (view.state !== 'free' || draining.has(view.resourceId) || !isQuiet(view.resourceId)) continue;
    for (const { id, profile } of waiting)
      if (fits(view.profile, profile))
        throw new Error(`${id} waits while ${view.resourceId}/${view.slotNumber} is free`);
  }
}
