import type { StoreState } from '../../src/ha/embedded/store-state.ts';
import type { FailoverScenario, FailoverScene, Findings } from './failover-scenarios.ts';
import { askToGo, confirms, demand, idOf } from './scene-steps.ts';

const PROFILE = { cpuCores: 1, memoryMB: 512, extended: {} };
const RESOURCE_MANAGERS = ['rm-1', 'rm-2', 'rm-3'];

/** Newcomers may lead for as long as it takes a worker to come back to them. */
const MOST_MISLED_MS = 4_000;

function loseEtcd({ cluster }: FailoverScene, snapshot: StoreState | null): void {
  cluster.etcd.startWith(snapshot);
}

async function powerOff(scene: FailoverScene, chance: () => number): Promise<void> {
  scene.cluster.etcd.shutDown();
  await scene.run(50 + chance() * 15_000);
}

/** Nobody serves for that long, whatever is tried; every resource manager says why. */
async function nobodyServes(scene: FailoverScene, ms: number): Promise<void> {
  const endMs = scene.nowMs + ms;
  scene.cluster.clock.schedule(ms, () => {});
  const look = (): boolean => {
    const leader = scene.cluster.leader();
    if (leader !== null)
      throw new Error(`${leader.process.name} serves from an etcd that was wiped or restored`);
    return scene.nowMs >= endMs;
  };
  await scene.until('nobody to serve', look, ms + 1);
  for (const { process, endpoint } of scene.cluster.resourceManagers.values()) {
    const { contradiction, ready } = endpoint.view.status();
    demand(contradiction !== null && !ready, `${process.name} does not say that etcd was wiped or restored`);
  }
}

/** An operator's order at one of them; then all is as it was, under the next generation. */
async function declareAndRecover(
  scene: FailoverScene,
  chance: () => number,
  held: number,
): Promise<Findings> {
  const { cluster } = scene;
  const before = cluster.taskExecutors.get('te-1')?.endpoint.status().clusterId;
  const name = RESOURCE_MANAGERS[Math.floor(chance() * RESOURCE_MANAGERS.length)] ?? '';
  const startMs = scene.nowMs;
  const plan = { done: false };
  const order = cluster.resourceManagers.get(name)?.endpoint.view.newGeneration(2);
  // Said twice, as by an operator who got no answer.
  const again = cluster.resourceManagers.get('rm-1')?.endpoint.view.newGeneration(2);
  void Promise.all([order, again]).then((identities) => {
    plan.done = identities.every((identity) => identity?.generation === 2 && identity.clusterId === before);
  });
  await scene.until('both orders are answered', () => plan.done, 20_000);
  await scene.until('somebody serves', () => cluster.leader() !== null, 5_000);
  const confirmMs = scene.nowMs - startMs;
  demand(scene.held === held, `${scene.held} of ${held} slots are held`);
  const leader = scene.leader();
  demand(leader.endpoint.view.leader()?.generation === 2, 'the leader is not of the next generation');
  const workers = [...cluster.taskExecutors.values()];
  const accepted = (): boolean =>
    workers.every(({ endpoint }) => {
      const { highestToken, registeredWith } = endpoint.status();
      return highestToken?.generation === 2 && registeredWith !== null;
    });
  await scene.until('the task executors obey it', accepted, 10_000);
  const books: string[] = [];
  const wanted = `${8 - held} free, ${held} allocated of 8`;
  await scene.until(
    `the books say ${wanted}`,
    () => {
      const counts = { text: '' };
      void leader.endpoint.view.overview().then(({ slots }) => {
        counts.text = `${slots.free} free, ${slots.allocated} allocated of ${slots.total}`;
        books.push(counts.text);
      });
      return books.includes(wanted);
    },
    10_000,
  );
  void cluster.jobMasters.get('job')?.endpoint.job?.requestSlots(8 - held, PROFILE);
  await scene.until('G7: the other slots are given', () => scene.held === 8, 10_000);
  await scene.stays(40_000);
  demand(scene.held === 8, `${scene.held} of 8 slots are held in the end`);
  return { confirmMs };
}

