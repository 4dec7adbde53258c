import { ETCD_LOSS_SCENARIOS } from './etcd-loss-scenarios.ts';
import { LATE_CALL_SCENARIOS } from './late-call-scenarios.ts';
import { REQUEST_SCENARIOS } from './request-scenarios.ts';
import { SUCCESSION_SCENARIOS } from './succession-scenarios.ts';
import type { Running, SimulatedCluster } from './simulated-cluster.ts';
import type { ResourceManager } from '../../src/resourcemanager/resource-manager.ts';
import { confirms, cut, demand, idOf } from './scene-steps.ts';

const PROFILE = { cpuCores: 1, memoryMB: 512, extended: {} };
const TEN_MINUTES_MS = 600_000;

/** What a scenario has to say: times are virtual milliseconds. */
export type Findings = Record<string, number>;

/** A cluster that has a leader and whose connections stand, and hands to break it with. */
export class FailoverScene {
  readonly cluster: SimulatedCluster;
  /** When two served at once, each time for how long at most. */
  readonly overlapsMs: number[] = [];
  #overlapSinceMs: number | null = null;

  constructor(cluster: SimulatedCluster) {
    this.cluster = cluster;
  }

  /** Three resource managers, two task executors, and a job with five slots. */
  async begin(): Promise<void> {
    const { cluster } = this;
    for (const id of ['rm-1', 'rm-2', 'rm-3']) cluster.startResourceManager(id);
    for (const id of ['te-1', 'te-2']) cluster.startTaskExecutor(id, [PROFILE, PROFILE, PROFILE, PROFILE]);
    const { endpoint } = cluster.startJobMaster('job');
    await this.until('the job is registered', () => endpoint.job !== null, 60_000);
    void endpoint.job?.requestSlots(5, PROFILE);
    await this.until('five slots are held', () => this.held === 5, 60_000);
    await this.run(2_000);
  }

  get held(): number {
    return this.cluster.jobMasters.get('job')?.endpoint.job?.slots.filter((slot) => slot.held).length ?? 0;
  }

  get nowMs(): number {
    return this.cluster.clock.monotonicMs();
  }

  leader(): Running<ResourceManager> {
    const leader = this.cluster.leader();
    if (leader === null) throw new Error('nobody leads');
    return leader;
  }

  epoch(): bigint {
    return this.leader().endpoint.view.status().epoch ?? 0n;
  }

  /** Ids in the order of the line. */
  inLine(): string[] {
    return this.#line().map(({ id }) => id);
  }

  /** By which it stands in line. */
  candidateKeyOf(resourceManager: Running<ResourceManager>): string {
    const entry = this.#line().find(({ id }) => id === idOf(resourceManager));
    if (entry === undefined) throw new Error(`${idOf(resourceManager)} does not stand in line`);
    return entry.key;
  }

  standbys(): Running<ResourceManager>[] {
    const leader = this.leader();
    return [...this.cluster.resourceManagers.values()].filter((each) => each !== leader);
  }

  /** Moves on until the condition holds, and watches that nobody serves beside the leader. */
  async until(what: string, condition: () => boolean, limitMs: number): Promise<void> {
    await this.cluster.clock.until(
      () => {
        this.#look();
        return condition();
      },
      limitMs,
      what,
    );
  }

  run(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    this.cluster.clock.schedule(ms, () => {});
    return this.until(`${ms} ms to pass`, () => this.nowMs >= endMs, ms + 1);
  }

  /** Until somebody else than `before` serves; how long that took. */
  async successor(before: Running<ResourceManager>, limitMs: number): Promise<number> {
    const startMs = this.nowMs;
    const other = (): boolean => {
      const leader = this.cluster.leader();
      return leader !== null && leader !== before;
    };
    await this.until(`G8: a successor of ${before.process.name}`, other, limitMs);
    return this.nowMs - startMs;
  }

  /** Under one leader from now on, whatever else happens. */
  async stays(ms: number): Promise<void> {
    const epoch = this.epoch();
    await this.run(ms);
    const now = this.cluster.leader()?.endpoint.view.status().epoch;
    if (now !== epoch) throw new Error(`G8: the leader of epoch ${epoch} did not stay: ${now} leads`);
  }

  #line(): { id: string; key: string }[] {
    const { keyValues } = this.cluster.etcd.state.range({
      type: 'range',
      key: '/quartermaster/simulated/election/',
      prefix: true,
    });
    return keyValues
      .toSorted((a, b) => (a.createRevision < b.createRevision ? -1 : 1))
      .map(({ key, value }) => ({
        id: String((JSON.parse(value) as { resourceManagerId: string }).resourceManagerId),
        key,
      }));
  }

  #look(): void {
    const serving = [...this.cluster.resourceManagers.values()].filter(
      ({ process, endpoint }) => process.running && endpoint.state === 'serving',
    );
    if (serving.length > 1) this.#overlapSinceMs ??= this.nowMs;
    else if (this.#overlapSinceMs !== null) {
      this.overlapsMs.push(this.nowMs - this.#overlapSinceMs);
      this.#overlapSinceMs = null;
    }
  }
}

