import { amountOf, fits, type ResourceProfile } from '../resource-profile.ts';

/**
 * Which slot serves which request. Slots whose profiles have one class key are interchangeable; classes are
 * tried in the order of `compare`, so that the first one that accepts is the best fit.
 */
export interface SlotMatchingStrategy {
  readonly name: 'profile' | 'any';
  /** Whether a slot of profile `offered` may serve a request for `required`. */
  accepts(offered: ResourceProfile, required: ResourceProfile): boolean;
  /** A text that is the same for profiles that this strategy does not tell apart. */
  classKey(profile: ResourceProfile): string;
  /** Order of size: whatever accepts a requirement is never smaller than it. */
  compare(a: ResourceProfile, b: ResourceProfile): number;
}

/** Megabytes of memory that weigh as much as one core when slots are ordered by size. */
const MEMORY_MB_PER_CORE = 4_096;

interface Size {
  readonly kinds: number;
  readonly extended: number;
  readonly general: number;
}

function sizeOf(profile: ResourceProfile): Size {
  let kinds = 0;
  let extended = 0;
  for (const name of Object.keys(profile.extended)) {
    const amount = amountOf(profile, name);
    if (amount > 0) kinds++;
    extended += amount;
  }
  return { kinds, extended, general: profile.cpuCores + profile.memoryMB / MEMORY_MB_PER_CORE };
}

/**
 * The default: a slot serves a request that it fits, and the smallest such slot is taken.
 *
 * Smallest means: the fewest kinds of extended resources, then the least of them, then the least processor
 * and memory together (4,096 MB weigh as much as one core). So a request without `gpu` takes a slot with one
 * only when nothing else fits, and what a request leaves over in its slot is as little as possible: for one
 * request, the order of the slots is the order of what they would leave over.
 */
export const profileMatching: SlotMatchingStrategy = {
  name: 'profile',
  accepts: fits,
  classKey(profile) {
    const names = Object.keys(profile.extended)
      .filter((name) => amountOf(profile, name) > 0)
      .toSorted();
    const extended = names.map((name) => [name, amountOf(profile, name)]);
    return JSON.stringify([profile.cpuCores, profile.memoryMB, extended]);
  },
  compare(a, b) {
    const sizeA = sizeOf(a);
    const sizeB = sizeOf(b);
    return sizeA.kinds - sizeB.kinds || sizeA.extended - sizeB.extended || sizeA.general - sizeB.general;
  },
};

/** What the `SimpleSlotManager` of 2016 did: every slot serves every request, whatever the profiles say. */
export const anySlotMatching: SlotMatchingStrategy = {
  name: 'any',
  accepts: () => true,
  classKey: () => '',
  compare: () => 0,
};
