import type { ConfirmedLeader } from '../cluster/election-tally.ts';
import type { BenchCluster } from '../cluster/bench-cluster.ts';
import { within } from '../failover/within.ts';
import type { Fleets } from './fleets.ts';
import type { Job } from './job.ts';

/** What came of one crash of the leader. Times in ms since the SIGKILL; null: not within the limit. */
export interface Failover {
  readonly from: string;
  readonly to: string;
  readonly evidence: string;
  readonly confirmMs: number | null;
  /** Until a slot was claimed for a request that was made in the turn of the SIGKILL. */
  readonly firstClaimMs: number | null;
  /** Until all requests made in that turn had their slots. */
  readonly allClaimsMs: number | null;
  /** Until the first and the last task executor had registered, each with a full report. */
  readonly firstReportMs: number | null;
  readonly allReportsMs: number | null;
  readonly reports: number;
  /** Depositions beside that of the killed leader, and challenges to its successor. */
  readonly falseDepositions: number;
  readonly challenges: number;
  readonly suspensions: number;
  readonly longestSuspensionMs: number;
  /** The longest wait of the loop of each resource manager that lived, since the SIGKILL. */
  readonly worstLoopLagMs: Readonly<Record<string, number>>;
  readonly leasesHeld: number;
  readonly leasesLost: number;
  readonly sdkErrors: number;
}

const WAITING_REQUESTS = 20;
const LIMIT_MS = 120_000;
/** Longer than the lease of a slot: one that was lost shows. */
const WATCH_ON_MS = 35_000;

/** Kills the leader and follows what comes of it until every lease has been renewed under its successor. */
export async function playFailover(
  cluster: BenchCluster,
  fleets: Fleets,
  job: Job,
  taskExecutors: number,
): Promise<Failover> {
  const { tally } = cluster;
  const old = present(tally.confirmed.at(-1));
  const before = { confirmed: tally.confirmed.length, challenges: tally.challenges };
  const depositionsBefore = tally.depositions.length;
  const { lost: lostBefore, errors: errorsBefore, held } = job;
  const killedWallMs = performance.timeOrigin + performance.now();
  const gone = cluster.crash(old.resourceManagerId);
  const claims = job.askOneByOne(WAITING_REQUESTS);
  await gone;
  await within(LIMIT_MS, () => tally.confirmed.length > before.confirmed);
  const next: ConfirmedLeader = present(tally.confirmed[before.confirmed]);
  await within(LIMIT_MS, () => fleets.registeredUnder(next.epoch).count >= taskExecutors);
  const claimedWallMs = await claims;
  const reports = fleets.registeredUnder(next.epoch);
  await new Promise((resolve) => setTimeout(resolve, WATCH_ON_MS));
  const since = (wallMs: number | undefined): number | null =>
    wallMs === undefined || !Number.isFinite(wallMs) ? null : Math.round(wallMs - killedWallMs);
  const suspensions = cluster.suspensions(killedWallMs);
  const lengths = suspensions.map(({ fromWallMs, untilWallMs }) => (untilWallMs ?? Date.now()) - fromWallMs);
  const alive = cluster.resourceManagerIds.filter((id) => id !== old.resourceManagerId);
  const complete = reports.count >= taskExecutors;
  return {
    from: old.resourceManagerId,
    to: next.resourceManagerId,
    evidence: tally.ended.find(({ epoch }) => epoch === old.epoch)?.evidence ?? '',
    confirmMs: since(next.atWallMs),
    firstClaimMs: since(claimedWallMs[0]),
    allClaimsMs: claimedWallMs.length === WAITING_REQUESTS ? since(claimedWallMs.at(-1)) : null,
    firstReportMs: since(reports.firstWallMs),
    allReportsMs: complete ? since(reports.lastWallMs) : null,
    reports: reports.count,
    falseDepositions: tally.depositions.length - depositionsBefore - (isDeposed(cluster, old.epoch) ? 1 : 0),
    challenges: tally.challenges - before.challenges,
    suspensions: lengths.length,
    longestSuspensionMs: Math.max(0, ...lengths),
    worstLoopLagMs: Object.fromEntries(alive.map((id) => [id, cluster.worstLagMs(id, killedWallMs)])),
    leasesHeld: held,
    leasesLost: job.lost - lostBefore,
    sdkErrors: job.errors - errorsBefore,
  };
}

function isDeposed({ tally }: BenchCluster, epoch: bigint): boolean {
  return tally.depositions.some((term) => term.epoch === epoch);
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('nobody leads');
  return value;
}
