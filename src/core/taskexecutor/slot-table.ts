import type { FencingToken } from '../fencing-token.ts';
import type { AllocationId, InstanceId, JobId } from '../ids.ts';
import type { LeaseKey, SlotCommand, SlotStatus } from '../messages/slots.ts';
import type { Problem } from '../problem.ts';
import { fits, type ResourceProfile } from '../resource-profile.ts';
import { isLeaseOf, type LeaseEndReason, type LeaseHolder, type SlotLease } from './slot-lease.ts';
import type { TaskExecutorState } from './task-executor-state.ts';

/** A lease that is over. */
export interface EndedLease {
  readonly lease: SlotLease;
  readonly reason: LeaseEndReason;
}

/** A lease, and whether this call began it (or brought it into a hand) rather than found it so. */
export type LeaseVerdict =
  | { readonly ok: true; readonly lease: SlotLease; readonly first: boolean }
  | { readonly ok: false; readonly problem: Problem };

/** What a lease is granted under. */
export interface GrantTerms {
  readonly instanceId: InstanceId;
  readonly token: FencingToken;
  /** How long it may stay unclaimed. */
  readonly durationMs: number;
  /** No lease may begin. */
  readonly draining: boolean;
}

type RequestSlot = Extract<SlotCommand, { kind: 'requestSlot' }>;

interface Slot {
  readonly slotNumber: number;
  readonly profile: ResourceProfile;
  /** Known from the state file only, no longer configured: kept until its lease ends. */
  readonly retired: boolean;
  grantNumber: number;
  lease: SlotLease | null;
  endMs: number;
}

function refuse(code: Problem['code'], detail: string): { ok: false; problem: Problem } {
  return { ok: false, problem: { code, detail } };
}

/**
 * What each slot holds (Flink's `TaskSlotTable`): never two leases in one slot, never one allocation in two
 * slots, a higher grant number for each lease. Whoever calls `expire` first with the present time can rely
 * on it that no lease is judged after its end.
 */
export class SlotTable {
  readonly #slots = new Map<number, Slot>();
  readonly #slotOfAllocation = new Map<AllocationId, Slot>();
  readonly #changed = new Set<number>();
  /** No lease ends before this. Renewals only move ends away, so it stays true without a search. */
  #earliestEndMs = Infinity;
  /** Slots without a lease are quarantined before this; null when none is. */
  #quarantinedUntilMs: number | null = null;