/** All data of etcd is lost while resource managers and workers live. */
async function wiped(scene: FailoverScene, chance: () => number): Promise<Findings> {
  await powerOff(scene, chance);
  loseEtcd(scene, null);
  await scene.run(3_500);
  await nobodyServes(scene, 30_000);
  return declareAndRecover(scene, chance, 5);
}

/** And every resource manager is a new process: only the workers remember. */
async function wipedNewcomers(scene: FailoverScene, chance: () => number): Promise<Findings> {
  const { cluster } = scene;
  for (const running of cluster.resourceManagers.values()) cluster.crash(running);
  await powerOff(scene, chance);
  loseEtcd(scene, null);
  for (const id of RESOURCE_MANAGERS) {
    cluster.startResourceManager(id);
    await scene.run(chance() * 500);
  }
  await scene.run(MOST_MISLED_MS);
  await nobodyServes(scene, 30_000);
  return declareAndRecover(scene, chance, 5);
}

/** Leaders change after a backup was made, and slots are given: what etcd holds then is of the past. */
async function goOn(scene: FailoverScene, chance: () => number): Promise<void> {
  const { cluster } = scene;
  const changes = 1 + Math.floor(chance() * 2);
  for (let change = 0; change < changes; change++) {
    const leader = scene.leader();
    cluster.crash(leader);
    await scene.successor(leader, 5_000);
    cluster.startResourceManager(leader.process.name.split('#')[0] ?? '');
    await scene.run(2_000);
  }
  await othersWrite(scene);
  // By commands of that last leader, whose epoch is above those to come.
  void cluster.jobMasters.get('job')?.endpoint.job?.requestSlots(1, PROFILE);
  await scene.until('six slots are held', () => scene.held === 6, 20_000);
}

/** Others use that etcd too, and leaders change until one leads by a key that was put after all that. */
async function othersWrite(scene: FailoverScene): Promise<void> {
  const { etcd } = scene.cluster;
  for (let write = 0; write < 100; write++) etcd.putKey('/others', String(write));
  const written = etcd.state.mvcc.revision;
  while (scene.epoch() < written) {
    const leader = scene.leader();
    scene.cluster.crash(leader);
    await scene.successor(leader, 20_000);
    scene.cluster.startResourceManager(leader.process.name.split('#')[0] ?? '');
    await scene.run(6_000);
  }
}

async function restored(scene: FailoverScene, chance: () => number): Promise<Findings> {
  const snapshot = scene.cluster.etcd.snapshot();
  await goOn(scene, chance);
  await powerOff(scene, chance);
  loseEtcd(scene, snapshot);
  await scene.run(3_500);
  await nobodyServes(scene, 30_000);
  return declareAndRecover(scene, chance, 6);
}

/** And every resource manager is a new process. */
async function restoredNewcomers(scene: FailoverScene, chance: () => number): Promise<Findings> {
  const { cluster } = scene;
  const snapshot = cluster.etcd.snapshot();
  await goOn(scene, chance);
  for (const running of cluster.resourceManagers.values()) cluster.crash(running);
  await powerOff(scene, chance);
  loseEtcd(scene, snapshot);
  for (const id of RESOURCE_MANAGERS) cluster.startResourceManager(id);
  await scene.run(MOST_MISLED_MS);
  await nobodyServes(scene, 5_000);
  return declareAndRecover(scene, chance, 6);
}

/** The same leader leads before and after the backup: its key and its lease are restored with it. */
async function restoredSameLeader(scene: FailoverScene, chance: () => number): Promise<Findings> {
  const { cluster } = scene;
  const snapshot = cluster.etcd.snapshot();
  cluster.startJobMaster('later');
  await scene.until(
    'the other job is there',
    () => cluster.jobMasters.get('later')?.endpoint.job !== null,
    5_000,
  );
  for (let write = 0; write < 100; write++) cluster.etcd.putKey('/others', String(write));
  await scene.run(1_500);
  cluster.etcd.shutDown();
  await scene.run(50 + chance() * 2_000);
  loseEtcd(scene, snapshot);
  await scene.run(3_500);
  await nobodyServes(scene, 30_000);
  return declareAndRecover(scene, chance, 5);
}

