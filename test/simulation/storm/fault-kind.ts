import type { FaultAction, TroubleSpot } from './fault-action.ts';
import type { StormWorld } from './storm-world.ts';

/** Where a fault's spot was seen: in whose turn, and who is at the other end of it. */
export interface Sighting {
  readonly spot: TroubleSpot;
  /** Name in the cluster of the process whose turn it is; null when it is etcd. */
  readonly by: string | null;
  /** Name of the process to or from which something goes. */
  readonly peer: string | null;
}

/** One fault that strikes now. */
export interface Strike {
  readonly action: FaultAction;
  /** Null when it strikes by the clock. */
  readonly at: Sighting | null;
}

/** What lies in wait for a call, a frame or an event, and is counted when one comes. */
export interface Laid {
  readonly laid: string;
}

/**
 * Does its harm and returns what it was, in the words of the table in README; null when there was nothing to strike. What
 * lies in wait tells the world of each that it strikes.
 */
export type Fault = (world: StormWorld, strike: Strike) => string | Laid | null;

/** `most` of the milliseconds at the longest, squared so that short ones are frequent. */
export function lengthMs({ action }: Strike, leastMs: number, mostMs: number): number {
  return leastMs + (mostMs - leastMs) * action.duration * action.duration;
}

/** Counts one each time it is called. */
export function counting(world: StormWorld, what: string): () => void {
  return () => world.onStruck(what);
}

/** The one of them that the action's fraction points at. */
export function pointedAt<T>(all: readonly T[], fraction: number): T | null {
  return all[Math.min(all.length - 1, Math.floor(fraction * all.length))] ?? null;
}

/** The process at the spot if it is one of these, else one of them by chance. */
export function struck<T extends { readonly name: string }>(
  all: readonly T[],
  { action, at }: Strike,
): T | null {
  // Nearly always where it hurts, now and then somebody who has nothing to do with it.
  if (at !== null && action.variant < 0.9) {
    const there = all.find(({ name }) => name === at.by) ?? all.find(({ name }) => name === at.peer);
    if (there !== undefined) return there;
  }
  return pointedAt(all, action.target);
}
