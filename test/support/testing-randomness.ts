import type { Randomness } from '../../src/runtime/randomness.ts';

/** Chance from a seed (mulberry32): the same seed gives the same ids and fractions, in the same order. */
export class SeededRandomness implements Randomness {
  #state: number;
  readonly #prefix: string;
  #count = 0;

  /** `prefix` goes into each uuid, so that two sources never mint the same one. */
  constructor(seed: number, prefix = 'id') {
    this.#state = seed >>> 0;
    this.#prefix = prefix;
  }

  uuid(): string {
    this.#count += 1;
    return `${this.#prefix}-${this.#count}-${Math.floor(this.fraction() * 0x1_0000_0000).toString(16)}`;
  }

  leaseId(): bigint {
    const high = BigInt(Math.floor(this.fraction() * 0x7fff_ffff));
    return (high << 32n) | BigInt(Math.floor(this.fraction() * 0x1_0000_0000)) | 1n;
  }

  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  }

  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from + 1));
  }
}