/**
 * The last in line deposes the dead leader while etcd is restored from a backup in which the one between them, dead and
 * gone by now, still stands: what is sent again must not commit past it.
 */
async function restoredUnderConfirm(scene: FailoverScene, chance: () => number): Promise<Findings> {
  const { cluster } = scene;
  const leader = scene.leader();
  const [, between, last] = scene.inLine().map((id) => cluster.resourceManagers.get(id));
  if (between === undefined || last === undefined) throw new Error('there are not three in line');
  const snapshot = cluster.etcd.snapshot();
  cluster.crash(between);
  await scene.until('the dead one is gone', () => scene.inLine().length === 2, 10_000);
  // The last one knows: else it deposes both, and has every right to.
  await scene.run(50);
  const held = cluster.etcd.holdBack({ client: last.process.name, where: confirms });
  cluster.crash(leader);
  await scene.until('the confirm is under way', () => held.arrived, 5_000);
  cluster.etcd.shutDown();
  await scene.run(chance() * 300);
  loseEtcd(scene, snapshot);
  demand(scene.inLine().includes(idOf(between)), `${idOf(between)} does not stand in the backup`);
  await scene.run(3_500);
  demand(last.endpoint.view.status().contradiction !== null, 'the last one does not see the restore');
  // Who comes anew remembers nothing that etcd has lost.
  for (const dead of [leader, between]) cluster.startResourceManager(idOf(dead));
  await scene.until('somebody serves', () => cluster.leader() !== null, 20_000);
  await scene.stays(5_000);
  demand(scene.held === 5, `${scene.held} of 5 slots are held in the end`);
  return {};
}

/**
 * The last in line confirms itself while etcd is restored from a backup in which the one ahead of it still stands. That
 * one is confirmed there and goes without closing its term: what is sent again must not commit past that term.
 */
async function restoredTermAhead(scene: FailoverScene, chance: () => number): Promise<Findings> {
  const { cluster } = scene;
  const { etcd } = cluster;
  const leader = scene.leader();
  const [, ahead, last] = scene.inLine().map((id) => cluster.resourceManagers.get(id));
  if (ahead === undefined || last === undefined) throw new Error('there are not three in line');
  const aheadKey = scene.candidateKeyOf(ahead);
  const first = etcd.holdBack({ client: ahead.process.name, where: confirms });
  askToGo(leader);
  await scene.until('the confirm of the one ahead is under way', () => first.arrived, 5_000);
  etcd.block(ahead.process.name);
  const snapshot = etcd.snapshot();
  const second = etcd.holdBack({ client: last.process.name, where: confirms });
  etcd.deleteKey(aheadKey);
  await scene.until('the confirm of the last one is under way', () => second.arrived, 5_000);
  etcd.block(last.process.name);
  etcd.shutDown();
  await scene.run(chance() * 300);
  loseEtcd(scene, snapshot);
  etcd.unblock(ahead.process.name);
  await scene.until('the one ahead serves', () => cluster.leader() === ahead, 5_000);
  cluster.crash(ahead);
  etcd.deleteKey(aheadKey);
  // Revisions are past those that were seen: nobody is told by them.
  for (let write = 0; write < 100; write++) etcd.putKey('/others', String(write));
  etcd.unblock(last.process.name);
  await scene.until('the last one serves', () => cluster.leader() === last, 20_000);
  await scene.stays(5_000);
  demand(scene.held === 5, `${scene.held} of 5 slots are held in the end`);
  return {};
}

/** etcd loses its data, or comes back as it was before: nothing is confirmed until an operator says so. */
export const ETCD_LOSS_SCENARIOS: Readonly<Record<string, FailoverScenario>> = {
  'wiped-etcd': { overlapMs: 0, play: wiped },
  'wiped-etcd-newcomers': { overlapMs: 0, play: wipedNewcomers },
  'restored-etcd': { overlapMs: 0, play: restored },
  'restored-etcd-newcomers': { overlapMs: 0, play: restoredNewcomers },
  'restored-under-confirm': { overlapMs: 0, play: restoredUnderConfirm },
  'restored-term-ahead': { overlapMs: 0, play: restoredTermAhead },
  'restored-etcd-same-leader': { overlapMs: 0, play: restoredSameLeader },
};
