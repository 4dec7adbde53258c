import { storeWrites } from '../../src/cli/audit/store-writes.ts';
import type { StoreEvent, StoreLog } from '../../src/core/audit/store-log.ts';
import { judgeWrites, type WritesVerdict } from '../../src/core/audit/write-judge.ts';
import type { WatchEvent } from '../../src/ha/coordination-store.ts';
import { ClusterKeys } from '../../src/ha/keys.ts';
import { toJson } from '../../src/rpc/wire-format.ts';
import type { SimulatedEtcd } from './simulated-etcd.ts';

/** Every write under the keys of a cluster since its etcd began. */
export function logOf({ commits }: Pick<SimulatedEtcd, 'commits'>, { root }: ClusterKeys): StoreLog {
  const events = commits.flatMap(({ events: together, wallMs }) =>
    together.map((event) => storeEvent(event, wallMs)),
  );
  return [{ base: { revision: 0n, keys: [] }, events: events.filter(({ key }) => key.startsWith(root)) }];
}

/** Holds the judge of `audit` to a run: throws when it finds a write that was not allowed. */
export function checkWrites(etcd: SimulatedEtcd, cluster: string): WritesVerdict {
  const keys = new ClusterKeys(cluster);
  const verdict = judgeWrites(storeWrites(logOf(etcd, keys), keys));
  const [first] = verdict.violations;
  if (first !== undefined) throw new Error(`audit finds ${toJson(first)}`);
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
