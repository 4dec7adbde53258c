import { storeWrite, storeWrites } from '../../src/cli/audit/store-writes.ts';
import type { StoreEvent, StoreLog } from '../../src/core/audit/store-log.ts';
import type { WriteLog } from '../../src/core/audit/store-writes.ts';
import type { Violation } from '../../src/core/audit/violation.ts';
import { judgeWrites, WriteJudge, type WritesVerdict } from '../../src/core/audit/write-judge.ts';
import type { WatchEvent } from '../../src/ha/coordination-store.ts';
import { ClusterKeys } from '../../src/ha/keys.ts';
import { toJson } from '../../src/rpc/wire-format.ts';
import type { Era, SimulatedEtcd } from './simulated-etcd.ts';

/** Every write under the keys of a cluster since its etcd began. */
export function logOf({ eras }: { readonly eras: readonly Era[] }, { root }: ClusterKeys): StoreLog {
  return eras.map(({ base, commits }) => {
    const events = commits.flatMap(({ events: together, wallMs }) =>
      together.map((event) => storeEvent(event, wallMs)),
    );
    const isOurs = ({ key }: { readonly key: string }): boolean => key.startsWith(root);
    return { base: { ...base, keys: base.keys.filter(isOurs) }, events: events.filter(isOurs) };
  });
}

/** What was written under the keys of a cluster since its etcd began. */
export function writesOf(etcd: SimulatedEtcd, cluster: string): WriteLog {
  const keys = new ClusterKeys(cluster);
  return storeWrites(logOf(etcd, keys), keys);
}

/**
 * Holds the judge of `audit` to a run: throws when it finds a write that was not allowed. Each era is judged for itself:
 * with new data directories revisions begin anew, and who finds an empty etcd may found another cluster. Returns the
 * verdict about the first one.
 */
export function checkWrites(etcd: SimulatedEtcd, cluster: string): WritesVerdict {
  const [verdict, ...others] = writesOf(etcd, cluster).map((segment) => judgeWrites([segment]));
  if (verdict === undefined) throw new Error('there is no era');
  for (const { violations } of [verdict, ...others]) {
    const [first] = violations;
    if (first !== undefined) throw new Error(`${first.guarantee}: audit finds ${toJson(first)}`);
  }
  return verdict;
}

/**
 * Whether that is a write by a key that stood in the backup with which an era began: its confirm may have been lost with
 * what came after the backup, and its owner does not know that until it looks. Or it takes the place of such a write:
 * the term that this etcd knows is the older one. To be asked about each, in order.
 */
export function isOfLostConfirm(era: WriteLog[number] | undefined): (violation: Violation) => boolean {
  const standing = era?.base.keys ?? [];
  const restored = new Set(standing.filter(({ is }) => is.of === 'candidate').map(({ key }) => key));
  const lost = new Set<bigint | undefined>();
  return ({ rule, keys, revisions: [revision, replaced] }) => {
    if (rule === 'older-over-newer') return lost.has(replaced);
    const isOfLost = rule === 'before-confirm' || rule === 'deleted-unconfirmed';
    if (!isOfLost || !keys.some((key) => restored.has(key))) return false;
    lost.add(revision);
    return true;
  };
}

/** The judge of `audit` over a run as it goes: each write is judged when it is committed, each era for itself. */
export class CommitJudge {
  readonly #keys: ClusterKeys;
  #judge = new WriteJudge();
  #seen = 0;
  #isOfLostConfirm: (violation: Violation) => boolean = () => false;
  /** Of eras that are over, not asked for yet. */
  #late: readonly Violation[] = [];

  constructor(cluster: string) {
    this.#keys = new ClusterKeys(cluster);
    this.begin({ revision: 0n, keys: [] });
  }

  /** To be told when etcd begins with other data than it had. */
  begin(base: Era['base']): void {
    this.#late = this.#news();
    this.#judge = new WriteJudge();
    this.#seen = 0;
    const [era] = storeWrites(logOf({ eras: [{ base, commits: [] }] }, this.#keys), this.#keys);
    if (era === undefined) return;
    this.#judge.begin(era.base);
    this.#isOfLostConfirm = isOfLostConfirm(era);
  }

  /** To be told each commit, in order. */
  take(events: readonly WatchEvent[]): void {
    const ours = events
      .map((event) => storeEvent(event, 0))
      .filter(({ key }) => key.startsWith(this.#keys.root));
    if (ours.length > 0) this.#judge.take(ours.map((event) => storeWrite(event, this.#keys)));
  }

  /** Throws when a write that was not allowed has come since it was asked last, but for those to keys that are excepted. */
  check(isExcepted: (key: string) => boolean): void {
    const { violations } = this.#judge;
    if (violations.length === this.#seen && this.#late.length === 0) return;
    const first = this.#news().find(({ keys }) => !keys.some(isExcepted));
    this.#seen = violations.length;
    this.#late = [];
    if (first !== undefined) throw new Error(`${first.guarantee}: audit finds ${toJson(first)}`);
  }

  #news(): readonly Violation[] {
    const news = this.#judge.violations.slice(this.#seen);
    return [...this.#late, ...news.filter((violation) => !this.#isOfLostConfirm(violation))];
  }
}

function storeEvent(event: WatchEvent, receivedWallMs: number): StoreEvent {
  if (event.type === 'put') {
    const { key, value, createRevision, modRevision, lease } = event.keyValue;
    const revision = modRevision;
    return { revision, kind: 'put', key, value, createRevision, modRevision, lease, receivedWallMs };
  }
  const { key, modRevision } = event;
  const nothing = { value: '', createRevision: 0n, lease: 0n };
  return { revision: modRevision, kind: 'delete', key, modRevision, ...nothing, receivedWallMs };
}
