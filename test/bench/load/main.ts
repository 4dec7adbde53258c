import { mkdirSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { DrillLoad } from '../../../src/cli/drill/load.ts';
import { distributionOf } from '../../../src/core/drill/distribution.ts';
import type { LoadObservation } from '../../../src/core/drill/drill-evidence.ts';
import { DEFAULT_TIMING } from '../../../src/core/timing.ts';
import { BenchCluster, benchProgram, CLUSTER } from '../cluster/bench-cluster.ts';
import { wholeNumber } from '../cluster/whole-number.ts';
import { within } from '../failover/within.ts';

// A cluster with every core loaded twice over for MINUTES: does its leader stay?

const TASK_EXECUTORS = 3;
const LONG_HELD = 3;
/** More than the slots that are left for them: some always wait. */
const REQUESTERS = 12;
const BUSY_PER_CORE = 2;
const PROGRESS_MS = 30_000;
const SECOND_MS = 1_000;

/** Requests from the question to the slot, and what went wrong, as users of the SDK see it. */
class LoadTally {
  readonly tookMs: number[] = [];
  readonly errors: string[] = [];
  leasesLost = 0;
  readonly #askedWallMs = new Map<number, number>();

  see(observation: LoadObservation): void {
    if (observation.type === 'asked') this.#askedWallMs.set(observation.requestId, observation.atWallMs);
    else if (observation.type === 'claimed') {
      const askedWallMs = this.#askedWallMs.get(observation.requestId) ?? observation.atWallMs;
      this.#askedWallMs.delete(observation.requestId);
      this.tookMs.push(observation.atWallMs - askedWallMs);
    } else if (observation.type === 'failed' || observation.type === 'job-failed') {
      this.errors.push(`${observation.code}: ${observation.detail}`);
    } else if (observation.type === 'lost') this.leasesLost += 1;
  }
}

async function main(): Promise<void> {
  const minutes = wholeNumber('MINUTES', process.env['MINUTES'], 10, 1, 1_440);
  const cluster = new BenchCluster({ taskExecutors: TASK_EXECUTORS, jobSlots: 2 });
  const seen = new LoadTally();
  const startMs = performance.now();
  const say = (line: string): void => {
    const passed = ((performance.now() - startMs) / SECOND_MS).toFixed(0).padStart(4);
    process.stderr.write(`${passed} of about ${minutes * 60 + 20} s  ${line}\n`);
  };
  let load: DrillLoad | null = null;
  try {
    say('starting 3 members of etcd, 3 resource managers, 3 task executors and a job');
    await cluster.start();
    const healthy = await within(60_000, async () => {
      const overview = await cluster.overview();
      return overview?.taskExecutors === TASK_EXECUTORS && overview.standbys.every(({ ready }) => ready);
    });
    if (!healthy) throw new Error('the cluster did not become healthy within 60 s');
    const journals = join(cluster.folder, 'journals');
    mkdirSync(journals);
    load = new DrillLoad({
      clock: cluster.clock,
      cluster: CLUSTER,
      resourceManagers: cluster.addresses,
      timing: DEFAULT_TIMING,
      journals,
      profile: { cpuCores: 1, memoryMB: 128 },
      longHeld: LONG_HELD,
      requesters: REQUESTERS,
      onObservation: (observation) => seen.see(observation),
      onServed: () => {},
    });
    await load.start();
    const cores = availableParallelism();
    const busy = Array.from({ length: BUSY_PER_CORE * cores }, (_, n) => `busy-${n + 1}`);
    for (const name of busy) {
      cluster.run(benchProgram(new URL('./busy.js', import.meta.url), name, cluster.folder, []));
    }
    const sinceWallMs = Date.now();
    const epochs = cluster.tally.confirmed.length;
    say(`${busy.length} busy processes on ${cores} cores`);
    const endMs = performance.now() + minutes * 60 * SECOND_MS;
    while (performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(PROGRESS_MS, endMs - performance.now())));
      const { challenges, answered, depositions } = cluster.tally;
      say(
        `${seen.tookMs.length} slots claimed, ${depositions.length} depositions, ${challenges} challenges (${answered} answered), ` +
          `${cluster.suspensions(sinceWallMs).length} suspensions, ${seen.errors.length} errors, load ${loadavg()[0]?.toFixed(1)}`,
      );
    }
    const suspensions = cluster.suspensions(sinceWallMs);
    const lengths = suspensions.map(
      ({ fromWallMs, untilWallMs }) => (untilWallMs ?? Date.now()) - fromWallMs,
    );
    const { tally } = cluster;
    const report = {
      minutes,
      cores,
      busyProcesses: busy.length,
      loadAverage: loadavg().map((value) => Math.round(value * 10) / 10),
      newLeaders: tally.confirmed.length - epochs,
      depositions: tally.depositions.map(({ evidence }) => evidence),
      termsEnded: tally.ended.length,
      challenges: tally.challenges,
      challengesAnswered: tally.answered,
      suspensions: lengths.length,
      longestSuspensionMs: Math.max(0, ...lengths),
      worstLoopLagMs: Object.fromEntries(
        cluster.resourceManagerIds.map((id) => [id, cluster.worstLagMs(id, sinceWallMs)]),
      ),
      slotsClaimed: seen.tookMs.length,
      slotAfterMs: distributionOf(seen.tookMs),
      sdkErrors: seen.errors.length,
      firstErrors: seen.errors.slice(0, 5),
      leasesLost: seen.leasesLost,
      unexpectedEnds: cluster.unexpectedEnds,
    };
    await cluster.stopProcesses(busy);
    await load.stop();
    load = null;
    process.stdout.write(`${JSON.stringify(report, null, process.env['JSON'] === '1' ? 0 : 2)}\n`);
    if (report.newLeaders > 0 || report.leasesLost > 0) process.exitCode = 3;
  } finally {
    await load?.stop();
    await cluster.stop();
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
