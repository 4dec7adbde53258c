import type { LinkBehaviour, LinkVerdict } from '../../src/rpc/in-memory-network.ts';
import type { Clock } from '../../src/runtime/clock.ts';
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
  readonly #breakNext = new Map<string, () => void>();
  readonly #stallNext = new Map<string, () => void>();
  readonly #slow = new Map<string, number>();
  readonly #refusing = new Set<string>();
  /** When the last frame that each address has sent arrives. */
  readonly #lastArrivals = new Map<string, { to: string; atMs: number }>();
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  quality: LinkQuality;
  /** Frames that arrive before an earlier one of the same sender to another receiver. */
  overtaking = 0;
  /** Is told each link on which a frame was lost or the connection broke. */
  onTrouble: (from: string, to: string) => void = () => {};
  stalls = 0;
  breaks = 0;

  constructor(
    randomness: SeededRandomness,
    quality: LinkQuality,
    clock: Pick<Clock, 'monotonicMs'> = { monotonicMs: () => 0 },
  ) {
    this.#randomness = randomness;
    this.#clock = clock;
    this.quality = quality;
  }

  /** From now on nothing from `from` reaches `to`. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  mend(from: string, to: string): void {
    this.#cut.delete(`${from}>${to}`);
  }

  /** The next frame on that link is lost, and the connection with it. */
  breakNext(from: string, to: string, onStruck: () => void = () => {}): void {
    this.#breakNext.set(`${from}>${to}`, onStruck);
  }

  /** The next frame on that link, and every later one of its connection, never arrives. */
  stallNext(from: string, to: string, onStruck: () => void = () => {}): void {
    this.#stallNext.set(`${from}>${to}`, onStruck);
  }

  /** Frames on that link take this much longer; 0 for the usual time. */
  slow(from: string, to: string, byMs: number): void {
    if (byMs === 0) this.#slow.delete(`${from}>${to}`);
    else this.#slow.set(`${from}>${to}`, byMs);
  }

  /** Whoever dials that address is told that nobody listens, whoever does. */
  refuse(address: string, refuses: boolean): void {
    if (refuses) this.#refusing.add(address);
    else this.#refusing.delete(address);
  }

  refuses(address: string): boolean {
    return this.#refusing.has(address);
  }

  heal(): void {
    for (const all of [this.#cut, this.#breakNext, this.#stallNext, this.#slow, this.#refusing]) all.clear();
  }

  readonly behaviour: LinkBehaviour = (from, to): LinkVerdict => {
    const { quality } = this;
    const chance = this.#randomness.fraction();
    const link = `${from}>${to}`;
    if (this.#cut.has(link)) return { kind: 'stall' };
    if (chance < quality.stallShare || took(this.#stallNext, link)) {
      this.stalls += 1;
      this.onTrouble(from, to);
      return { kind: 'stall' };
    }
    if (chance < quality.stallShare + quality.breakShare || took(this.#breakNext, link)) {
      this.breaks += 1;
      this.onTrouble(from, to);
      return { kind: 'break' };
    }
    const slow = chance > 1 - quality.slowShare ? 10 : 1;
    const spread = quality.mostDelayMs - quality.leastDelayMs;
    const usualMs = slow * (quality.leastDelayMs + spread * this.#randomness.fraction());
    const delayMs = usualMs + (this.#slow.get(link) ?? 0);
    this.#follow(from, to, delayMs);
    return { kind: 'deliver', delayMs };
  };

  #follow(from: string, to: string, delayMs: number): void {
    const atMs = this.#clock.monotonicMs() + delayMs;
    const last = this.#lastArrivals.get(from);
    if (last === undefined) {
      this.#lastArrivals.set(from, { to, atMs });
      return;
    }
    if (atMs < last.atMs) {
      if (last.to !== to) this.overtaking += 1;
      return;
    }
    last.to = to;
    last.atMs = atMs;
  }
}

/** Whether that link was to be struck; whoever asked for it is told. */
function took(struck: Map<string, () => void>, link: string): boolean {
  const onStruck = struck.get(link);
  if (onStruck === undefined) return false;
  struck.delete(link);
  onStruck();
  return true;
}