async function crash(scene: FailoverScene): Promise<Findings> {
  const leader = scene.leader();
  scene.cluster.crash(leader);
  const confirmMs = await scene.successor(leader, 5_000);
  demand(confirmMs < 100, `a crash took ${confirmMs} ms`);
  demand(scene.held === 5, `${scene.held} of 5 slots are held after the crash`);
  return { confirmMs };
}

async function restart(scene: FailoverScene): Promise<Findings> {
  const leader = scene.leader();
  scene.cluster.crash(leader);
  // At the same address before anybody has dialled it again.
  scene.cluster.startResourceManager(idOf(leader));
  const confirmMs = await scene.successor(leader, 5_000);
  demand(confirmMs < 150, `a restart took ${confirmMs} ms`);
  await scene.stays(5_000);
  return { confirmMs };
}

async function twoAhead(scene: FailoverScene): Promise<Findings> {
  const leader = scene.leader();
  const next = scene.cluster.resourceManagers.get(scene.inLine()[1] ?? '');
  if (next === undefined) throw new Error('nobody is next in line');
  scene.cluster.crash(leader);
  scene.cluster.crash(next);
  const confirmMs = await scene.successor(leader, 5_000);
  demand(confirmMs < 150, `two dead took ${confirmMs} ms`);
  return { confirmMs };
}

/** From a tenth of the time to live to three times as long. */
async function pause(scene: FailoverScene, chance: () => number): Promise<Findings> {
  const leader = scene.leader();
  const pauseMs = 1_000 + chance() * 29_000;
  leader.process.stop();
  scene.cluster.clock.schedule(pauseMs, () => leader.process.resume());
  const confirmMs = await scene.successor(leader, 5_000);
  demand(confirmMs < 1_200, `a pause took ${confirmMs} ms`);
  await scene.run(pauseMs + 5_000);
  demand(leader.endpoint.state === 'standby', `the paused one is ${leader.endpoint.state}`);
  demand(scene.held === 5, `${scene.held} of 5 slots are held after the pause`);
  return { confirmMs, pauseMs };
}

async function shortPause(scene: FailoverScene, chance: () => number): Promise<Findings> {
  const leader = scene.leader();
  const pauseMs = chance() * 500;
  leader.process.stop();
  scene.cluster.clock.schedule(pauseMs, () => leader.process.resume());
  await scene.run(5_000);
  demand(scene.cluster.leader() !== null, 'nobody leads after a short pause');
  return { pauseMs };
}

/** The leader reaches etcd and the task executors, only not the standbys: it stays. */
async function cutFromStandbys(scene: FailoverScene): Promise<Findings> {
  const leader = scene.leader();
  for (const standby of scene.standbys()) cut(scene.cluster, leader, standby);
  await scene.stays(TEN_MINUTES_MS / 10);
  return {};
}

async function asymmetric(scene: FailoverScene): Promise<Findings> {
  const leader = scene.leader();
  for (const standby of scene.standbys()) scene.cluster.links.cut(leader.address, standby.address);
  await scene.stays(30_000);
  return {};
}

async function flapping(scene: FailoverScene, chance: () => number): Promise<Findings> {
  const leader = scene.leader();
  const [standby] = scene.standbys();
  if (standby === undefined) return {};
  const epoch = scene.epoch();
  for (let round = 0; round < 40; round++) {
    cut(scene.cluster, leader, standby);
    await scene.run(50 + chance() * 1_500);
    scene.cluster.links.heal();
    await scene.run(50 + chance() * 1_500);
  }
  demand(scene.epoch() === epoch, 'leadership flapped with a link');
  return {};
}

/** Somebody advertises the leader's address, another one that nobody listens at: neither may depose anybody. */
async function wrongAdvertise(scene: FailoverScene): Promise<Findings> {
  const leader = scene.leader();
  scene.cluster.startResourceManager('rm-4', leader.address);
  scene.cluster.startResourceManager('rm-5', 'nowhere:1');
  await scene.stays(60_000);
  return {};
}

/** The leader itself names an address at which a standby answers: that proves nothing of it. */
async function leaderAdvertisesWrong(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  const leader = scene.leader();
  const [nearer, other] = scene.standbys();
  if (nearer === undefined || other === undefined) return {};
  cluster.crash(leader);
  await scene.successor(leader, 5_000);
  const misled = cluster.startResourceManager(idOf(leader), other.address);
  await scene.run(2_000);
  for (const each of [nearer, other]) cluster.crash(each);
  await scene.until('the one with the wrong address to lead', () => cluster.leader() === misled, 20_000);
  for (const each of [nearer, other]) cluster.startResourceManager(idOf(each));
  await scene.stays(30_000);
  return {};
}

async function cutFromEtcd(scene: FailoverScene): Promise<Findings> {
  const leader = scene.leader();
  scene.cluster.etcd.block(leader.process.name);
  const confirmMs = await scene.successor(leader, 5_000);
  demand(confirmMs < 1_800, `a cut from etcd took ${confirmMs} ms`);
  scene.cluster.etcd.unblock(leader.process.name);
  await scene.run(15_000);
  demand(leader.endpoint.state === 'standby', `the one cut off is ${leader.endpoint.state}`);
  return { confirmMs };
}

