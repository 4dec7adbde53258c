import type { ResourceProfile } from '../resource-profile.ts';
import type { SlotEntry, SlotRequestEntry, TaskExecutorEntry } from './entries.ts';
import { SequenceQueue } from './sequence-queue.ts';
import type { SlotMatchingStrategy } from './slot-matching.ts';

interface RequestClass {
  readonly profile: ResourceProfile;
  readonly queue: SequenceQueue<SlotRequestEntry>;
}

/** Whether that task executor may not be used for that request now. */
export type Exclusion = (request: SlotRequestEntry, taskExecutor: TaskExecutorEntry) => boolean;

/** Requests without a slot, first come first served among those that a slot fits; grouped by profile class. */
export class WaitingRequests {
  readonly #matching: SlotMatchingStrategy;
  readonly #classes = new Map<string, RequestClass>();
  #size = 0;

  constructor(matching: SlotMatchingStrategy) {
    this.#matching = matching;
  }

  get size(): number {
    return this.#size;
  }

  add(request: SlotRequestEntry): void {
    let requestClass = this.#classes.get(request.classKey);
    if (requestClass === undefined) {
      requestClass = { profile: request.profile, queue: new SequenceQueue() };
      this.#classes.set(request.classKey, requestClass);
    }
    if (requestClass.queue.insert(request)) this.#size++;
  }

  delete(request: SlotRequestEntry): void {
    const requestClass = this.#classes.get(request.classKey);
    if (requestClass === undefined || !requestClass.queue.remove(request)) return;
    this.#size--;
    if (requestClass.queue.size === 0) this.#classes.delete(request.classKey);
  }

  /** The request that came first among those that may have this slot. */
  earliestFor(slot: SlotEntry, isExcluded: Exclusion): SlotRequestEntry | null {
    let best: SlotRequestEntry | null = null;
    for (const { profile, queue } of this.#classes.values()) {
      const head = queue.first();
      if (head === undefined || (best !== null && head.sequence > best.sequence)) continue;
      if (!this.#matching.accepts(slot.profile, profile)) continue;
      for (const request of queue) {
        if (best !== null && request.sequence > best.sequence) break;
        if (isExcluded(request, slot.taskExecutor)) continue;
        best = request;
        break;
      }
    }
    return best;
  }

  /** All of them, class by class. */
  *[Symbol.iterator](): Iterator<SlotRequestEntry> {
    for (const { queue } of this.#classes.values()) yield* queue;
  }
}
