import { compareTokens, formatToken, type FencingToken, sameToken } from '../fencing-token.ts';
import type { ClusterId } from '../ids.ts';
import type { Identity } from './identity.ts';

/** What a task executor or job master says that it knows; null for what it was never told. */
export interface WorkerKnowledge {
  readonly clusterId: ClusterId | null;
  /** The highest token that it has accepted. */
  readonly highestToken: FencingToken | null;
}

/** What etcd shows: its identity, null while it has none, and its own revision. */
export interface EtcdFacts {
  readonly identity: Identity | null;
  readonly revision: bigint;
  /** Create revision of the key that stands first in line; null while nobody does. */
  readonly headEpoch: bigint | null;
  /** Token that the leader record names; null when there is none. */
  readonly leader: FencingToken | null;
}

/** What the workers say about etcd. Those who know nothing are not counted. */
export interface WitnessCount {
  readonly informed: number;
  readonly contradicting: number;
  /** One that contradicts, by the name under which it was heard; null when none does. */
  readonly example: { readonly worker: string; readonly why: string } | null;
}

/** What most workers know, for whoever has to name the cluster anew. */
export interface WitnessSummary extends WitnessCount {
  /** The cluster id that most of them know; null when none knows one. */
  readonly clusterId: ClusterId | null;
  /** The highest generation of a token that any of them has accepted; 0 when there is none. */
  readonly generation: number;
}

interface Witness {
  /** That the processes of one worker have in common. */
  readonly name: string;
  readonly knowledge: WorkerKnowledge;
  /** Why it contradicts etcd, by the facts of the last count; null when it does not. */
  why: string | null;
  /** Monotonic time of the end of its connection; null while that stands. */
  goneMs: number | null;
}

/** What was said counts on for so long after the connection, so that an outage of the network makes nobody forget. */
export const WITNESS_KEPT_MS = 60_000;
const MOST_GONE = 20_000;

/** Why what a worker knows cannot be of the etcd that shows this; null when it can. */
export function whyContradicting(
  { clusterId, highestToken }: WorkerKnowledge,
  { identity, revision, headEpoch, leader }: EtcdFacts,
): string | null {
  if (identity === null) {
    if (clusterId === null && highestToken === null) return null;
    return `it knows ${clusterId === null ? 'a leader' : `cluster id ${clusterId}`}, etcd knows none`;
  }
  if (clusterId !== null && clusterId !== identity.clusterId) {
    return `it knows cluster id ${clusterId}, etcd has ${identity.clusterId}`;
  }
  if (highestToken === null || highestToken.generation < identity.generation) return null;
  const { generation, epoch } = highestToken;
  if (generation > identity.generation) {
    return `it has obeyed a leader of generation ${generation}, etcd has generation ${identity.generation}`;
  }
  const obeyed = `it has obeyed the leader of ${formatToken(highestToken)}`;
  if (epoch > revision) return `${obeyed}, etcd is at revision ${revision}`;
  // Whoever is confirmed is first in line: an etcd whose revisions have caught up with those it lost is given away so.
  if (headEpoch !== null && epoch > headEpoch)
    return `${obeyed}, a key of revision ${headEpoch} stands before it in line`;
  const same =
    leader === null || compareTokens(leader, highestToken) !== 0 || sameToken(leader, highestToken);
  return same ? null : `${obeyed} under another leader session id than etcd has`;
}

/** What the connected workers, and those connected a moment ago, say that they know of their cluster. */
export class WorkerWitnesses {
  readonly #witnesses = new Map<string, Witness>();
  /** Those whose connection has ended, the first to be forgotten first. */
  readonly #gone = new Set<string>();
  #facts: EtcdFacts | null = null;
  #informed = 0;
  readonly #contradicting = new Set<string>();
  /** The process of each name that said anything last. */
  readonly #lastOf = new Map<string, string>();

