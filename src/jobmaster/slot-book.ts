import type { AllocationId } from '../core/ids.ts';
import type { SlotGrant } from '../core/messages/slots.ts';
import { QuartermasterError, type Problem, type ProblemCode } from '../core/problem.ts';
import type { ResourceProfile } from '../core/resource-profile.ts';
import { SharedSignals } from './shared-signals.ts';
import { SlotGathering, type RequestSlotsOptions } from './slot-gathering.ts';
import { Slot } from './slot.ts';

/** Answers that end an allocation id for good, while a new one may well be given a slot. */
const ID_IS_OVER: ReadonlySet<ProblemCode> = new Set(['CANCELLED', 'CONFLICT']);

const CANCELLED: Problem = { code: 'CANCELLED', detail: 'The request was cancelled.' };

/** What the user's wishes mean for the pool. */
export interface SlotBookOwner {
  nowMs(): number;
  mint(): AllocationId;
  /** New allocations are wanted. */
  submit(allocationIds: readonly AllocationId[], profile: ResourceProfile, timeoutMs: number): void;
  /** These are not wanted any more, whatever has become of them. */
  letGo(allocationIds: readonly AllocationId[]): void;
  /** Runs what a user's signal asks for. */
  post(turn: () => void): void;
  isInHand(allocationId: AllocationId): boolean;
}

interface Release {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

/** The user's side of a job master: who waits for which allocation, and the slots that were given out. */
export class SlotBook {
  readonly #owner: SlotBookOwner;
  readonly #gatherings = new Map<AllocationId, SlotGathering>();
  readonly #slots = new Map<AllocationId, Slot>();
  readonly #releases = new Map<AllocationId, Release>();
  readonly #signals = new SharedSignals();

  constructor(owner: SlotBookOwner) {
    this.#owner = owner;
  }

  /** Slots whose lease has not ended, in the order in which they came into hand. */
  get slots(): Slot[] {
    return [...this.#slots.values()];
  }

  request(
    count: number,
    profile: ResourceProfile,
    timeoutMs: number,
    options: RequestSlotsOptions,
  ): Promise<Slot[]> {
    const { signal } = options;
    // It may have aborted since the request was made, and will not say so again.
    if (signal?.aborted === true) {
      return Promise.reject(new QuartermasterError(CANCELLED, { cause: signal.reason }));
    }
    const deadlineMs = this.#owner.nowMs() + timeoutMs;
    const gathering = new SlotGathering(profile, deadlineMs, options, this.#signals, (abandoned) =>
      this.#owner.post(() => this.#fail(abandoned, CANCELLED, signal?.reason)),
    );
    const ids = Array.from({ length: count }, () => this.#owner.mint());
    for (const id of ids) {
      gathering.expect(id);
      this.#gatherings.set(id, gathering);
    }
    this.#owner.submit(ids, profile, timeoutMs);
    return gathering.promise;
  }

  inHand(grant: SlotGrant): void {
    const id = grant.allocationId;
    const gathering = this.#gatherings.get(id);
    if (gathering === undefined) return this.#owner.letGo([id]);
    const slot = new Slot(grant, {
      isInHand: (allocationId) => this.#owner.isInHand(allocationId),
      release: (allocationId) => this.#release(allocationId),
    });
    this.#slots.set(id, slot);
    try {
      gathering.got(slot);
    } catch (error) {
      this.#fail(gathering, { code: 'INTERNAL', detail: 'The callback for a slot has thrown.' }, error);
    }
    if (gathering.settled) this.#forget(gathering);
  }

  requestFailed(id: AllocationId, problem: Problem): void {
    const gathering = this.#gatherings.get(id);
    if (gathering === undefined) return;
    // The leader has ended that id, not the user's wish: it took this job master for gone, or the slot for refused.
    if (ID_IS_OVER.has(problem.code)) this.#replace(gathering, id, problem);
    else this.#fail(gathering, problem);
  }

  /** The slot is out of its user's hand; a request that still waits for others asks for another one. */
  leaseEnded(id: AllocationId, problem: Problem): void {
    const slot = this.#slots.get(id);
    this.#slots.delete(id);
    const gathering = this.#gatherings.get(id);
    if (gathering !== undefined) this.#replace(gathering, id, problem);
    slot?.end(problem);
  }

  releaseFinished(id: AllocationId): void {
    const release = this.#releases.get(id);
    this.#releases.delete(id);
    release?.resolve();
  }

  /** Nobody waits for anything any more: the requests fail with this problem. */
  failAll(problem: Problem): void {
    for (const gathering of new Set(this.#gatherings.values())) this.#fail(gathering, problem);
  }

  /** The job is over: requests fail, slots are out of hand, releases will be heard of no more. */
  close(problem: Problem): void {
    this.failAll(problem);
    const slots = this.slots;
    this.#slots.clear();
    for (const slot of slots) slot.end(problem);
    for (const { resolve } of this.#releases.values()) resolve();
    this.#releases.clear();
  }

  #release(id: AllocationId): Promise<void> {
    const known = this.#releases.get(id);
    if (known !== undefined) return known.promise;
    if (!this.#slots.has(id)) return Promise.resolve();
    let resolve = (): void => {};
    const promise = new Promise<void>((settle) => {
      resolve = settle;
    });
    this.#releases.set(id, { promise, resolve });
    this.#owner.post(() => {
      // Released by hand, it is not missing from a request that waits for more.
      const gathering = this.#gatherings.get(id);
      if (gathering !== undefined) {
        const problem: Problem = { code: 'CANCELLED', detail: 'A slot of it was released.' };
        this.#fail(gathering, problem);
      }
      this.#owner.letGo([id]);
    });
    return promise;
  }

  #replace(gathering: SlotGathering, id: AllocationId, problem: Problem): void {
    if (!gathering.mayReplace) return this.#fail(gathering, problem);
    const replacement = this.#owner.mint();
    gathering.replace(id, replacement);
    this.#gatherings.delete(id);
    this.#gatherings.set(replacement, gathering);
    const remainingMs = Math.max(0, gathering.deadlineMs - this.#owner.nowMs());
    this.#owner.submit([replacement], gathering.profile, remainingMs);
  }

  #fail(gathering: SlotGathering, problem: Problem, cause?: unknown): void {
    if (gathering.settled) return;
    gathering.fail(problem, cause);
    this.#forget(gathering);
    this.#owner.letGo(gathering.allocationIds);
  }

  #forget(gathering: SlotGathering): void {
    for (const id of gathering.allocationIds) this.#gatherings.delete(id);
  }
}
