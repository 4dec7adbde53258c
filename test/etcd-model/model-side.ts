import { InMemoryEtcd } from '../../src/ha/embedded/in-memory-etcd.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';
import { MIN_TTL_SECONDS } from './etcd-side.ts';
import type { StoreSide } from './store-side.ts';

/** A new model, of that class, at revision 1; its time stands still unless it is passed. */
export function startModelSide(model: typeof InMemoryEtcd = InMemoryEtcd): StoreSide {
  const clock = new VirtualClock();
  const etcd = new model({ clock, minTtlSeconds: MIN_TTL_SECONDS });
  const store = etcd.connect('test');
  return {
    endpoint: store.endpoints[0],
    answer: async (call) => {
      let settled = false;
      void Promise.allSettled([call]).then(() => {
        settled = true;
      });
      await clock.until(() => settled, 60_000, 'the answer');
      return call;
    },
    until: (what, condition) => clock.until(condition, 1_000, what),
    nowMs: () => clock.monotonicMs(),
    pass: (ms) => clock.advance(ms),
    compact: async (revision) => etcd.state.mvcc.compact(revision),
    leases: () => Promise.resolve(etcd.state.leaseIds),
    stop: () => store.close(),
  };
}