  /**
   * A worker has said what it knows; `worker` tells its process from every other, `name` is the same for all of them.
   * Those of its name that have gone count no more: one that is started again and again has one voice.
   */
  heard(worker: string, knowledge: WorkerKnowledge, name = worker): void {
    this.#forget(worker);
    if (knowledge.clusterId === null && knowledge.highestToken === null) return;
    const former = this.#lastOf.get(name);
    if (former !== undefined && this.#gone.has(former)) this.#forget(former);
    this.#lastOf.set(name, worker);
    const witness: Witness = { name, knowledge, why: null, goneMs: null };
    this.#witnesses.set(worker, witness);
    this.#informed += 1;
    this.#compare(worker, witness);
  }

  /** Its connection has ended. */
  left(worker: string, nowMs: number): void {
    const witness = this.#witnesses.get(worker);
    if (witness === undefined) return;
    if (this.#lastOf.get(witness.name) !== worker) return this.#forget(worker);
    witness.goneMs = nowMs;
    this.#gone.delete(worker);
    this.#gone.add(worker);
    const [first] = this.#gone;
    if (this.#gone.size > MOST_GONE && first !== undefined) this.#forget(first);
  }

  /** Compares with what etcd shows now. Costs nothing while neither etcd nor the workers give cause to look again. */
  count(facts: EtcdFacts, nowMs: number): WitnessCount {
    this.#forgetGone(nowMs);
    if (this.#isNews(facts)) {
      this.#facts = facts;
      for (const [worker, witness] of this.#witnesses) this.#compare(worker, witness);
    }
    this.#facts = facts;
    const [worker] = this.#contradicting;
    const why = worker === undefined ? undefined : this.#witnesses.get(worker)?.why;
    return {
      informed: this.#informed,
      contradicting: this.#contradicting.size,
      example: worker === undefined || why === undefined || why === null ? null : { worker, why },
    };
  }

  /** What they know, compared with etcd; looks at every one of them. */
  summary(facts: EtcdFacts, nowMs: number): WitnessSummary {
    const count = this.count(facts, nowMs);
    const known = new Map<ClusterId, number>();
    let generation = 0;
    for (const { knowledge } of this.#witnesses.values()) {
      const { clusterId, highestToken } = knowledge;
      if (clusterId !== null) known.set(clusterId, (known.get(clusterId) ?? 0) + 1);
      generation = Math.max(generation, highestToken?.generation ?? 0);
    }
    // By name where two are known to equally many, so that each resource manager says the same.
    const [most] = [...known].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    return { ...count, clusterId: most?.[0] ?? null, generation };
  }

  #isNews(facts: EtcdFacts): boolean {
    const before = this.#facts;
    if (before === null || before.identity?.clusterId !== facts.identity?.clusterId) return true;
    if (before.identity?.generation !== facts.identity?.generation) return true;
    if (facts.revision < before.revision || isLower(facts.headEpoch, before.headEpoch)) return true;
    if (facts.leader !== null && facts.leader.leaderSessionId !== before.leader?.leaderSessionId) return true;
    // What grows contradicts nobody whom the lower one did not contradict.
    const same = facts.revision === before.revision && facts.headEpoch === before.headEpoch;
    return !same && this.#contradicting.size > 0;
  }

  #compare(worker: string, witness: Witness): void {
    witness.why = this.#facts === null ? null : whyContradicting(witness.knowledge, this.#facts);
    if (witness.why === null) this.#contradicting.delete(worker);
    else this.#contradicting.add(worker);
  }

  #forgetGone(nowMs: number): void {
    for (const worker of this.#gone) {
      const goneMs = this.#witnesses.get(worker)?.goneMs ?? -Infinity;
      if (nowMs - goneMs < WITNESS_KEPT_MS) return;
      this.#forget(worker);
    }
  }

  #forget(worker: string): void {
    this.#gone.delete(worker);
    this.#contradicting.delete(worker);
    const witness = this.#witnesses.get(worker);
    if (witness === undefined) return;
    this.#witnesses.delete(worker);
    this.#informed -= 1;
    if (this.#lastOf.get(witness.name) === worker) this.#lastOf.delete(witness.name);
  }
}

function isLower(now: bigint | null, before: bigint | null): boolean {
  return now !== null && (before === null || now < before);
}
