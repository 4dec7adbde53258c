import type { Transaction } from '../../src/ha/coordination-store.ts';
import type { StoreRequest } from '../../src/ha/embedded/member-behaviour.ts';
import type { ResourceManager } from '../../src/resourcemanager/resource-manager.ts';
import type { FailoverScenario, FailoverScene, Findings } from './failover-scenarios.ts';
import type { Running } from './simulated-cluster.ts';
import { askToGo, demand } from './scene-steps.ts';

/** Longer than a call of a departure waits for its answer, and shorter than a TTL. */
const HELD_MS = 2_500;
/** So many are sent in that time at most. */
const COPIES_HELD = 6;
const CALLS_OF_A_MINUTE = 1_000;
const ELECTION = '/quartermaster/simulated/election/';

function removesCandidates({ success }: Transaction): boolean {
  return success.some(({ type, key }) => type === 'delete' && key.startsWith(ELECTION));
}

/** A departure, a deposition, or whatever else takes a candidate's place. */
function takesAPlace(request: StoreRequest): boolean {
  if (request.method === 'revokeLease') return true;
  return request.method === 'transact' && removesCandidates(request.transaction);
}

function departs(leader: Running<ResourceManager>): {
  readonly client: string;
  readonly where: (request: StoreRequest) => boolean;
} {
  const where = (request: StoreRequest): boolean =>
    request.method === 'transact' && removesCandidates(request.transaction);
  return { client: leader.process.name, where };
}

/** The first copies of a resignation are lost, or carried out without an answer: it is over all the same. */
async function lostResignation(scene: FailoverScene, chance: () => number): Promise<Findings> {
  const { etcd } = scene.cluster;
  const leader = scene.leader();
  const carriedOut = chance() < 0.5;
  for (let copy = 0; copy < 3; copy++) {
    if (carriedOut) etcd.loseAnswer(departs(leader));
    else etcd.loseCall(departs(leader));
  }
  askToGo(leader);
  const confirmMs = await scene.successor(leader, 5_000);
  demand(confirmMs < 500, `G8: a resignation that was lost took ${confirmMs} ms`);
  await scene.stays(5_000);
  return { confirmMs };
}

/** Copies of a resignation are held back for longer than a call may take, while nobody deposes: it leads no more all the same. */
async function departureHeldBack(scene: FailoverScene): Promise<Findings> {
  const { etcd } = scene.cluster;
  const leader = scene.leader();
  const epoch = scene.epoch();
  const standbys = scene.standbys();
  const held = Array.from({ length: COPIES_HELD }, () => etcd.holdBack(departs(leader)));
  askToGo(leader);
  await scene.until('the resignation is under way', () => held.some(({ arrived }) => arrived), 2_000);
  for (const { process } of standbys) etcd.block(process.name);
  const endMs = scene.nowMs + HELD_MS;
  const look = (): boolean => {
    const serves = leader.endpoint.state === 'serving' && leader.endpoint.view.status().epoch === epoch;
    demand(!serves, `G5: ${leader.process.name} serves epoch ${epoch} on, which it has resigned from`);
    return scene.nowMs >= endMs;
  };
  scene.cluster.clock.schedule(HELD_MS, () => {});
  await scene.until(`${HELD_MS} ms to pass`, look, HELD_MS + 1);
  for (const { process } of standbys) etcd.unblock(process.name);
  for (const each of held) each.commit();
  await scene.successor(leader, 5_000);
  await scene.stays(5_000);
  return {};
}

/** Nothing of it is answered but its keepalives, and its key is deleted: its successor serves, and it must know by its checks alone. */
async function checksUnanswered(scene: FailoverScene): Promise<Findings> {
  const { etcd } = scene.cluster;
  const leader = scene.leader();
  const standbys = scene.standbys();
  const client = leader.process.name;
  for (const method of ['transact', 'range'] as const)
    for (let call = 0; call < CALLS_OF_A_MINUTE; call++) etcd.loseCall({ client, method });
  etcd.delayWatches(60_000, client);
  await scene.run(100);
  const { keyValues } = etcd.state.range({ type: 'range', key: ELECTION, prefix: true });
  const head = keyValues.find(({ createRevision }) => createRevision === scene.epoch());
  etcd.deleteKey(head?.key ?? '');
  const isServed = (): boolean => standbys.some(({ endpoint }) => endpoint.state === 'serving');
  await scene.until('G8: a successor', isServed, 1_000);
  await scene.run(scene.cluster.timing.servingDeadlineMs);
  demand(leader.endpoint.state !== 'serving', `G6: ${client} serves although no check is answered`);
  await scene.stays(5_000);
  return {};
}

/** Cut off for three TTL, and nobody knows but by its silence: its lease ends, and nobody serves beside its successor. */
async function cutForLong(scene: FailoverScene): Promise<Findings> {
  const { etcd, timing } = scene.cluster;
  const leader = scene.leader();
  etcd.block(leader.process.name);
  await scene.run(3_000 * timing.leaseTtlSeconds);
  demand(scene.cluster.leader() !== null, 'G8: nobody leads');
  demand(leader.endpoint.state !== 'serving', `G6: ${leader.process.name} serves on`);
  etcd.unblock(leader.process.name);
  await scene.stays(5_000);
  return {};
}

