import { EtcdCluster } from '../../src/cli/cluster/etcd-cluster.ts';
import { etcdHighAvailability } from '../../src/ha/etcd/etcd-high-availability.ts';
import { EtcdCoordinationStore } from '../../src/ha/etcd/etcd-coordination-store.ts';
import { SystemClock } from '../../src/runtime/system-clock.ts';
import { eventually } from '../support/eventually.ts';
import { describeHighAvailability } from './high-availability.contract.ts';
import { type HighAvailabilityUnderTest, TEST_TIMING } from './high-availability-under-test.ts';

async function startEtcd(): Promise<HighAvailabilityUnderTest> {
  const clock = new SystemClock();
  const cluster = await EtcdCluster.start({ members: 1 });
  const endpoints = cluster.urls;
  return {
    clock,
    timing: TEST_TIMING,
    services: (options) => etcdHighAvailability({ ...options, endpoints }),
    operator: () => new EtcdCoordinationStore({ endpoints, clock }),
    until: (what, condition, limitMs) => eventually(what, condition, limitMs),
    answer: (call) => call,
    stop: () => cluster.stop(),
  };
}

describeHighAvailability('etcd', startEtcd);
