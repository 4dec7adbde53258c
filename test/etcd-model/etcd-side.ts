import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EtcdCluster } from '../../src/cli/cluster/etcd-cluster.ts';
import { StoreError } from '../../src/ha/coordination-store.ts';
import { EtcdCoordinationStore } from '../../src/ha/etcd/etcd-coordination-store.ts';
import { SystemClock } from '../../src/runtime/system-clock.ts';
import { eventually } from '../support/eventually.ts';
import type { StoreSide } from './store-side.ts';

/** Least time to live that an etcd with its default times grants. */
export const MIN_TTL_SECONDS = 2;

/** Where files are in memory, if there is such a place: each write of etcd waits for its disk. */
const FOLDER = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A new etcd of one member, at revision 1. */
export async function startEtcdSide(): Promise<StoreSide> {
  const clock = new SystemClock();
  const dataDir = mkdtempSync(join(FOLDER, 'quartermaster-model-'));
  const cluster = await EtcdCluster.start({ dataDir, extraFlags: { 'auto-compaction-retention': '0' } });
  const store = new EtcdCoordinationStore({ endpoints: cluster.urls, clock });
  const ask = async (path: string, body: Readonly<Record<string, unknown>>): Promise<unknown> => {
    const response = await fetch(`${cluster.urls[0]}${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (response.ok) return response.json();
    const text = await response.text();
    throw new StoreError(/has been compacted/.test(text) ? 'compacted' : 'rejected', text);
  };
  return {
    endpoint: store.endpoints[0],
    answer: (call) => call,
    until: (what, condition) => eventually(what, condition, 20_000),
    nowMs: () => clock.monotonicMs(),
    pass: (ms) => new Promise((resolve) => void clock.schedule(ms, resolve)),
    compact: async (revision) => {
      // With `physical`, what is compacted is gone before the answer.
      await ask('/v3/kv/compaction', { revision: revision.toString(), physical: true });
    },
    leases: async () => {
      const { leases = [] } = (await ask('/v3/lease/leases', {})) as { leases?: { ID: string }[] };
      return leases.map(({ ID }) => BigInt(ID));
    },
    stop: async () => {
      await store.close();
      await cluster.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
