import type { ResourceProfile } from '../core/resource-profile.ts';
import type { SlotLease } from '../core/taskexecutor/slot-lease.ts';
import type { Logger } from '../runtime/logger.ts';
import type { LeasedSlot, LeasedSlotEnd, TaskExecutorOptions } from './task-executor-options.ts';

/** Tells the program around a task executor which slots are in use: each begin has exactly one end. */
export class LeaseCallbacks {
  readonly #options: Pick<TaskExecutorOptions, 'slots' | 'onLeaseGranted' | 'onLeaseEnded'>;
  readonly #logger: Logger;
  readonly #inUse = new Map<number, LeasedSlot>();

  constructor(
    options: Pick<TaskExecutorOptions, 'slots' | 'onLeaseGranted' | 'onLeaseEnded'>,
    logger: Logger,
  ) {
    this.#options = options;
    this.#logger = logger;
  }

  granted(lease: SlotLease, restored: boolean): void {
    const { slotNumber, allocationId, jobId, jobMasterId, grantNumber } = lease;
    const profile = this.#options.slots[slotNumber] ?? NOTHING;
    const slot = { slotNumber, profile, allocationId, jobId, jobMasterId, grantNumber, restored };
    this.#inUse.set(slotNumber, slot);
    this.#call(() => this.#options.onLeaseGranted?.(slot));
  }

  ended({ slotNumber, grantNumber }: SlotLease, reason: LeasedSlotEnd): void {
    const slot = this.#inUse.get(slotNumber);
    if (slot === undefined || slot.grantNumber !== grantNumber) return;
    this.#inUse.delete(slotNumber);
    this.#call(() => this.#options.onLeaseEnded?.(slot, reason));
  }

  /** Ends all that is in use, because this task executor ends. */
  close(): void {
    const slots = [...this.#inUse.values()];
    this.#inUse.clear();
    for (const slot of slots) this.#call(() => this.#options.onLeaseEnded?.(slot, 'closed'));
  }

  /** Forgets all that is in use without a word. */
  silence(): void {
    this.#inUse.clear();
  }

  #call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#logger.log('error', 'lease-callback-threw', { detail: String(error) });
    }
  }
}

/** Of a slot that is no longer configured and is kept until its lease ends. */
const NOTHING: ResourceProfile = { cpuCores: 0, memoryMB: 0, extended: {} };
