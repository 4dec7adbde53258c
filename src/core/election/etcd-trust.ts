import type { Observation } from './election-events.ts';
import { FOUNDED_GENERATION, type Identity } from './identity.ts';
import { IdentityMemory } from './identity-memory.ts';
import { type EtcdFacts, type WitnessSummary, WorkerWitnesses } from './worker-witnesses.ts';

/**
 * Whether etcd may be taken for the one of this cluster. `unknown`: nobody remembers anything, and etcd has no
 * identity. `renewed`: an operator declared a new generation. `doubted`: most workers contradict what was seen of
 * etcd, which is to be seen anew before anything rests on it. `contradicts`: it was wiped or restored.
 */
export type EtcdVerdict =
  | { readonly kind: 'agrees' | 'unknown' | 'doubted' }
  | { readonly kind: 'renewed'; readonly before: Identity | null; readonly now: Identity }
  | { readonly kind: 'contradicts'; readonly why: string };

/** Some versions of etcd answer a linearizable read from a stale store for a moment; a fall that lasts is none of these. */
export const FALL_BELIEVED_MS = 1_000;

/**
 * What this process and its workers remember, held against what etcd shows. Three things give away an etcd that
 * was wiped or restored: another identity than the one remembered, a revision that has fallen, and workers most of
 * whom know another cluster id or a token that this etcd cannot have brought forth: above its revision, above the
 * key that stands first in line, or that of its leader record but for the session id.
 */
export class EtcdTrust {
  readonly witnesses = new WorkerWitnesses();
  readonly #memory = new IdentityMemory();
  /** How far its revision fell, under which generation (one that is founded meanwhile is no new one), until an operator declares a new one. */
  #fall: { readonly from: bigint; readonly to: bigint; readonly generation: number } | null = null;
  /** A fall that is not believed yet: when it was seen first, and by which listing, when, it was seen last. */
  #suspicion: { readonly sinceMs: number; readonly lastMs: number; readonly listing: number } | null = null;
  /** Listings that had been answered when the workers were found to contradict; null while they do not. */
  #doubtedAt: number | null = null;

  /** The identity that this process remembers. */
  get remembered(): Identity | null {
    return this.#memory.remembered;
  }

  /** The identity that was just created; false when it is not the one remembered. */
  created(identity: Identity): boolean {
    return this.#memory.judge(identity) === 'agrees';
  }

  /** Judges by what was seen last. */
  judge(observation: Observation, nowMs: number): EtcdVerdict {
    const before = this.#memory.remembered;
    const seen = observation.identity;
    // What the workers say comes first where nothing is remembered: else it would be learned from a wiped etcd.
    const verdict = before === null ? null : this.#memory.judge(seen);
    if (verdict === 'renewed' && seen !== null) {
      this.#fall = null;
      this.#suspicion = null;
      this.#doubtedAt = null;
      return { kind: 'renewed', before, now: seen };
    }
    if (verdict === 'contradicts') return { kind: 'contradicts', why: differing(before, seen) };
    // Nothing else tells one that remembers nothing of a new generation.
    if (before === null && this.#fall !== null && generationOf(seen) > this.#fall.generation)
      this.#fall = null;
    const suspected = this.#judgeFall(observation, nowMs);
    if (suspected) return { kind: 'doubted' };
    if (this.#fall !== null) {
      return { kind: 'contradicts', why: `its revision fell from ${this.#fall.from} to ${this.#fall.to}` };
    }
    const doubt = this.#judgeWitnesses(observation, nowMs);
    if (doubt !== null) return doubt;
    if (verdict !== null) return { kind: 'agrees' };
    return { kind: this.#memory.judge(seen) === 'unknown' ? 'unknown' : 'agrees' };
  }

  /** What the workers know, held against what was seen last. */
  summary(observation: Observation | null, nowMs: number): WitnessSummary {
    return this.witnesses.summary(factsOf(observation), nowMs);
  }

  /** True while a fall is seen that may be a stale read. */
  #judgeFall({ fall, listing, identity }: Observation, nowMs: number): boolean {
    if (fall === null || this.#fall !== null) {
      this.#suspicion = null;
      return false;
    }
    const before = this.#suspicion ?? { sinceMs: nowMs, lastMs: nowMs, listing };
    this.#suspicion = listing > before.listing ? { ...before, lastMs: nowMs, listing } : before;
    if (this.#suspicion.lastMs - before.sinceMs < FALL_BELIEVED_MS) return true;
    this.#fall = { ...fall, generation: generationOf(identity) };
    this.#suspicion = null;
    return false;
  }

  /** More than half of those who know anything: then it is etcd that is wrong, else the workers are. */
  #judgeWitnesses(observation: Observation, nowMs: number): EtcdVerdict | null {
    const count = this.witnesses.count(factsOf(observation), nowMs);
    const { informed, contradicting, example } = count;
    if (2 * contradicting <= informed || example === null) {
      this.#doubtedAt = null;
      return null;
    }
    // What was seen may be older than what they know: only a listing asked for since then tells.
    this.#doubtedAt ??= observation.listing;
    if (observation.listing <= this.#doubtedAt) return { kind: 'doubted' };
    const why = `${contradicting} of ${informed} workers contradict it (${example.worker}: ${example.why})`;
    return { kind: 'contradicts', why };
  }
}

/** Without an identity that of a cluster which is founded there: only a declared one is above it. */
function generationOf(identity: Identity | null): number {
  return identity?.generation ?? FOUNDED_GENERATION;
}

function factsOf(observation: Observation | null): EtcdFacts {
  return {
    identity: observation?.identity ?? null,
    revision: observation?.etcdRevision ?? 0n,
    headEpoch: observation?.line[0]?.createRevision ?? null,
    leader: observation?.leader ?? null,
  };
}

function differing(before: Identity | null, seen: Identity | null): string {
  const named = (identity: Identity | null): string =>
    identity === null ? 'no identity' : `cluster id ${identity.clusterId}, generation ${identity.generation}`;
  return `it holds ${named(seen)}; remembered is ${named(before)}`;
}
