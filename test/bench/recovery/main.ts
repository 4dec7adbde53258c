import { loadavg } from 'node:os';
import { BenchCluster, CLUSTER } from '../cluster/bench-cluster.ts';
import { wholeNumber } from '../cluster/whole-number.ts';
import { within } from '../failover/within.ts';
import { playFailover, type Failover } from './failover.ts';
import { Fleets } from './fleets.ts';
import { Job } from './job.ts';

// A leader is killed over TASK_EXECUTORS task executors that are connected to every resource manager: how long until its successor
// is confirmed, gives out the first slot, and has heard of all; and did anybody lose his leadership or his lease meanwhile?

const SLOTS = 2;
const STARTS_PER_SECOND = 150;
const MOST_HELD = 500;
const START_LIMIT_MS = 600_000;
const PROGRESS_MS = 10_000;

async function main(): Promise<void> {
  const taskExecutors = wholeNumber('TASK_EXECUTORS', process.env['TASK_EXECUTORS'], 10_000, 10, 12_000);
  const rounds = wholeNumber('ROUNDS', process.env['ROUNDS'], 1, 1, 100);
  const perSecond = wholeNumber('RATE', process.env['RATE'], STARTS_PER_SECOND, 1, 10_000);
  const nodeFlags = process.env['NODE_FLAGS']?.split(' ') ?? [];
  const cluster = new BenchCluster({ taskExecutors: 0, jobSlots: 0, nodeFlags });
  const startMs = performance.now();
  const say = (line: string): void => {
    process.stderr.write(`${((performance.now() - startMs) / 1_000).toFixed(0).padStart(4)} s  ${line}\n`);
  };
  let job: Job | null = null;
  try {
    say('starting 3 members of etcd and 3 resource managers');
    await cluster.start();
    const fleets = new Fleets(taskExecutors);
    const sinceWallMs = Date.now();
    fleets.start(cluster, SLOTS, perSecond);
    await untilAllConnected(cluster, taskExecutors, 3, say);
    job = await Job.register(CLUSTER, cluster.addresses);
    await job.hold(Math.min(MOST_HELD, taskExecutors));
    say(`${job.held} slots are held; load ${loadavg()[0]?.toFixed(1)}`);
    const start = {
      challenges: cluster.tally.challenges,
      depositions: cluster.tally.depositions.length,
      suspensions: cluster.suspensions(sinceWallMs).length,
      worstLoopLagMs: worstLags(cluster, sinceWallMs),
    };
    const played: Failover[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      say(`round ${round}: killing ${cluster.tally.confirmed.at(-1)?.resourceManagerId}`);
      const failover = await playFailover(cluster, fleets, job, taskExecutors);
      played.push(failover);
      say(JSON.stringify(failover));
      cluster.startAgain(failover.from);
      await untilAllConnected(cluster, taskExecutors, 3, say);
    }
    const report = {
      taskExecutors,
      connections: 3 * taskExecutors,
      slots: SLOTS * taskExecutors,
      loadAverage: loadavg().map((value) => Math.round(value * 10) / 10),
      whileStarting: start,
      failovers: played,
      inAll: {
        newLeaders: cluster.tally.confirmed.length - 1,
        depositions: cluster.tally.depositions.length,
        challenges: cluster.tally.challenges,
        suspensions: cluster.suspensions(sinceWallMs).length,
        worstLoopLagMs: worstLags(cluster, sinceWallMs),
      },
      unexpectedEnds: cluster.unexpectedEnds,
    };
    process.stdout.write(`${JSON.stringify(report, null, process.env['JSON'] === '1' ? 0 : 2)}\n`);
    const { newLeaders } = report.inAll;
    if (newLeaders > rounds || played.some(({ leasesLost }) => leasesLost > 0)) process.exitCode = 3;
  } finally {
    await job?.close();
    await cluster.stop();
  }
}

function worstLags(cluster: BenchCluster, sinceWallMs: number): Readonly<Record<string, number>> {
  return Object.fromEntries(
    cluster.resourceManagerIds.map((id) => [id, cluster.worstLagMs(id, sinceWallMs)]),
  );
}

/** Until the leader has registered all and every resource manager that runs has been introduced to all. */
async function untilAllConnected(
  cluster: BenchCluster,
  taskExecutors: number,
  resourceManagers: number,
  say: (line: string) => void,
): Promise<void> {
  let saidMs = performance.now();
  const connected = await within(START_LIMIT_MS, async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const overview = await cluster.overview();
    const introduced = cluster.resourceManagerIds.map((id) => introductionsIn(cluster.logOf(id)));
    if (performance.now() - saidMs >= PROGRESS_MS) {
      saidMs = performance.now();
      say(
        `${overview?.taskExecutors ?? 0} registered, ${introduced.join('/')} introduced, load ${loadavg()[0]?.toFixed(1)}`,
      );
    }
    if (overview === null || overview.taskExecutors < taskExecutors || overview.recovery !== null)
      return false;
    return introduced.filter((count) => count >= taskExecutors).length >= resourceManagers;
  });
  if (!connected) throw new Error(`not all of ${taskExecutors} task executors have connected`);
}

/** Since the process started last: another start begins the count anew. */
function introductionsIn(log: string): number {
  const lastStart = Math.max(0, log.lastIndexOf('"event":"resource-manager-started"'));
  return log.slice(lastStart).split('"event":"introduced"').length - 1;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
