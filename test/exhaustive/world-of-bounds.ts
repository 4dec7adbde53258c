import type { Patch } from './explicit-copy.ts';

/** A world of a model, and what it is about. */
export interface WorldOfBounds<Bounds> {
  readonly name: string;
  readonly bounds: Bounds;
}

/** A fault planted in a copy, and the world in which it is found. */
export interface PlantedFault<Bounds> {
  readonly name: string;
  readonly patch: Patch;
  readonly world: Partial<Bounds>;
  /** How the finding begins. */
  readonly finding: string;
}
