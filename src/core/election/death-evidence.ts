import type { CandidateValue, LineEntry } from './election-events.ts';
import type { PeerSighting } from './peer-sighting.ts';

/** A process that was met at an address. */
interface Acquaintance {
  /** How many connections had broken when the last one to it did; null while none did since it was reached. */
  brokenAt: number | null;
  proof: string | null;
}

/** Who has left the line is remembered, for it may queue again; the oldest are forgotten beyond this. */
const MOST_NONCES = 1_000;

/**
 * Judges which candidates are proven dead. A candidate is, once the process with its boot nonce was met at its
 * address, that connection broke, and the address now refuses, or is answered by a process that nobody had seen
 * before the break. Whatever else an attempt to connect ends with proves nothing.
 */
export class DeathEvidence {
  readonly #ownNonce: string;
  readonly #places = new Map<string, Map<string, Acquaintance>>();
  /** Boot nonces, each with the number of breaks before it was first seen in line. */
  readonly #firstSeen = new Map<string, number>();
  readonly #misleading = new Set<string>();
  #breaks = 0;

  constructor(ownNonce: string) {
    this.#ownNonce = ownNonce;
  }

  /** To be called with each line before what is seen of its candidates; others are forgotten. */
  follow(line: readonly LineEntry[]): void {
    const addresses = new Set<string>();
    const nonces = new Set<string>();
    for (const { candidate } of line) {
      if (candidate === null) continue;
      addresses.add(candidate.address);
      nonces.add(candidate.bootNonce);
      if (!this.#firstSeen.has(candidate.bootNonce)) this.#firstSeen.set(candidate.bootNonce, this.#breaks);
    }
    for (const [address, place] of this.#places) {
      for (const [nonce, { brokenAt }] of place) {
        if (brokenAt !== null && !nonces.has(nonce)) place.delete(nonce);
      }
      if (addresses.has(address)) continue;
      this.#places.delete(address);
      this.#misleading.delete(address);
    }
    for (const nonce of this.#firstSeen.keys()) {
      if (this.#firstSeen.size <= MOST_NONCES) break;
      if (!nonces.has(nonce)) this.#firstSeen.delete(nonce);
    }
  }

  /** Returns a sentence, once for an address, when it leads to a process that has another place: a wrong setting. */
  take(sighting: PeerSighting): string | null {
    switch (sighting.type) {
      case 'reached':
        return this.#reached(sighting.address, sighting.bootNonce);
      case 'broken': {
        this.#breaks += 1;
        const met = this.#places.get(sighting.address)?.get(sighting.bootNonce);
        if (met !== undefined) met.brokenAt = this.#breaks;
        return null;
      }
      case 'refused':
        for (const met of this.#places.get(sighting.address)?.values() ?? []) {
          if (met.brokenAt !== null) met.proof = `nobody listens at ${sighting.address} any more`;
        }
        return null;
      default:
        return null;
    }
  }

  /** What proves the death of that candidate; null when nothing does. */
  proofOf({ address, bootNonce }: CandidateValue): string | null {
    if (bootNonce === this.#ownNonce) return null;
    return this.#places.get(address)?.get(bootNonce)?.proof ?? null;
  }

  #reached(address: string, bootNonce: string): string | null {
    const place = this.#places.get(address) ?? new Map<string, Acquaintance>();
    this.#places.set(address, place);
    const seenAt = bootNonce === this.#ownNonce ? -1 : (this.#firstSeen.get(bootNonce) ?? Infinity);
    let misled = false;
    for (const [nonce, met] of place) {
      if (nonce === bootNonce || met.brokenAt === null) continue;
      // Who was in line before the break is no restarted process: the address is wrong, not its owner dead.
      if (seenAt < met.brokenAt) misled = true;
      else met.proof = `another process answers at ${address}`;
    }
    place.set(bootNonce, { brokenAt: null, proof: null });
    if (!misled || this.#misleading.has(address)) return null;
    this.#misleading.add(address);
    return `${address} leads to a resource manager that has another place in line: an advertised address is wrong`;
  }
}
