import { QuartermasterError } from '../../core/problem.ts';
import type { Clock } from '../../runtime/clock.ts';
import { ClusterClient } from '../client/cluster-client.ts';
import { etcdLeader } from '../cluster/etcd-leader.ts';
import type { EtcdMember } from '../cluster/etcd-member.ts';
import type { DrillCluster } from './drill-cluster.ts';
import { RESOURCE_MANAGERS } from './drill-processes.ts';
import { Inspector } from './inspector.ts';
import type { CutLinks, ProxiedLinks } from './network/drill-network.ts';

/** What a fault is prepared with. */
export interface Stage {
  readonly cluster: DrillCluster;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Resource manager that leads now. */
  readonly leader: string;
  /** 1 at first, within the scenario. */
  readonly round: number;
}

/** One fault, ready to be done. */
export interface Strike {
  /** What is done to whom. */
  readonly fault: string;
  /** Whether leadership must change hands by it, must not, or may. */
  readonly leadership: 'changes' | 'stays' | 'may-change';
  /** How long a leader is watched before the repair, unless it must change. */
  readonly watchMs: number;
  /** Does it, in one turn. */
  hit(): void;
  /** Makes whole what was broken; the cluster need not be healthy yet when it resolves. */
  repair(): Promise<void>;
}

/** One kind of drill. */
export interface Scenario {
  readonly summary: string;
  readonly proxied: ProxiedLinks;
  readonly debuggers: boolean;
  /** It is found out by silence: standbys must be ready to ask. */
  readonly silent: boolean;
  /** Only a cable can be pulled, not a proxy. */
  readonly needsNamespaces: boolean;
  /** With one member of etcd there would be nobody left to ask. */
  readonly needsThreeMembers: boolean;
  /** Heartbeat 20 ms and election timeout 200 ms in etcd, unless told otherwise. */
  readonly quickEtcd: boolean;
  /** The faults of one round, one after the other; each is prepared when the cluster is healthy again. */
  readonly strikes: readonly ((stage: Stage) => Promise<Strike>)[];
}

const BLOCK_MS = 3_000;
/** Longer than it takes to find a leader out that is silent, and etcd to elect another member. */
const WATCH_MS = 3_000;
/** Whoever ends for himself alone comes back soon, so that what a worker holds does not run out. */
const WORKER_WATCH_MS = 500;
const ORDER_TIMEOUT_MS = 10_000;
const CUT_FROM: Readonly<Record<CutLinks, string>> = {
  'to-etcd': 'etcd',
  'to-resource-managers': 'the standbys',
};

const PLAIN = {
  proxied: 'none',
  debuggers: false,
  silent: false,
  needsNamespaces: false,
  needsThreeMembers: false,
  quickEtcd: false,
} as const;

function one(strike: (stage: Stage) => Strike | Promise<Strike>): Scenario['strikes'] {
  return [(stage) => Promise.resolve(strike(stage))];
}

