import type { AllocationId, SlotId } from '../core/ids.ts';
import type { SlotGrant } from '../core/messages/slots.ts';
import { QuartermasterError, type Problem } from '../core/problem.ts';
import type { ResourceProfile } from '../core/resource-profile.ts';

/** What a slot asks of its job master. */
export interface SlotOwner {
  isInHand(allocationId: AllocationId): boolean;
  release(allocationId: AllocationId): Promise<void>;
}

/** One slot that its task executor has leased to this job. */
export class Slot {
  readonly allocationId: AllocationId;
  readonly slotId: SlotId;
  /** `host:port` of the task executor when the slot came into hand; one that starts again elsewhere keeps the lease. */
  readonly address: string;
  /** Grows with each lease of this slot: the number with which to fence an outside system. */
  readonly grantNumber: number;
  /** What the slot offers; at least what was asked for. */
  readonly profile: ResourceProfile;
  readonly #owner: SlotOwner;
  readonly #ended = new AbortController();

  constructor(grant: SlotGrant, owner: SlotOwner) {
    this.allocationId = grant.allocationId;
    this.slotId = grant.slotId;
    this.address = grant.address;
    this.grantNumber = grant.grantNumber;
    this.profile = grant.profile;
    this.#owner = owner;
  }

  /**
   * Aborts when the lease ends; the reason is a `QuartermasterError`: released (`CANCELLED`), not renewed in
   * time (`NO_ANSWER`), ended by the task executor (`UNKNOWN_ALLOCATION`), or whatever has ended the job, such
   * as `SUPERSEDED`. It needs the event loop to turn; code that may have stood still asks `held`.
   */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /**
   * Whether the slot is in hand at this very moment, by the clocks. False for a while after the process stood
   * still or the machine slept, until a renewal begun afterwards is acknowledged; the signal then aborts only
   * if the lease has ended.
   */
  get held(): boolean {
    return !this.#ended.signal.aborted && this.#owner.isInHand(this.allocationId);
  }

  /** Gives the slot back; resolves when the task executor has taken it, or must have ended the lease by itself. Never rejects. */
  release(): Promise<void> {
    return this.#owner.release(this.allocationId);
  }

  /** For the job master: the user's time with the slot is over. */
  end(problem: Problem): void {
    this.#ended.abort(new QuartermasterError(problem));
  }
}
