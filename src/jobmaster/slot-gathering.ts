import type { AllocationId } from '../core/ids.ts';
import { QuartermasterError, type Problem } from '../core/problem.ts';
import type { ResourceProfile } from '../core/resource-profile.ts';
import type { SharedSignals } from './shared-signals.ts';
import type { Slot } from './slot.ts';

/** How a user waits for slots. */
export interface RequestSlotsOptions {
  /** Gives up: what was granted so far is released. */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for all of them; the configured slot request timeout unless given. */
  readonly timeoutMs?: number | undefined;
  /** Called with each slot as soon as it is in hand, before the promise resolves. */
  readonly onSlot?: ((slot: Slot) => void) | undefined;
}

/** A bound against a cluster that takes every slot away again. */
const MAX_REPLACEMENTS = 1_000;

/** One call of `requestSlots` on its way: collects slots until all of them are in hand at the same time. */
export class SlotGathering {
  readonly profile: ResourceProfile;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  readonly promise: Promise<Slot[]>;
  readonly #options: RequestSlotsOptions;
  readonly #signals: SharedSignals;
  readonly #waiting = new Set<AllocationId>();
  readonly #slots = new Map<AllocationId, Slot>();
  readonly #onAbort: () => void;
  #replacements = 0;
  #settled = false;
  #resolve: (slots: Slot[]) => void = () => {};
  #reject: (error: QuartermasterError) => void = () => {};

  /** `abandon` is called, at most once, when the user's signal aborts; it has not yet. */
  constructor(
    profile: ResourceProfile,
    deadlineMs: number,
    options: RequestSlotsOptions,
    signals: SharedSignals,
    abandon: (gathering: SlotGathering) => void,
  ) {
    this.profile = profile;
    this.deadlineMs = deadlineMs;
    this.#options = options;
    this.#signals = signals;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#onAbort = () => abandon(this);
    if (options.signal !== undefined) signals.follow(options.signal, this.#onAbort);
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Everything that it waits for or has. */
  get allocationIds(): AllocationId[] {
    return [...this.#waiting, ...this.#slots.keys()];
  }

  /** Waits for this allocation too. */
  expect(id: AllocationId): void {
    this.#waiting.add(id);
  }

  /** A slot is in hand; the last one resolves the promise. What the user's callback throws ends the request. */
  got(slot: Slot): void {
    this.#waiting.delete(slot.allocationId);
    this.#slots.set(slot.allocationId, slot);
    this.#options.onSlot?.(slot);
    if (this.#settled || this.#waiting.size > 0) return;
    this.#settle();
    this.#resolve([...this.#slots.values()]);
  }

  /** Whether one that came to nothing may still be asked for under a new id. */
  get mayReplace(): boolean {
    return this.#replacements < MAX_REPLACEMENTS;
  }

  /** `replacement` is waited for instead of an allocation that was lost before all were in hand. */
  replace(id: AllocationId, replacement: AllocationId): void {
    this.#replacements += 1;
    this.#waiting.delete(id);
    this.#slots.delete(id);
    this.#waiting.add(replacement);
  }

  /** Rejects the promise; what it has and waits for is the caller's to release. */
  fail(problem: Problem, cause?: unknown): void {
    if (this.#settled) return;
    this.#settle();
    this.#reject(new QuartermasterError(problem, cause === undefined ? {} : { cause }));
  }

  #settle(): void {
    this.#settled = true;
    const { signal } = this.#options;
    if (signal !== undefined) this.#signals.leave(signal, this.#onAbort);
  }
}
