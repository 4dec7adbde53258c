import { DEFAULT_TIMING } from '../../core/timing.ts';
import type { Finding } from './finding.ts';
import type { Latency } from './latency.ts';
import type { EndpointMeasurement } from './measurements.ts';

const { servingDeadlineMs, leadershipCheckMs } = DEFAULT_TIMING;
/** etcd's own advice is a 99th percentile below 10 ms; its buckets end at 8 and 16 ms. */
const SLOW_FSYNC_MS = 8;
const DEFAULT_QUOTA_BYTES = 2 * 1024 ** 3;
const FULL_SHARE = 0.8;
const MANY_REVISIONS = 5_000n;
const WORTH_A_DEFRAG_BYTES = 256 * 1024 ** 2;

/** How fast each member is, what it grants, and how its database fares. */
export function judgeStore(endpoints: readonly EndpointMeasurement[]): Finding[] {
  return endpoints.flatMap((each) => [
    ...judgeLatency(each),
    ...judgeFsync(each),
    ...judgeLease(each),
    ...judgeSize(each),
    ...judgeCompaction(each),
  ]);
}

function judgeLatency({ endpoint, range, check, write }: EndpointMeasurement): Finding[] {
  const slow = (what: string, code: string, latency: Latency | null, cost: string): Finding[] => {
    if (latency === null || latency.p99Ms < leadershipCheckMs) return [];
    const tooSlow = latency.p99Ms >= servingDeadlineMs;
    return [
      {
        severity: tooSlow ? 'critical' : 'warning',
        code,
        subject: endpoint,
        finding: `${what} takes ${ms(latency.p50Ms)} at the median and ${ms(latency.p99Ms)} at worst (p99 of ${latency.samples}).`,
        cost,
        change: 'give etcd a disk and processors of its own, and a short way to the resource managers',
      },
    ];
  };
  const suspends = `checks follow one another every ${leadershipCheckMs} ms, and a leader without an answer for ${servingDeadlineMs} ms suspends itself`;
  const worst =
    [range, check].filter((each) => each !== null).toSorted((a, b) => b.p99Ms - a.p99Ms)[0] ?? null;
  return [
    ...slow('A leadership check', 'slow-check', worst, suspends),
    ...slow(
      'A write',
      'slow-write',
      write,
      'a successor is confirmed by one write: nobody leads until it is through',
    ),
  ];
}

function judgeFsync({ endpoint, metrics }: EndpointMeasurement): Finding[] {
  const p99 = metrics?.fsyncP99 ?? null;
  if (p99 === null || p99.aboveMs < SLOW_FSYNC_MS) return [];
  const range =
    p99.atMostMs === null ? `more than ${ms(p99.aboveMs)}` : `${p99.aboveMs} to ${ms(p99.atMostMs)}`;
  return [
    {
      severity: 'warning',
      code: 'slow-fsync',
      subject: endpoint,
      finding: `One fsync of its log in a hundred takes ${range}; etcd wants less than 10 ms.`,
      cost: 'each confirm waits for the fsync of a majority; a stall beyond the election timeout changes the leader of etcd, which extends every lease',
      change: 'put its data on a local SSD that nothing else writes to',
    },
  ];
}

function judgeLease({ endpoint, lease }: EndpointMeasurement): Finding[] {
  if (lease === null) return [];
  const { askedSeconds, grantedSeconds, leastGrantedSeconds: least } = lease;
  const found: Finding[] = [];
  if (grantedSeconds > askedSeconds) {
    found.push({
      severity: 'warning',
      code: 'ttl-raised',
      subject: endpoint,
      finding: `It grants ${grantedSeconds} s where ${askedSeconds} s are asked for.`,
      cost: `a leader whose death cannot be proved is replaced after ${grantedSeconds} s, not ${askedSeconds} s`,
      change: `lower etcd's --election-timeout: a lease lasts at least 1.5 times as long`,
    });
  }
  if (least > 1) {
    const [from, to] = electionTimeoutOf(least);
    found.push({
      severity: least > 2 ? 'warning' : 'note',
      code: 'long-election-timeout',
      subject: endpoint,
      finding: `Its election timeout is above ${ms(from)} and at most ${ms(to)} (it grants no lease below ${least} s).`,
      cost: 'when the leader of etcd dies nothing is written for one to two election timeouts (1.1 to 2.1 s at 1 s), and every lease is extended',
      change: 'for members in one place: --heartbeat-interval 20 --election-timeout 200, on all of them',
    });
  }
  return found;
}

/** Bounds of the election timeout, in milliseconds, that go with the shortest lease: its 1.5-fold, rounded up to seconds. */
export function electionTimeoutOf(leastGrantedSeconds: number): readonly [above: number, atMost: number] {
  return [Math.round((leastGrantedSeconds - 1) / 0.0015), Math.round(leastGrantedSeconds / 0.0015)];
}

function judgeSize({ endpoint, status, metrics }: EndpointMeasurement): Finding[] {
  if (status === null) return [];
  const { dbBytes, dbInUseBytes } = status;
  const quota = metrics?.quotaBytes ?? DEFAULT_QUOTA_BYTES;
  if (dbBytes >= FULL_SHARE * quota) {
    return [
      {
        severity: 'critical',
        code: 'nearly-full',
        subject: endpoint,
        finding: `Its database has ${megabytes(dbBytes)} of ${megabytes(quota)} at most.`,
        cost: 'when it is full etcd refuses puts and lease grants, and no successor can be confirmed',
        change:
          'compact, then `etcdctl defrag` one member after the other; raise --quota-backend-bytes if it is needed',
      },
    ];
  }
  if (dbInUseBytes === 0 || dbBytes < WORTH_A_DEFRAG_BYTES || dbInUseBytes * 2 > dbBytes) return [];
  return [
    {
      severity: 'note',
      code: 'fragmented',
      subject: endpoint,
      finding: `Of the ${megabytes(dbBytes)} of its database ${megabytes(dbInUseBytes)} are in use.`,
      cost: 'none yet; it counts towards the quota, and a member takes longer to start',
      change: '`etcdctl defrag` one member after the other, its leader last: it answers nothing meanwhile',
    },
  ];
}

function judgeCompaction({ endpoint, status, compacted }: EndpointMeasurement): Finding[] {
  if (status === null || compacted !== false) return [];
  const many = status.revision >= MANY_REVISIONS;
  return [
    {
      severity: many ? 'warning' : 'note',
      code: many ? 'never-compacted' : 'not-compacted-yet',
      subject: endpoint,
      finding: many
        ? `All of its ${status.revision} revisions are still there: nobody compacts.`
        : `Nothing has been compacted at revision ${status.revision}: whether compaction is on cannot be told yet.`,
      cost: 'without compaction the database grows for ever (95 MB a day at five writes a second) until etcd is full and nobody can be confirmed',
      change: '--auto-compaction-mode periodic --auto-compaction-retention 10m, on every member',
    },
  ];
}

function ms(value: number): string {
  return `${value} ms`;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MB`;
}
