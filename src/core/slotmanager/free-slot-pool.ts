import type { ResourceProfile } from '../resource-profile.ts';
import type { SlotEntry, TaskExecutorEntry } from './entries.ts';
import type { SlotMatchingStrategy } from './slot-matching.ts';

interface Bucket {
  readonly taskExecutor: TaskExecutorEntry;
  readonly slots: Set<SlotEntry>;
  index: number;
}

interface SlotClass {
  readonly key: string;
  readonly profile: ResourceProfile;
  readonly buckets: Bucket[];
  readonly byTaskExecutor: Map<TaskExecutorEntry, Bucket>;
}

/**
 * Free slots, indexed by profile class in the order of best fit and, within a class, by task executor. A
 * search looks at classes and at excluded task executors, never at single slots.
 */
export class FreeSlotPool {
  readonly #matching: SlotMatchingStrategy;
  /** Non-empty classes only, smallest first. */
  readonly #sorted: SlotClass[] = [];
  readonly #byKey = new Map<string, SlotClass>();
  /** Requirements for which no class was found since the last slot came in. */
  readonly #misses = new Set<string>();

  constructor(matching: SlotMatchingStrategy) {
    this.#matching = matching;
  }

  add(slot: SlotEntry): void {
    this.#misses.clear();
    let slotClass = this.#byKey.get(slot.classKey);
    if (slotClass === undefined) {
      slotClass = { key: slot.classKey, profile: slot.profile, buckets: [], byTaskExecutor: new Map() };
      this.#byKey.set(slotClass.key, slotClass);
      this.#sorted.splice(this.#position(slotClass.profile, slotClass.key), 0, slotClass);
    }
    let bucket = slotClass.byTaskExecutor.get(slot.taskExecutor);
    if (bucket === undefined) {
      bucket = { taskExecutor: slot.taskExecutor, slots: new Set(), index: slotClass.buckets.length };
      slotClass.byTaskExecutor.set(slot.taskExecutor, bucket);
      slotClass.buckets.push(bucket);
    }
    bucket.slots.add(slot);
  }

  delete(slot: SlotEntry): void {
    const slotClass = this.#byKey.get(slot.classKey);
    const bucket = slotClass?.byTaskExecutor.get(slot.taskExecutor);
    if (slotClass === undefined || bucket === undefined || !bucket.slots.delete(slot)) return;
    if (bucket.slots.size > 0) return;
    slotClass.byTaskExecutor.delete(slot.taskExecutor);
    const last = slotClass.buckets.pop();
    if (last !== undefined && last !== bucket) {
      slotClass.buckets[bucket.index] = last;
      last.index = bucket.index;
    }
    if (slotClass.buckets.length > 0) return;
    this.#byKey.delete(slotClass.key);
    this.#sorted.splice(this.#position(slotClass.profile, slotClass.key), 1);
  }

  /**
   * The best fitting slot for `required` (whose class key is `requiredKey`) that is not on an excluded task
   * executor. Within a class the slots of one task executor are used up before another's, so that idle workers
   * stay idle and commands travel together.
   */
  find(
    required: ResourceProfile,
    requiredKey: string,
    isExcluded: (taskExecutor: TaskExecutorEntry) => boolean,
  ): SlotEntry | null {
    if (this.#misses.has(requiredKey)) return null;
    let accepted = false;
    for (let i = this.#position(required, ''); i < this.#sorted.length; i++) {
      const slotClass = this.#sorted[i];
      if (slotClass === undefined || !this.#matching.accepts(slotClass.profile, required)) continue;
      accepted = true;
      for (let b = slotClass.buckets.length - 1; b >= 0; b--) {
        const bucket = slotClass.buckets[b];
        if (bucket === undefined || isExcluded(bucket.taskExecutor)) continue;
        for (const slot of bucket.slots) return slot;
      }
    }
    if (!accepted && this.#misses.size < 10_000) this.#misses.add(requiredKey);
    return null;
  }

  /** Index of the first class that is not smaller than (`profile`, `key`). */
  #position(profile: ResourceProfile, key: string): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#sorted[middle];
      if (other === undefined) break;
      const order = this.#matching.compare(other.profile, profile);
      if (order < 0 || (order === 0 && other.key < key)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
