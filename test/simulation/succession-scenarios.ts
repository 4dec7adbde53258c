import type { ResourceId } from '../../src/core/ids.ts';
import type { StoreRequest } from '../../src/ha/embedded/member-behaviour.ts';
import type { TaskExecutor } from '../../src/taskexecutor/task-executor.ts';
import type { FailoverScenario, FailoverScene, Findings } from './failover-scenarios.ts';
import type { Running } from './simulated-cluster.ts';
import { askToGo, confirms, cut, demand } from './scene-steps.ts';

const PROFILE = { cpuCores: 1, memoryMB: 512, extended: {} };
/** Of so many copies the first one runs into its deadline; the next one is answered. */
const COPIES_OF_A_CALL = 12;
/** Later than a serving deadline, and before the deposition. */
const LATE_MS = 500;
/** A watch that is cut off tells nothing within a scenario. */
const NEVER_MS = 60_000;
const CALLS_OF_SECONDS = 500;
/** Long enough for a machine to fall asleep before it has heard. */
const ANSWER_MS = 50;

/** A check only looks, at whether the candidate key stands. */
function checks(request: StoreRequest): boolean {
  if (request.method !== 'transact') return false;
  const { compare, success } = request.transaction;
  return compare.length > 0 && success.every(({ type }) => type === 'range');
}

/** The leader goes in good order; `trouble` befalls the confirm of the next in line, which leads all the same. */
async function nextLeads(
  scene: FailoverScene,
  limitMs: number,
  trouble: (next: string) => void,
): Promise<Findings> {
  const leader = scene.leader();
  const next = scene.inLine()[1] ?? '';
  trouble(scene.cluster.resourceManagers.get(next)?.process.name ?? next);
  askToGo(leader);
  const confirmMs = await scene.successor(leader, 10_000);
  const { resourceManagerId } = scene.leader().endpoint.view.status();
  demand(
    resourceManagerId === next,
    `G5: ${next}, whose turn it was, gave up its confirm, and ${resourceManagerId} leads`,
  );
  demand(confirmMs < limitMs, `G8: the confirm of ${next} took ${confirmMs} ms`);
  await scene.stays(5_000);
  return { confirmMs };
}

/** The confirm commits, its answer is lost: the copy that is sent again is told no, and finds the first one's record. */
function confirmAnswerLost(scene: FailoverScene): Promise<Findings> {
  return nextLeads(scene, 500, (client) => scene.cluster.etcd.loseAnswer({ client, where: confirms }));
}

/** Etcd holds the first copies of the confirm back, past the deadline of the first: that there is no record proves nothing. */
async function confirmHeldBack(scene: FailoverScene): Promise<Findings> {
  const { etcd } = scene.cluster;
  const held: { commit(): void }[] = [];
  const findings = await nextLeads(scene, 1_800, (client) => {
    for (let copy = 0; copy < COPIES_OF_A_CALL; copy += 1)
      held.push(etcd.holdBack({ client, where: confirms }));
  });
  for (const call of held) call.commit();
  await scene.stays(5_000);
  return findings;
}

/** A leader that is cut off from everybody hears late of its last check: it proves the key as of its sending, not as of now. */
async function checkAnsweredLate(scene: FailoverScene): Promise<Findings> {
  const { etcd } = scene.cluster;
  const leader = scene.leader();
  const client = leader.process.name;
  for (const standby of scene.standbys()) cut(scene.cluster, leader, standby);
  etcd.delayWatches(NEVER_MS, client);
  etcd.delayAnswer(LATE_MS, { client, where: checks });
  for (let call = 0; call < CALLS_OF_SECONDS; call += 1) etcd.loseCall({ client });
  const confirmMs = await scene.successor(leader, 5_000);
  await scene.run(2_000);
  return { confirmMs };
}

/** The machine of the next in line sleeps between its confirm and the answer, and its wall clock is set back: it has been succeeded when it wakes. */
async function sleepDuringConfirm(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  const { etcd, clock, timing } = cluster;
  const leader = scene.leader();
  const next = cluster.resourceManagers.get(scene.inLine()[1] ?? '');
  if (next === undefined) return {};
  const before = cluster.recordedEpoch();
  const confirmed = (): boolean => ![before, null].includes(cluster.recordedEpoch());
  etcd.delayAnswer(ANSWER_MS, { client: next.process.name, where: confirms });
  etcd.delayWatches(NEVER_MS, next.process.name);
  askToGo(leader);
  await scene.until('the confirm to be carried out', confirmed, 5_000);
  const asleepMs = 1_500 * timing.leaseTtlSeconds;
  next.process.suspend();
  next.process.jumpWall(-2 * asleepMs);
  clock.schedule(asleepMs, () => next.process.resume());
  await scene.successor(next, asleepMs);
  await scene.run(2 * asleepMs);
  return {};
}

