import type { Identity } from './identity.ts';

/**
 * `agrees`: the one that is remembered. `unknown`: none was ever seen, and none is there. `renewed`: an operator
 * declared a new generation, which is remembered from now on. `contradicts`: etcd was wiped or restored.
 */
export type IdentityVerdict = 'agrees' | 'unknown' | 'renewed' | 'contradicts';

/** Remembers, as long as the process lives, which cluster this is. */
export class IdentityMemory {
  #remembered: Identity | null = null;

  get remembered(): Identity | null {
    return this.#remembered;
  }

  judge(seen: Identity | null): IdentityVerdict {
    const known = this.#remembered;
    if (known === null) {
      if (seen === null) return 'unknown';
      this.#remembered = seen;
      return 'agrees';
    }
    if (seen === null || seen.generation < known.generation) return 'contradicts';
    if (seen.generation > known.generation) {
      this.#remembered = seen;
      return 'renewed';
    }
    return seen.clusterId === known.clusterId ? 'agrees' : 'contradicts';
  }
}