async function foreignHead(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  cluster.etcd.putKey('/quartermaster/simulated/election/0', 'nobody');
  const leader = scene.leader();
  for (const each of scene.standbys()) cluster.crash(each);
  cluster.crash(leader);
  const startMs = scene.nowMs;
  cluster.startResourceManager('rm-1');
  await scene.until('a leader', () => cluster.leader() !== null, 60_000);
  return { confirmMs: scene.nowMs - startMs };
}

/** The next in line answers pings, but no confirm of it ever reaches etcd. */
async function neverConfirms(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  const leader = scene.leader();
  const next = cluster.resourceManagers.get(scene.inLine()[1] ?? '');
  if (next === undefined) throw new Error('nobody is next in line');
  for (let count = 0; count < 500; count++) {
    cluster.etcd.loseCall({
      client: next.process.name,
      where: confirms,
    });
  }
  leader.endpoint.view.stepDown({ to: null, reason: 'simulated' }).catch(() => {});
  const confirmMs = await scene.successor(leader, 10_000);
  demand(scene.leader() !== next, 'it confirmed after all');
  demand(confirmMs < 3_000, `a head that does not confirm took ${confirmMs} ms`);
  return { confirmMs };
}

/** Its checks are answered, its keepalives are not: it goes before its lease has run out. */
async function noKeepalive(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  const leader = scene.leader();
  const id = idOf(leader);
  for (let count = 0; count < 500; count++)
    cluster.etcd.loseCall({ client: leader.process.name, method: 'keepAlive' });
  const startMs = scene.nowMs;
  const look = (): boolean => {
    if (leader.endpoint.state !== 'serving') return true;
    demand(scene.inLine().includes(id), `G6: ${leader.process.name} serves after its lease has run out`);
    return false;
  };
  await scene.until('the end of the term', look, 2_000 * cluster.timing.leaseTtlSeconds);
  const endedMs = scene.nowMs - startMs;
  const confirmMs = await scene.successor(leader, 5_000);
  return { endedMs, confirmMs };
}

/** What serves hangs, and its election, with a connection and timers of its own, goes on: it is found out by its silence. */
async function hungLoop(scene: FailoverScene): Promise<Findings> {
  const leader = scene.leader();
  leader.process.hang();
  const confirmMs = await scene.successor(leader, 2_000 * scene.cluster.timing.leaseTtlSeconds);
  demand(confirmMs < 1_800, `G8: a loop that hangs kept its leadership for ${confirmMs} ms`);
  return { confirmMs };
}

/** More false proofs than the limit: the lease must do, and somebody leads in the end. */
async function rateLimit(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  const startMs = scene.nowMs;
  for (let round = 0; round < 5; round++) {
    const leader = scene.leader();
    cluster.crash(leader);
    cluster.startResourceManager(idOf(leader));
    await scene.successor(leader, 20_000);
    await scene.run(500);
  }
  const tookMs = scene.nowMs - startMs;
  demand(tookMs > 8_000, `five depositions in ${tookMs} ms`);
  return { tookMs };
}

async function healthy(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  cluster.links.quality = {
    ...cluster.links.quality,
    slowShare: 0.05,
    stallShare: 0.0005,
    breakShare: 0.002,
  };
  await scene.stays(TEN_MINUTES_MS);
  return { broken: cluster.links.breaks + cluster.links.stalls };
}

export interface FailoverScenario {
  /** Overlap of two that serve, at most; zero unless the scenario is about a false proof. */
  readonly overlapMs: number;
  readonly play: (scene: FailoverScene, chance: () => number) => Promise<Findings>;
}

/** What may happen to a leader, by name. */
export const FAILOVER_SCENARIOS: Readonly<Record<string, FailoverScenario>> = {
  crash: { overlapMs: 0, play: crash },
  restart: { overlapMs: 0, play: restart },
  'two-dead': { overlapMs: 0, play: twoAhead },
  pause: { overlapMs: 0, play: pause },
  'short-pause': { overlapMs: 0, play: shortPause },
  'cut-from-standbys': { overlapMs: 0, play: cutFromStandbys },
  asymmetric: { overlapMs: 0, play: asymmetric },
  flapping: { overlapMs: 0, play: flapping },
  'wrong-advertise': { overlapMs: 0, play: wrongAdvertise },
  'leader-advertises-wrong': { overlapMs: 0, play: leaderAdvertisesWrong },
  'cut-from-etcd': { overlapMs: 0, play: cutFromEtcd },
  'foreign-head': { overlapMs: 0, play: foreignHead },
  'never-confirms': { overlapMs: 0, play: neverConfirms },
  'no-keepalive': { overlapMs: 0, play: noKeepalive },
  'hung-loop': { overlapMs: 0, play: hungLoop },
  'rate-limit': { overlapMs: 0, play: rateLimit },
  healthy: { overlapMs: 0, play: healthy },
  ...ETCD_LOSS_SCENARIOS,
  ...LATE_CALL_SCENARIOS,
  ...SUCCESSION_SCENARIOS,
  ...REQUEST_SCENARIOS,
};
