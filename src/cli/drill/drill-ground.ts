import { closeSync, openSync } from 'node:fs';
import type { WriteLog } from '../../core/audit/store-writes.ts';
import type { DrillEvidence, DrillRound } from '../../core/drill/drill-evidence.ts';
import type { Timing } from '../../core/timing.ts';
import { ClusterKeys } from '../../ha/keys.ts';
import { readJournals } from '../audit/read-journals.ts';
import { readStore } from '../audit/read-store.ts';
import { StoreRecorder } from '../audit/store-recorder.ts';
import { storeWrites } from '../audit/store-writes.ts';
import type { CommandContext } from '../command-context.ts';
import { preciseWallMs } from './drill-clock.ts';
import { DrillCluster } from './drill-cluster.ts';
import { JOB_PROCESS, journalOf, LOAD_PROFILE, TASK_EXECUTORS } from './drill-processes.ts';
import { ExecutorTail } from './executor-tail.ts';
import { HealthWatch } from './health.ts';
import type { JobLine } from './job-process.ts';
import { LeaderSightings } from './leader-sightings.ts';
import { DrillLoad } from './load.ts';
import { DrillObserver } from './observer.ts';
import type { Scenario } from './scenarios.ts';

export interface DrillGroundOptions {
  readonly context: CommandContext;
  readonly signal: AbortSignal;
  readonly scenario: Pick<Scenario, 'proxied' | 'debuggers'>;
  /** Names of the jobs that are processes; `jm-1` alone unless given. */
  readonly jobs?: readonly string[];
  readonly timing: Timing;
  readonly logLevel: string;
  /** Keeps journals and logs; null: nothing is kept. */
  readonly folder: string | null;
  readonly etcdMembers: 1 | 3;
  readonly etcdHeartbeatMs: number;
  readonly etcdElectionTimeoutMs: number;
  /** Where `ip` is that makes a namespace for each process; null: all are on the loopback. */
  readonly namespacesBy?: string | null;
}

/** Name of every drill's cluster in its own etcd. */
const CLUSTER = 'drill';
const LONG_HELD = 3;
/** More than the slots that are left for them: some always wait. */
const REQUESTERS = 8;
const HEALTH_TIMEOUT_MS = 60_000;
const CATCH_UP_MS = 10_000;
/** All journals are written on this machine, by one clock; a write may be late. */
const TOLERANCE_MS = 100;

/** The parts of a drill that are under way: a cluster, the load on it, and those who watch both. */
export interface DrillParts {
  readonly cluster: DrillCluster;
  readonly health: HealthWatch;
  readonly load: DrillLoad;
  readonly tail: ExecutorTail;
  readonly sightings: LeaderSightings;
  readonly observer: DrillObserver;
}

/** A cluster of its own under load, and all that is seen of it. */
export class DrillGround {
  readonly #options: DrillGroundOptions;
  readonly #keys = new ClusterKeys(CLUSTER);
  readonly #sightings = new LeaderSightings(this.#keys);
  readonly #cluster: DrillCluster;
  #recorder: StoreRecorder | null = null;
  #health: HealthWatch | null = null;
  #load: DrillLoad | null = null;
  #observer: DrillObserver | null = null;
  #tail: ExecutorTail | null = null;

  constructor(options: DrillGroundOptions) {
    this.#options = options;
    const { context, scenario, timing, logLevel, folder } = options;
    const { etcdMembers, etcdHeartbeatMs, etcdElectionTimeoutMs, jobs = [JOB_PROCESS] } = options;
    const { namespacesBy = null } = options;
    this.#cluster = new DrillCluster({
      context,
      timing,
      logLevel,
      folder,
      etcdMembers,
      etcdHeartbeatMs,
      etcdElectionTimeoutMs,
      cluster: CLUSTER,
      jobs,
      proxied: scenario.proxied,
      namespacesBy,
      debuggers: scenario.debuggers,
      onJobLost: (line) => this.#jobLost(line),
    });
  }

  /** Resolves when all is healthy and the load runs. */
  async open(): Promise<DrillParts> {
    const { context, signal, timing } = this.#options;
    const { clock } = context;
    const cluster = this.#cluster;
    await cluster.start();
    signal.throwIfAborted();
    const recorder = new StoreRecorder(cluster.store, this.#keys.root, clock, (events) => {
      const atWallMs = preciseWallMs(clock);
      for (const event of events) this.#sightings.take(event, atWallMs);
    });
    this.#recorder = recorder;
    recorder.start();
    const health = new HealthWatch(cluster, clock, signal);
    this.#health = health;
    const journals = TASK_EXECUTORS.map(({ id }) => journalOf(cluster.journals, id));
    // Task executors that are slow to start have none yet.
    for (const journal of journals) closeSync(openSync(journal, 'a', 0o600));
    const tail = new ExecutorTail(journals);
    this.#tail = tail;
    const observer = new DrillObserver(this.#sightings, tail);
    this.#observer = observer;
    await health.untilHealthy(HEALTH_TIMEOUT_MS);
    const load = new DrillLoad({
      clock,
      cluster: CLUSTER,
      resourceManagers: cluster.resourceManagers.map(({ advertise }) => advertise),
      secret: cluster.secret,
      timing,
      journals: cluster.journals,
      profile: LOAD_PROFILE,
      longHeld: LONG_HELD,
      requesters: REQUESTERS,
      onObservation: (observation) => observer.observe(observation),
      onServed: (epoch, atWallMs) => observer.served(epoch, atWallMs),
    });
    this.#load = load;
    await load.start();
    return { cluster, health, load, tail, sightings: this.#sightings, observer };
  }

  /** Ends the load in good order and reads all that the drill is judged by; the cluster must be healthy. */
  async evidence(
    rounds: readonly DrillRound[],
    liveWithinMs: number,
  ): Promise<{ readonly evidence: DrillEvidence; readonly log: WriteLog }> {
    const { signal, timing } = this.#options;
    const { store, journals } = this.#cluster;
    await this.#load?.stop();
    this.#tail?.read();
    const ofJournals = await readJournals(journals, signal);
    const kept = await readStore(store, this.#keys, signal);
    await this.#recorder?.caughtUp(CATCH_UP_MS, signal);
    const written = this.#recorder?.log ?? [];
    const evidence: DrillEvidence = {
      cluster: CLUSTER,
      events: written.flatMap(({ events }) => events),
      store: kept,
      journals: { ...ofJournals, toleranceMs: TOLERANCE_MS },
      refusals: this.#tail?.refusals ?? [],
      observations: this.#observer?.observations ?? [],
      rounds,
      leaseTtlMs: timing.leaseTtlSeconds * 1_000,
      liveWithinMs,
    };
    return { evidence, log: storeWrites(written, this.#keys) };
  }

  /** Ends everything; afterwards nothing is left. Never rejects. */
  async close(): Promise<void> {
    this.#recorder?.stop();
    await this.#load?.stop();
    await this.#health?.close();
    await this.#cluster.stop();
  }

  #jobLost({ jobId, allocationId, resourceId, slotNumber, grantNumber, reason }: JobLine): void {
    this.#observer?.observe({
      type: 'lost',
      requestId: 0,
      jobId,
      purpose: 'long-held',
      allocationId,
      slot: `${resourceId}/${slotNumber}`,
      grantNumber,
      code: 'UNKNOWN_ALLOCATION',
      detail: reason ?? '',
      excused: null,
      atWallMs: preciseWallMs(this.#options.context.clock),
    });
  }
}
