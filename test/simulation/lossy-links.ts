import type { LinkBehaviour, LinkVerdict } from '../../src/rpc/in-memory-network.ts';
import type { SeededRandomness } from '../support/testing-randomness.ts';

/** How bad the links are; each share is a chance per frame. */
export interface LinkQuality {
  readonly leastDelayMs: number;
  readonly mostDelayMs: number;
  /** A frame that takes ten times as long as the longest usual one. */
  readonly slowShare: number;
  /** A frame is lost, and with it, as in TCP, everything after it in that direction. */
  readonly stallShare: number;
  /** The connection breaks. */
  readonly breakShare: number;
}

/** Links that delay, lose and break by chance from a seed, and that can be cut between two addresses. */
export class LossyLinks {
  readonly #randomness: SeededRandomness;
  readonly #cut = new Set<string>();
  quality: LinkQuality;
  stalls = 0;
  breaks = 0;

  constructor(randomness: SeededRandomness, quality: LinkQuality) {
    this.#randomness = randomness;
    this.quality = quality;
  }

  /** From now on nothing from `from` reaches `to`. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  mend(from: string, to: string): void {
    this.#cut.delete(`${from}>${to}`);
  }

  heal(): void {
    this.#cut.clear();
  }

  readonly behaviour: LinkBehaviour = (from, to): LinkVerdict => {
    const { quality } = this;
    const chance = this.#randomness.fraction();
    if (this.#cut.has(`${from}>${to}`)) return { kind: 'stall' };
    if (chance < quality.stallShare) {
      this.stalls += 1;
      return { kind: 'stall' };
    }
    if (chance < quality.stallShare + quality.breakShare) {
      this.breaks += 1;
      return { kind: 'break' };
    }
    const slow = chance > 1 - quality.slowShare ? 10 : 1;
    const spread = quality.mostDelayMs - quality.leastDelayMs;
    return { kind: 'deliver', delayMs: slow * (quality.leastDelayMs + spread * this.#randomness.fraction()) };
  };
}