  /**
   * With the slots as configured, numbered from 0, and what the state file holds of them. Whether one that is not
   * in it was ever leased nobody can tell for certain, so its grant numbers start above `grantNumberFloor`.
   */
  constructor(
    profiles: readonly ResourceProfile[],
    remembered: TaskExecutorState['slots'],
    { slotLeaseMs, grantNumberFloor }: { readonly slotLeaseMs: number; readonly grantNumberFloor: number },
    nowMs: number,
  ) {
    for (const [slotNumber, profile] of profiles.entries()) {
      this.#slots.set(slotNumber, {
        slotNumber,
        profile,
        retired: false,
        grantNumber: grantNumberFloor,
        lease: null,
        endMs: 0,
      });
    }
    for (const { slotNumber, profile, grantNumber, lease } of remembered) {
      const slot: Slot = this.#slots.get(slotNumber) ?? {
        slotNumber,
        profile,
        retired: true,
        grantNumber,
        lease: null,
        endMs: 0,
      };
      this.#slots.set(slotNumber, slot);
      slot.grantNumber = grantNumber;
      if (lease === null) continue;
      // The former process may have promised the duration that is configured now, in a renewal that is not written.
      const durationMs = lease.claimed ? Math.max(lease.durationMs, slotLeaseMs) : lease.durationMs;
      this.#hold(slot, { ...lease, durationMs }, nowMs);
    }
    this.#changed.clear();
  }

  /** No slot that is without a lease can be granted before that time; `Infinity` until it is called again. */
  quarantine(untilMs: number): void {
    this.#quarantinedUntilMs = untilMs;
    this.#markUnleased();
  }

  /** Ends the quarantine. */
  settle(): void {
    if (this.#quarantinedUntilMs === null) return;
    this.#quarantinedUntilMs = null;
    this.#markUnleased();
  }

  /** Ends whatever has run out by `nowMs`; `settled` when the quarantine ended with it. */
  expire(nowMs: number): { ended: EndedLease[]; settled: boolean } {
    const ended: EndedLease[] = [];
    const settled = this.#quarantinedUntilMs !== null && nowMs >= this.#quarantinedUntilMs;
    if (settled) this.settle();
    if (nowMs < this.#earliestEndMs) return { ended, settled };
    this.#earliestEndMs = Infinity;
    for (const slot of this.#slots.values()) {
      const { lease } = slot;
      if (lease === null) continue;
      if (nowMs >= slot.endMs)
        ended.push({ lease: this.#end(slot, lease), reason: lease.claimed ? 'lapsed' : 'unclaimed' });
      else this.#earliestEndMs = Math.min(this.#earliestEndMs, slot.endMs);
    }
    return { ended, settled };
  }

  /** When `expire` has something to do, or earlier; `Infinity` when nothing waits for time. */
  nextDueMs(): number {
    return Math.min(this.#earliestEndMs, this.#quarantinedUntilMs ?? Infinity);
  }

  /** Grants the slot, unclaimed; the same allocation in the same slot again is the same lease again. */
  grant(command: RequestSlot, terms: GrantTerms, nowMs: number): LeaseVerdict {
    const { slotNumber, allocationId, jobId, jobMasterId } = command;
    const slot = this.#slots.get(slotNumber);
    if (slot === undefined || slot.retired) return refuse('NOT_FOUND', `There is no slot ${slotNumber}.`);
    const { lease } = slot;
    if (lease !== null) return this.#grantAgain(slot, lease, command, terms, nowMs);
    const problem = this.#whyNotGranted(slot, command, terms);
    if (problem !== null) return { ok: false, problem };
    const { instanceId, token, durationMs } = terms;
    slot.grantNumber += 1;
    const granted: SlotLease = {
      slotNumber,
      allocationId,
      jobId,
      jobMasterId,
      instanceId,
      grantNumber: slot.grantNumber,
      token,
      claimed: false,
      durationMs,
    };
    this.#hold(slot, granted, nowMs);
    return { ok: true, lease: granted, first: true };
  }

  /** Puts the lease into its job master's hand for `durationMs` from now; again, when it is there already. */
  claim(holder: LeaseHolder, key: LeaseKey, durationMs: number, nowMs: number): LeaseVerdict {
    const found = this.find(holder, key);
    if (!found.ok) return found;
    const first = !found.lease.claimed;
    const lease = first ? { ...found.lease, claimed: true, durationMs } : found.lease;
    const slot = this.#slots.get(key.slotNumber);
    if (slot === undefined) return refuse('NOT_FOUND', `There is no slot ${key.slotNumber}.`);
    slot.lease = lease;
    // A grant runs shorter than a claimed lease, yet a restored one may run longer than what is configured now.
    this.#extend(slot, Math.max(slot.endMs, nowMs + durationMs));
    if (first) this.#changed.add(slot.slotNumber);
    return { ok: true, lease, first };
  }

  /** Lets a claimed lease run `durationMs` from now. */
  renew(holder: LeaseHolder, key: LeaseKey, durationMs: number, nowMs: number): LeaseVerdict {
    const found = this.find(holder, key);
    if (!found.ok) return found;
    if (!found.lease.claimed) {
      return refuse(
        'UNKNOWN_ALLOCATION',
        `Allocation ${key.allocationId} has not claimed slot ${key.slotNumber}.`,
      );
    }
    const slot = this.#slots.get(key.slotNumber);
    if (slot !== undefined) this.#extend(slot, Math.max(slot.endMs, nowMs + durationMs));
    return { ok: true, lease: found.lease, first: false };
  }

  /** Gives the slot back, claimed or not; null when that lease is not there (any more). */
  release(holder: LeaseHolder, key: LeaseKey): EndedLease | null {
    const slot = this.#slots.get(key.slotNumber);
    if (slot?.lease === undefined || slot.lease === null || !isLeaseOf(slot.lease, holder, key)) return null;
    return { lease: this.#end(slot, slot.lease), reason: 'released' };
  }

  /**
   * Withdraws a grant that nobody has claimed. A claimed lease is refused: its job master believes in it, and
   * only a release or its end makes the slot free (guarantee G9). Null when that allocation does not hold it.
   */
  free(slotNumber: number, allocationId: AllocationId): EndedLease | Problem | null {
    const slot = this.#slots.get(slotNumber);
    if (slot?.lease === undefined || slot.lease === null || slot.lease.allocationId !== allocationId)
      return null;
    if (slot.lease.claimed) {
      return {
        code: 'CONFLICT',
        detail: `Allocation ${allocationId} has claimed slot ${slotNumber}; it ends by release or by its time.`,
      };
    }
    return { lease: this.#end(slot, slot.lease), reason: 'freed' };
  }

  /** The lease that this holder names, claimed or not. */
  find(holder: LeaseHolder, key: LeaseKey): LeaseVerdict {
    const lease = this.#slots.get(key.slotNumber)?.lease ?? null;
    if (lease !== null && lease.allocationId !== key.allocationId) {
      return refuse('SLOT_TAKEN', `Slot ${key.slotNumber} is held by another allocation.`);
    }
    if (lease === null || !isLeaseOf(lease, holder, key)) {
      return refuse(
        'UNKNOWN_ALLOCATION',
        `Allocation ${key.allocationId} holds slot ${key.slotNumber} under no such lease.`,
      );
    }
    return { ok: true, lease, first: false };
  }

  /** The jobs that hold a lease here. */
  jobs(): Set<JobId> {
    return new Set(this.leases().map((lease) => lease.jobId));
  }

  /** Every lease that runs, claimed or not. */
  leases(): SlotLease[] {
    return [...this.#slots.values()].flatMap(({ lease }) => (lease === null ? [] : [lease]));
  }

  /** Whether some slot is quarantined. */
  get quarantined(): boolean {
    return this.#quarantinedUntilMs !== null;
  }

  /** Every slot, as a full report names it. */
  statuses(): SlotStatus[] {
    return [...this.#slots.values()].flatMap((slot) => this.#status(slot));
  }

  /** Whether there is something to report since the last `takeChanges`. */
  get hasChanges(): boolean {
    return this.#changed.size > 0;
  }

  /** The slots that changed since the last call; null when one of them is gone, which only a full report can say. */
  takeChanges(): SlotStatus[] | null {
    const changed = [...this.#changed].map((slotNumber) => this.#slots.get(slotNumber));
    this.#changed.clear();
    const statuses = changed.flatMap((slot) => (slot === undefined ? [] : this.#status(slot)));
    return statuses.length === changed.length ? statuses : null;
  }

  /** What the state file keeps of the slots. */
  remember(): TaskExecutorState['slots'] {
    return [...this.#slots.values()].map(({ slotNumber, profile, grantNumber, lease }) => ({
      slotNumber,
      profile: { ...profile, extended: { ...profile.extended } },
      grantNumber,
      lease,
    }));
  }

  #grantAgain(
    slot: Slot,
    lease: SlotLease,
    { allocationId, jobId, jobMasterId }: RequestSlot,
    { instanceId, durationMs }: GrantTerms,
    nowMs: number,
  ): LeaseVerdict {
    const isSame =
      lease.allocationId === allocationId &&
      lease.jobId === jobId &&
      lease.jobMasterId === jobMasterId &&
      lease.instanceId === instanceId;
    if (!isSame) {
      return refuse('SLOT_TAKEN', `Slot ${slot.slotNumber} is held by allocation ${lease.allocationId}.`);
    }
    if (!lease.claimed) this.#extend(slot, Math.max(slot.endMs, nowMs + durationMs));
    return { ok: true, lease, first: false };
  }

  #whyNotGranted(slot: Slot, command: RequestSlot, { draining }: GrantTerms): Problem | null {
    const { slotNumber } = slot;
    if (draining) return { code: 'UNAVAILABLE', detail: 'This task executor is draining.' };
    if (this.#quarantinedUntilMs !== null) {
      return {
        code: 'SLOT_TAKEN',
        detail: `Slot ${slotNumber} may still be in use under a lease of a former process; it is quarantined.`,
      };
    }
    const { allocationId } = command;
    const elsewhere = this.#slotOfAllocation.get(allocationId);
    if (elsewhere !== undefined) {
      return {
        code: 'CONFLICT',
        detail: `Allocation ${allocationId} holds slot ${elsewhere.slotNumber} already.`,
      };
    }
    if (fits(slot.profile, command.profile)) return null;
    return { code: 'CONFLICT', detail: `Slot ${slotNumber} does not offer what is required.` };
  }

  #status(slot: Slot): SlotStatus[] {
    const { lease, slotNumber, retired } = slot;
    if (lease === null && retired) return [];
    const profile = { ...slot.profile, extended: { ...slot.profile.extended } };
    if (lease === null) {
      const state = this.#quarantinedUntilMs === null ? 'free' : 'quarantined';
      return [{ slotNumber, profile, state, lease: null }];
    }
    const { allocationId, jobId, jobMasterId, instanceId, grantNumber } = lease;
    const state = lease.claimed ? 'claimed' : 'granted';
    return [
      { slotNumber, profile, state, lease: { allocationId, jobId, jobMasterId, instanceId, grantNumber } },
    ];
  }

  #hold(slot: Slot, lease: SlotLease, nowMs: number): void {
    slot.lease = lease;
    slot.endMs = nowMs + lease.durationMs;
    this.#slotOfAllocation.set(lease.allocationId, slot);
    this.#earliestEndMs = Math.min(this.#earliestEndMs, slot.endMs);
    this.#changed.add(slot.slotNumber);
  }

  #extend(slot: Slot, endMs: number): void {
    slot.endMs = endMs;
    this.#earliestEndMs = Math.min(this.#earliestEndMs, endMs);
  }

  #end(slot: Slot, lease: SlotLease): SlotLease {
    slot.lease = null;
    this.#slotOfAllocation.delete(lease.allocationId);
    this.#changed.add(slot.slotNumber);
    return lease;
  }

  #markUnleased(): void {
    for (const slot of this.#slots.values()) {
      if (slot.lease === null && !slot.retired) this.#changed.add(slot.slotNumber);
    }
  }
}
