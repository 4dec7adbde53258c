import { storeWrites } from '../../src/cli/audit/store-writes.ts';
import type { StoreEvent, StoreLog } from '../../src/core/audit/store-log.ts';
import type { WriteLog } from '../../src/core/audit/store-writes.ts';
import { judgeWrites, type WritesVerdict } from '../../src/core/audit/write-judge.ts';
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
    if (first !== undefined) throw new Error(`audit finds ${toJson(first)}`);
  }
  return verdict;
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