/** Every scenario by its name. */
export const SCENARIOS = {
  'step-down': {
    ...PLAIN,
    summary: 'the leader is asked over HTTP to hand leadership over',
    strikes: one(stepDown),
  },
  'terminate-leader': {
    ...PLAIN,
    summary: 'SIGTERM to the leader',
    strikes: one(({ cluster, leader }) => terminate(cluster, leader, 'changes')),
  },
  'kill-leader': {
    ...PLAIN,
    summary: 'SIGKILL to the leader',
    strikes: one(({ cluster, leader }) => crash(cluster, leader, 'changes')),
  },
  'pause-leader': {
    ...PLAIN,
    silent: true,
    summary: 'SIGSTOP to the leader, SIGCONT once another one leads',
    strikes: one(pauseLeader),
  },
  'block-loop': {
    ...PLAIN,
    debuggers: true,
    silent: true,
    summary: `the event loop of the leader hangs for ${BLOCK_MS / 1_000} s`,
    strikes: one(blockLoop),
  },
  'partition-leader-from-etcd': {
    ...PLAIN,
    proxied: 'to-etcd',
    silent: true,
    summary: 'nothing passes between the leader and etcd any more',
    strikes: one(({ cluster, leader }) => cutOff(cluster, leader, 'to-etcd', 'changes')),
  },
  'partition-leader-from-standbys': {
    ...PLAIN,
    proxied: 'to-resource-managers',
    summary: 'nothing passes between the leader and the standbys; it must stay the leader',
    strikes: one(({ cluster, leader }) => cutOff(cluster, leader, 'to-resource-managers', 'stays')),
  },
  'unplug-leader': {
    ...PLAIN,
    needsNamespaces: true,
    silent: true,
    summary: 'the leader is off the network, as in a power loss: nobody refuses a connection',
    strikes: one(({ cluster, leader }) => unplug(cluster, leader, 'changes', () => cluster.unplug(leader))),
  },
  'unplug-etcd-leader': {
    ...PLAIN,
    needsNamespaces: true,
    needsThreeMembers: true,
    quickEtcd: true,
    summary: 'the member that leads etcd is off the network',
    strikes: one(async ({ cluster }) => {
      const member = await leadingMember(cluster);
      return unplug(cluster, "etcd's leader", 'may-change', () => cluster.unplugMember(member));
    }),
  },
  'kill-etcd-member': {
    ...PLAIN,
    needsThreeMembers: true,
    summary: 'SIGKILL to a member of etcd that does not lead etcd',
    strikes: one(async ({ cluster }) => {
      const leading = await leadingMember(cluster);
      const member = cluster.etcd.members.find((each) => each !== leading) ?? leading;
      return killMember(cluster, member, 'a follower of etcd', 'stays');
    }),
  },
  'kill-etcd-leader': {
    ...PLAIN,
    needsThreeMembers: true,
    quickEtcd: true,
    summary: 'SIGKILL to the member that leads etcd',
    strikes: one(async ({ cluster }) =>
      killMember(cluster, await leadingMember(cluster), "etcd's leader", 'may-change'),
    ),
  },
  'kill-etcd-leader-with-leader': {
    ...PLAIN,
    needsThreeMembers: true,
    quickEtcd: true,
    summary: 'SIGKILL to the member that leads etcd and to the leader, together',
    strikes: one(killBothLeaders),
  },
  'kill-task-executor': {
    ...PLAIN,
    summary: 'SIGKILL to a task executor whose slots are held; it is started again',
    strikes: one(({ cluster, round }) => crash(cluster, round % 2 === 1 ? 'te-1' : 'te-2', 'stays')),
  },
  'kill-job-master': {
    ...PLAIN,
    summary: 'SIGKILL to a job master that holds a slot; it is started again',
    strikes: one(({ cluster, round }) => {
      const { jobs } = cluster;
      return crash(cluster, jobs[(round - 1) % jobs.length] ?? '', 'stays');
    }),
  },
  'rolling-upgrade': {
    ...PLAIN,
    summary: 'every resource manager is replaced, one after the other (SIGTERM)',
    strikes: RESOURCE_MANAGERS.toReversed().map(
      (id) =>
        ({ cluster, leader }: Stage) =>
          Promise.resolve(terminate(cluster, id, id === leader ? 'changes' : 'stays')),
    ),
  },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;

/** The names of all scenarios, in the order in which `all` runs them. */
export const SCENARIO_NAMES = Object.keys(SCENARIOS) as ScenarioName[];

function crash(cluster: DrillCluster, id: string, leadership: Strike['leadership']): Strike {
  let gone: Promise<void> = Promise.resolve();
  return {
    fault: `SIGKILL to ${id}`,
    leadership,
    watchMs: WORKER_WATCH_MS,
    hit: () => {
      gone = cluster.crash(id);
    },
    repair: async () => {
      await gone;
      await cluster.startAgain(id);
    },
  };
}

function terminate(cluster: DrillCluster, id: string, leadership: Strike['leadership']): Strike {
  let gone: Promise<void> = Promise.resolve();
  return {
    fault: `SIGTERM to ${id}`,
    leadership,
    watchMs: WORKER_WATCH_MS,
    hit: () => {
      gone = cluster.terminate(id);
    },
    repair: async () => {
      await gone;
      await cluster.startAgain(id);
    },
  };
}

function stepDown({ cluster, clock, leader }: Stage): Strike {
  const place = cluster.resourceManagers.find(({ id }) => id === leader);
  const client = new ClusterClient({
    resourceManagers: place === undefined ? [] : [place.listen],
    timeoutMs: ORDER_TIMEOUT_MS,
    clock,
  });
  let order: Promise<unknown> = Promise.resolve();
  return {
    fault: `step-down ordered of ${leader}`,
    leadership: 'changes',
    watchMs: WATCH_MS,
    hit: () => {
      order = client.order('POST', '/v1/step-down', { reason: 'a drill' });
      // It is looked at in `repair`.
      order.catch(() => {});
    },
    repair: async () => {
      try {
        await order;
      } finally {
        await client.close();
      }
    },
  };
}

function pauseLeader({ cluster, leader }: Stage): Strike {
  return {
    fault: `SIGSTOP to ${leader}`,
    leadership: 'changes',
    watchMs: WATCH_MS,
    hit: () => cluster.signal(leader, 'SIGSTOP'),
    repair: () => {
      cluster.signal(leader, 'SIGCONT');
      return Promise.resolve();
    },
  };
}

async function blockLoop({ cluster, clock, signal, leader }: Stage): Promise<Strike> {
  const place = cluster.resourceManagers.find(({ id }) => id === leader);
  const inspector = await Inspector.open(cluster.pid(leader), place?.inspect ?? '', clock, signal);
  return {
    fault: `the event loop of ${leader} blocked for ${BLOCK_MS / 1_000} s`,
    leadership: 'changes',
    watchMs: WATCH_MS,
    hit: () => inspector.blockLoop(BLOCK_MS),
    // It ends by itself.
    repair: () => {
      inspector.close();
      return Promise.resolve();
    },
  };
}

function cutOff(
  cluster: DrillCluster,
  leader: string,
  from: CutLinks,
  leadership: Strike['leadership'],
): Strike {
  let mend: () => void = () => {};
  return {
    fault: `${leader} cut off from ${CUT_FROM[from]}`,
    leadership,
    watchMs: WATCH_MS,
    hit: () => {
      mend = cluster.cutOff(leader, from);
    },
    repair: () => {
      mend();
      return Promise.resolve();
    },
  };
}

function unplug(
  cluster: DrillCluster,
  what: string,
  leadership: Strike['leadership'],
  hit: () => void,
): Strike {
  return {
    fault: `${what} unplugged`,
    leadership,
    watchMs: WATCH_MS,
    hit,
    repair: () => {
      cluster.mend();
      return Promise.resolve();
    },
  };
}

async function leadingMember(cluster: DrillCluster): Promise<EtcdMember> {
  const member = await etcdLeader(cluster.etcd);
  if (member !== null) return member;
  throw new QuartermasterError({ code: 'CONFLICT', detail: 'No member says that it leads etcd.' });
}

function killMember(
  cluster: DrillCluster,
  member: EtcdMember,
  what: string,
  leadership: Strike['leadership'],
): Strike {
  let gone: Promise<void> = Promise.resolve();
  return {
    fault: `SIGKILL to ${what}`,
    leadership,
    watchMs: WATCH_MS,
    hit: () => {
      gone = member.crash();
    },
    repair: async () => {
      await gone;
      await cluster.etcd.restart(member);
    },
  };
}

async function killBothLeaders({ cluster, leader }: Stage): Promise<Strike> {
  const ofEtcd = killMember(cluster, await leadingMember(cluster), "etcd's leader", 'may-change');
  const ofUs = crash(cluster, leader, 'changes');
  return {
    fault: `${ofEtcd.fault} and to ${leader}`,
    leadership: 'changes',
    watchMs: WATCH_MS,
    hit: () => {
      ofEtcd.hit();
      ofUs.hit();
    },
    repair: async () => {
      await ofEtcd.repair();
      await ofUs.repair();
    },
  };
}
