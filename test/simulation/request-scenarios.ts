import type { ResourceManager } from '../../src/resourcemanager/resource-manager.ts';
import type { WorkerProvider } from '../../src/resourcemanager/worker-provider.ts';
import type { FailoverScenario, FailoverScene, Findings } from './failover-scenarios.ts';
import { cut, demand, idOf } from './scene-steps.ts';
import type { Running } from './simulated-cluster.ts';

const PROFILE = { cpuCores: 1, memoryMB: 512, extended: {} };
/** How often a leader looks for silent task executors. */
const LOOKS_PER_TIMEOUT = 15;

/** What is looked at of one in a frame. */
interface Message {
  readonly type?: string;
  readonly body?: { readonly commands?: readonly { kind: string; allocationId?: string }[] };
}

/** All slots that there are come into the hand of the job; what it asks for from now on waits. */
async function takeAll(scene: FailoverScene): Promise<void> {
  const job = scene.cluster.jobMasters.get('job')?.endpoint.job;
  void job?.requestSlots(3, PROFILE);
  await scene.until('all slots are held', () => scene.held === 8, 10_000);
}

/** Every command that leaves the leader: to whom, what it asks, and for which allocation. */
function commandsSent(leader: Running<ResourceManager>): string[] {
  const sent: string[] = [];
  const { observer } = leader.process;
  leader.process.observer = {
    ...observer,
    onSend: (process, peer, frame) => {
      observer.onSend(process, peer, frame);
      const { messages } = JSON.parse(frame) as { messages?: Message[] };
      for (const { type, body } of messages ?? [])
        for (const { kind, allocationId } of (type === 'executeSlotCommands' && body?.commands) || [])
          sent.push(`${peer} ${kind} ${allocationId ?? ''}`);
    },
  };
  return sent;
}

function requestsIn(sent: readonly string[]): string[] {
  return sent.filter((command) => command.includes(' requestSlot '));
}

/**
 * A slot becomes free by an answer, behind which comes a report that says so, too: by then the slot has been asked
 * for again, and the report, made before that, says nothing about it.
 */
async function staleReport(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  const job = cluster.jobMasters.get('job');
  await takeAll(scene);
  const executor = cluster.startTaskExecutor('te-3', [PROFILE]);
  cut(cluster, executor, job as Running<unknown>);
  const withdrawal = new AbortController();
  job?.endpoint.job?.requestSlots(1, PROFILE, { signal: withdrawal.signal }).catch(() => {});
  const lease = (): string | undefined => executor.endpoint.status().slots[0]?.lease?.allocationId;
  await scene.until('a slot is granted that cannot be claimed', () => lease() !== undefined, 5_000);
  const withdrawn = lease();
  const sent = commandsSent(scene.leader());
  for (let count = 0; count < 2; count++) void job?.endpoint.job?.requestSlots(1, PROFILE);
  await scene.run(500);
  cluster.links.heal();
  withdrawal.abort();
  const other = (): boolean => lease() !== undefined && lease() !== withdrawn;
  await scene.until('another request has the slot', other, 5_000);
  await scene.run(1_000);
  demand(scene.held === 9, `G7: ${scene.held} of 9 slots are held`);
  const requests = requestsIn(sent);
  demand(requests.length === 1, `G7: one slot was asked for by several: ${requests.join(', ')}`);
  return {};
}

/** Each time at which the leader says of that task executor that it is unreachable. */
function timesUnreachable(scene: FailoverScene, taskExecutor: string): number[] {
  const timesMs: number[] = [];
  scene.leader().endpoint.view.watchEvents(null, ({ event, fields }) => {
    if (event === 'task-executor-unreachable' && fields['resourceId'] === taskExecutor)
      timesMs.push(scene.nowMs);
  });
  return timesMs;
}

/**
 * A request times out that has not left yet, and its task executor, which is busy with another one, is found to be
 * silent in the very turn in which that is noticed, after a moment in which the leader stood still: the request has
 * ended, and gets no slot of another one.
 */
