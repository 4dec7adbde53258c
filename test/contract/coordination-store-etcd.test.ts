import { EtcdCluster } from '../../src/cli/cluster/etcd-cluster.ts';
import { EtcdCoordinationStore } from '../../src/ha/etcd/etcd-coordination-store.ts';
import { SystemClock } from '../../src/runtime/system-clock.ts';
import { eventually } from '../support/eventually.ts';
import { standStill } from '../support/stand-still.ts';
import { describeCoordinationStore } from './coordination-store.contract.ts';
import type { StoreUnderTest } from './store-under-test.ts';

/** Asks a member's JSON gateway for what the port of the store does not offer. */
async function order(url: string, body: Readonly<Record<string, unknown>>): Promise<unknown> {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response.json();
}

/** Whether all members name the same leader; a member that was stopped first has to notice that it no longer leads. */
async function agree(urls: readonly string[]): Promise<boolean> {
  const views = await Promise.all(
    urls.map(
      async (url) =>
        (await order(`${url}/v3/maintenance/status`, {})) as { leader: string; raftTerm: string },
    ),
  );
  return new Set(views.map(({ leader, raftTerm }) => `${leader} ${raftTerm}`)).size === 1;
}

async function startEtcd(members: 1 | 3): Promise<StoreUnderTest> {
  const clock = new SystemClock();
  const cluster = await EtcdCluster.start({ members, heartbeatIntervalMs: 20, electionTimeoutMs: 200 });
  const url = cluster.members[0]?.url ?? '';
  return {
    connect: () => new EtcdCoordinationStore({ endpoints: cluster.urls, clock }),
    answer: (call) => call,
    until: (what, condition, limitMs) => eventually(what, condition, limitMs),
    nowMs: () => clock.monotonicMs(),
    silence: (member) => standStill(cluster.members[member]?.pid ?? NaN),
    kill: async (member) => cluster.members[member]?.crash(),
    repair: async () => {
      for (const member of cluster.members) member.kill('SIGCONT');
      for (const member of cluster.members) await cluster.restart(member);
      await eventually('the members agree on a leader', () => agree(cluster.urls));
    },
    compact: async (revision) => {
      await order(`${url}/v3/kv/compaction`, { revision: revision.toString() });
    },
    setNoSpace: async (noSpace) => {
      const action = noSpace ? 'ACTIVATE' : 'DEACTIVATE';
      const list = (await order(`${url}/v3/cluster/member/list`, {})) as { members: { ID: string }[] };
      for (const { ID } of list.members) {
        await order(`${url}/v3/maintenance/alarm`, { action, memberID: ID, alarm: 'NOSPACE' });
      }
    },
    stop: () => cluster.stop(),
  };
}

describeCoordinationStore('etcd', startEtcd);