/** The head has answered its challenge by the time at which its deposition arrives: it stays. */
async function lateDeposition(scene: FailoverScene): Promise<Findings> {
  const { etcd } = scene.cluster;
  const leader = scene.leader();
  const epoch = scene.epoch();
  for (const standby of scene.standbys())
    for (let copy = 0; copy < 50; copy++)
      etcd.delayCall(1_500, { client: standby.process.name, where: takesAPlace });
  etcd.block(leader.process.name);
  await scene.run(1_500);
  etcd.unblock(leader.process.name);
  await scene.until('it serves again', () => leader.endpoint.state === 'serving', 1_000);
  await scene.run(5_000);
  const now = scene.epoch();
  demand(now === epoch, `G8: the head of epoch ${epoch} had answered, and ${now} leads`);
  return {};
}

/** A standby is cut off from etcd while leaders change, and what it has missed is compacted: it takes its turn. */
async function missedEvents(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  const first = scene.leader();
  const last = cluster.resourceManagers.get(scene.inLine()[2] ?? '');
  if (last === undefined) return {};
  cluster.etcd.block(last.process.name);
  await scene.run(100);
  askToGo(first);
  await scene.successor(first, 5_000);
  await scene.run(1_000);
  cluster.etcd.compact();
  cluster.etcd.unblock(last.process.name);
  await scene.run(5_000);
  const second = scene.leader();
  cluster.crash(second);
  const confirmMs = await scene.successor(second, 5_000);
  demand(scene.leader() === last, 'G5: it is not the next in line that leads');
  demand(confirmMs < 150, `G8: who had missed events took ${confirmMs} ms`);
  return { confirmMs };
}

/** Slots of the job that it holds, and that their task executors have given up. */
function outlived({ cluster }: FailoverScene): string[] {
  const slots = cluster.jobMasters.get('job')?.endpoint.job?.slots ?? [];
  return slots.flatMap(({ held, slotId, allocationId }) => {
    const status = cluster.taskExecutors.get(slotId.resourceId)?.endpoint.status();
    const there = status?.slots.find(({ slotNumber }) => slotNumber === slotId.slotNumber)?.lease;
    return held && there?.allocationId !== allocationId ? [`${slotId.resourceId}/${slotId.slotNumber}`] : [];
  });
}

async function neverOutlived(scene: FailoverScene, ms: number): Promise<void> {
  const { cluster } = scene;
  const endMs = scene.nowMs + ms;
  cluster.clock.schedule(ms, () => {});
  const look = (): boolean => {
    const running = cluster.jobMasters.get('job')?.process.running === true;
    const [slot] = running ? outlived(scene) : [];
    demand(slot === undefined, `G3: the job holds ${slot}, whose lease is over at its task executor`);
    return scene.nowMs >= endMs;
  };
  await scene.until(`${ms} ms to pass`, look, ms + 1);
}

/** The clock of the job's machine is set back while it cannot renew. */
async function jobClockSetBack(scene: FailoverScene): Promise<Findings> {
  const { links, jobMasters, taskExecutors, timing } = scene.cluster;
  const job = jobMasters.get('job');
  if (job === undefined) return {};
  for (const { address } of taskExecutors.values()) {
    links.cut(job.address, address);
    links.cut(address, job.address);
  }
  await scene.run(1_000);
  job.process.jumpWall(-2 * timing.slotLeaseMs);
  await neverOutlived(scene, 2 * timing.slotLeaseMs);
  demand(scene.held === 0, `G3: ${scene.held} slots are held after two lease durations without a renewal`);
  return {};
}

/** The job's machine sleeps for longer than its leases last, and knows nothing of it when it wakes. */
async function jobMachineSleeps(scene: FailoverScene): Promise<Findings> {
  const { jobMasters, clock, timing } = scene.cluster;
  const job = jobMasters.get('job');
  if (job === undefined) return {};
  job.process.suspend();
  clock.schedule(1.5 * timing.slotLeaseMs, () => job.process.resume());
  await neverOutlived(scene, 3 * timing.slotLeaseMs);
  return {};
}

/** What is late, lost or slept through, each in the one place in which it hurts most. */
export const LATE_CALL_SCENARIOS: Readonly<Record<string, FailoverScenario>> = {
  'lost-resignation': { overlapMs: 0, play: lostResignation },
  'departure-held-back': { overlapMs: 0, play: departureHeldBack },
  'checks-unanswered': { overlapMs: 400, play: checksUnanswered },
  'cut-for-long': { overlapMs: 0, play: cutForLong },
  'late-deposition': { overlapMs: 0, play: lateDeposition },
  'missed-events': { overlapMs: 0, play: missedEvents },
  'job-clock-set-back': { overlapMs: 0, play: jobClockSetBack },
  'job-machine-sleeps': { overlapMs: 0, play: jobMachineSleeps },
};
