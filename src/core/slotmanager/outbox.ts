import type { AllocationId, JobId, JobMasterId } from '../ids.ts';
import type { SlotGrant } from '../messages/slots.ts';
import type { SlotManagerEffect } from './slot-manager-events.ts';

type ReportEffect = Extract<SlotManagerEffect, { type: 'report' }>;

/** The effects of one turn; grants and hints are grouped by whom they are for. */
export class Outbox {
  #effects: SlotManagerEffect[] = [];
  #grants = new Map<JobMasterId, { readonly jobId: JobId; readonly grants: SlotGrant[] }>();
  #looks = new Map<JobId, Set<AllocationId>>();

  add(effect: SlotManagerEffect): void {
    this.#effects.push(effect);
  }

  report(level: ReportEffect['level'], event: string, fields: ReportEffect['fields']): void {
    this.#effects.push({ type: 'report', level, event, fields });
  }

  grant(jobId: JobId, jobMasterId: JobMasterId, grant: SlotGrant): void {
    const group = this.#grants.get(jobMasterId);
    if (group === undefined) this.#grants.set(jobMasterId, { jobId, grants: [grant] });
    else group.grants.push(grant);
  }

  /** Tells the job master to ask the task executor about this allocation. */
  look(jobId: JobId, allocationId: AllocationId): void {
    const group = this.#looks.get(jobId);
    if (group === undefined) this.#looks.set(jobId, new Set([allocationId]));
    else group.add(allocationId);
  }

  /** It was found elsewhere in the same turn. */
  unlook(jobId: JobId, allocationId: AllocationId): void {
    this.#looks.get(jobId)?.delete(allocationId);
  }

  /** The effects of the turn, in order; empty afterwards. */
  take(): SlotManagerEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    for (const [jobMasterId, { jobId, grants }] of this.#grants)
      effects.push({ type: 'notifySlotsAllocated', jobId, jobMasterId, grants });
    if (this.#grants.size > 0) this.#grants = new Map();
    for (const [jobId, allocationIds] of this.#looks)
      if (allocationIds.size > 0)
        effects.push({ type: 'checkAllocations', jobId, allocationIds: [...allocationIds] });
    if (this.#looks.size > 0) this.#looks = new Map();
    return effects;
  }
}
