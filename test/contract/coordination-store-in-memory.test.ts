import { SimulatedEtcd } from '../simulation/simulated-etcd.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';
import { describeCoordinationStore } from './coordination-store.contract.ts';
import type { StoreUnderTest } from './store-under-test.ts';

function startModel(): StoreUnderTest {
  const clock = new VirtualClock();
  const etcd = new SimulatedEtcd({ clock });
  const nameOf = (member: number): string => etcd.memberNames[member] ?? '';
  let clients = 0;
  return {
    connect: () => etcd.connect(`client-${++clients}`),
    answer: async (call) => {
      let settled = false;
      void Promise.allSettled([call]).then(() => {
        settled = true;
      });
      await clock.until(() => settled, 60_000, 'the answer');
      return call;
    },
    until: (what, condition, limitMs) => clock.until(condition, limitMs, what),
    nowMs: () => clock.monotonicMs(),
    silence: (member) => Promise.resolve(etcd.setCondition(nameOf(member), 'silent')),
    kill: (member) => Promise.resolve(etcd.setCondition(nameOf(member), 'down')),
    repair: () => {
      for (const name of etcd.memberNames) etcd.setCondition(name, 'up');
      return Promise.resolve();
    },
    compact: (revision) => Promise.resolve(etcd.compact(revision)),
    setNoSpace: (noSpace) => {
      etcd.state.noSpace = noSpace;
      return Promise.resolve();
    },
    stop: () => Promise.resolve(),
  };
}

describeCoordinationStore('in memory', () => Promise.resolve(startModel()));
