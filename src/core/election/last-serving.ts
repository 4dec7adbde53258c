import type { PeerSighting } from './peer-sighting.ts';

/** Processes beyond this are forgotten, those first that were heard of first. */
const MOST_PROCESSES = 100;

interface Known {
  /** By its last answer; unknown before. */
  readonly serving: boolean;
  readonly wallMs: number;
}

/**
 * When each other process was last seen to serve: when it answered so, or when the connection broke over which it had
 * last said so. For people who ask how long nobody led; nothing is decided by it.
 */
export class LastServing {
  readonly #known = new Map<string, Known>();

  take(sighting: PeerSighting, wallMs: number): void {
    if (sighting.type === 'answered') {
      const serving = sighting.state === 'serving';
      if (serving) this.#set(sighting.bootNonce, { serving, wallMs });
      else this.#keep(sighting.bootNonce);
    } else if (sighting.type === 'broken' && this.#known.get(sighting.bootNonce)?.serving === true) {
      this.#set(sighting.bootNonce, { serving: false, wallMs });
    }
  }

  /** In milliseconds of the wall clock; null when it was never seen to serve. */
  of(bootNonce: string): number | null {
    return this.#known.get(bootNonce)?.wallMs ?? null;
  }

  #keep(bootNonce: string): void {
    const known = this.#known.get(bootNonce);
    if (known?.serving === true) this.#set(bootNonce, { ...known, serving: false });
  }

  #set(bootNonce: string, known: Known): void {
    this.#known.set(bootNonce, known);
    if (this.#known.size <= MOST_PROCESSES) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}