/** A task executor dies with a request under way to it: another one serves it, before anybody asks again. */
async function executorDiesUnderRequest(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  const job = cluster.jobMasters.get('job')?.endpoint.job;
  void job?.requestSlots(3, PROFILE);
  await scene.until('all slots are held', () => scene.held === 8, 10_000);
  const dying = cluster.startTaskExecutor('te-3', [PROFILE]);
  await scene.until('it is registered', () => dying.endpoint.status().registeredWith !== null, 10_000);
  await scene.run(500);
  cluster.links.cut(scene.leader().address, dying.address);
  void job?.requestSlots(1, PROFILE);
  await scene.run(100);
  cluster.crash(dying);
  const other = cluster.startTaskExecutor('te-4', [PROFILE]);
  await scene.until(
    'the other one is registered',
    () => other.endpoint.status().registeredWith !== null,
    10_000,
  );
  const startMs = scene.nowMs;
  await scene.until('the request is served elsewhere', () => scene.held === 9, 60_000);
  const servedMs = scene.nowMs - startMs;
  demand(servedMs < 2_000, `G7: a request whose task executor died was served after ${servedMs} ms`);
  return { servedMs };
}

/** A claim is not answered, and a new leader that knows nothing of its grant gives another slot: only one of them is claimed. */
async function claimUnanswered(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  const { links } = cluster;
  const job = cluster.jobMasters.get('job');
  void job?.endpoint.job?.requestSlots(3, PROFILE);
  await scene.until('all slots are held', () => scene.held === 8, 10_000);
  const first = cluster.startTaskExecutor('te-3', [PROFILE, PROFILE]);
  void job?.endpoint.job?.requestSlots(1, PROFILE);
  await scene.until('it has a slot of the job', () => scene.held === 9, 10_000);
  await scene.run(500);
  links.cut(first.address, job?.address ?? '');
  void job?.endpoint.job?.requestSlots(1, PROFILE);
  const claimedAt = ({ endpoint }: Running<TaskExecutor>): string[] =>
    endpoint
      .status()
      .slots.flatMap(({ state, lease }) =>
        state === 'claimed' && lease !== null ? [lease.allocationId] : [],
      );
  await scene.until('another one is claimed there', () => claimedAt(first).length === 2, 10_000);
  for (const each of cluster.resourceManagers.values()) cut(cluster, each, first);
  cluster.crash(scene.leader());
  const second = cluster.startTaskExecutor('te-4', [PROFILE]);
  const endMs = scene.nowMs + cluster.timing.slotLeaseMs / 2;
  cluster.clock.schedule(cluster.timing.slotLeaseMs / 2, () => {});
  let granted = false;
  const look = (): boolean => {
    granted ||= second.endpoint.status().slots.some(({ state }) => state === 'granted');
    const twice = claimedAt(first).find((id) => claimedAt(second).includes(id));
    demand(twice === undefined, `G4: ${twice} is claimed in two slots`);
    return scene.nowMs >= endMs;
  };
  await scene.until('half a lease to pass', look, cluster.timing.slotLeaseMs);
  demand(granted, 'no second slot was given');
  return {};
}

/** An operator has a task executor forgotten that only the leader does not reach: what the job holds there stays in its hand. */
async function forgottenWhileHeld(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  const executor = cluster.taskExecutors.get('te-1');
  if (executor === undefined) return {};
  for (const each of cluster.resourceManagers.values()) cut(cluster, each, executor);
  await scene.run(1.2 * cluster.timing.heartbeatTimeoutMs);
  let outcome = 'unanswered';
  const { view } = scene.leader().endpoint;
  view.forgetTaskExecutor('te-1' as ResourceId).then(
    () => (outcome = 'forgotten'),
    (error: unknown) => (outcome = String(error)),
  );
  await scene.run(5_000);
  demand(outcome === 'forgotten', `the order to forget it: ${outcome}`);
  demand(scene.held === 5, `G9: ${scene.held} of 5 slots are held`);
  return {};
}

/** A second process of one job: the first one is told to end, and does. */
async function secondJobMaster(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  const first = cluster.jobMasters.get('job')?.endpoint.job;
  const second = cluster.startJobMaster('job', 'job/2');
  await scene.until('the second one is registered', () => second.endpoint.job !== null, 10_000);
  await scene.run(1_000);
  demand(first?.signal.aborted === true, 'G7: two job masters of one job are served');
  demand(second.endpoint.job?.signal.aborted === false, 'G7: the newer job master was ended');
  return {};
}

/** Who comes after whom: a successor whose confirm is in doubt, a request whose task executor died, a newer job master. */
export const SUCCESSION_SCENARIOS: Readonly<Record<string, FailoverScenario>> = {
  'confirm-answer-lost': { overlapMs: 0, play: confirmAnswerLost },
  'confirm-held-back': { overlapMs: 0, play: confirmHeldBack },
  'check-answered-late': { overlapMs: 0, play: checkAnsweredLate },
  'sleep-during-confirm': { overlapMs: 0, play: sleepDuringConfirm },
  'claim-unanswered': { overlapMs: 0, play: claimUnanswered },
  'executor-dies-under-request': { overlapMs: 0, play: executorDiesUnderRequest },
  'forgotten-while-held': { overlapMs: 0, play: forgottenWhileHeld },
  'second-job-master': { overlapMs: 0, play: secondJobMaster },
};