async function endedRequest(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  const { heartbeatTimeoutMs } = cluster.timing;
  const job = cluster.jobMasters.get('job');
  await takeAll(scene);
  const silent = cluster.startTaskExecutor('te-3', [PROFILE, PROFILE]);
  const registered = (): boolean => silent.endpoint.status().registeredWith !== null;
  await scene.until('it is registered', registered, 10_000);
  const leader = scene.leader();
  silent.process.stop();
  const foundSilentMs = timesUnreachable(scene, 'te-3');
  await scene.until('it is found to be silent', () => foundSilentMs.length === 1, 30_000);
  silent.process.resume();
  await scene.until('it is registered again', registered, 10_000);
  await scene.run(500);
  silent.process.stop();
  await scene.run(10);
  const { rows } = await leader.endpoint.view.taskExecutors({ limit: 10, after: null });
  const silentForMs = rows.find(({ resourceId }) => resourceId === 'te-3')?.silentForMs ?? 0;
  const everyMs = heartbeatTimeoutMs / LOOKS_PER_TIMEOUT;
  // The leader looks every so often, and has found it before: so this is when it will look again.
  const [beforeMs = 0] = foundSilentMs;
  const untilSilentMs = scene.nowMs - silentForMs + heartbeatTimeoutMs - beforeMs;
  const nextMs = beforeMs + Math.ceil(untilSilentMs / everyMs) * everyMs;
  const sent = commandsSent(leader);
  await scene.run(nextMs - 1_000 - scene.nowMs);
  void job?.endpoint.job?.requestSlots(1, PROFILE);
  await scene.run(800);
  job?.endpoint.job?.requestSlots(1, PROFILE, { timeoutMs: 210 }).catch(() => {});
  const other = cluster.startTaskExecutor('te-4', [PROFILE, PROFILE]);
  await scene.run(100);
  cluster.links.cut(job?.address ?? '', leader.address);
  await scene.run(95);
  demand(sent.length === 1, `not one of the two was under way: ${sent.join(', ')}`);
  leader.process.stop();
  await scene.run(30);
  leader.process.resume();
  const wokenMs = scene.nowMs;
  await scene.run(1);
  demand(foundSilentMs[1] === wokenMs, 'it was not found to be silent in the turn in which the leader woke');
  await scene.until('the first one is served elsewhere', () => scene.held === 9, 10_000);
  await scene.run(1_000);
  const elsewhere = requestsIn(sent).filter((command) => command.startsWith(other.address));
  demand(elsewhere.length === 1, `G7: a request that had timed out was sent: ${elsewhere.join(', ')}`);
  return {};
}

/** A new leader that has not heard of a slot yet asks nobody to start another fleet; one that knows all of them does. */
async function silentFleet(scene: FailoverScene): Promise<Findings> {
  const { cluster } = scene;
  const job = cluster.jobMasters.get('job')?.endpoint.job;
  const asked: string[] = [];
  const provider: WorkerProvider = {
    name: 'simulated',
    slotsPerWorker: 1,
    listen: () => {},
    startWorker: ({ resourceId }) => void asked.push(resourceId),
    stopWorker: () => {},
    close: () => {},
  };
  await takeAll(scene);
  const late = cluster.startTaskExecutor('te-3', [PROFILE]);
  await scene.until('it is registered', () => late.endpoint.status().registeredWith !== null, 10_000);
  cluster.workerProvider = provider;
  for (const running of [...scene.standbys(), scene.leader()]) {
    cluster.crash(running);
    cluster.startResourceManager(idOf(running));
    await scene.run(2_000);
  }
  const leader = scene.leader();
  late.process.stop();
  void job?.requestSlots(1, PROFILE);
  cluster.crash(leader);
  await scene.successor(leader, 5_000);
  await scene.run(cluster.timing.graceMs / 2);
  late.process.resume();
  await scene.until('it is served by what there was', () => scene.held === 9, 30_000);
  demand(asked.length === 0, `G7: ${asked.join(', ')} asked for before all had reported`);
  void job?.requestSlots(1, PROFILE);
  await scene.until('a worker is asked for', () => asked.length === 1, 30_000);
  return {};
}

/** What becomes of a request that waits: sent once, ended for good, and no reason for a second fleet. */
export const REQUEST_SCENARIOS: Readonly<Record<string, FailoverScenario>> = {
  'stale-report': { overlapMs: 0, play: staleReport },
  'ended-request': { overlapMs: 0, play: endedRequest },
  'silent-fleet': { overlapMs: 0, play: silentFleet },
};
