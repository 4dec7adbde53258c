/** A quantile of a histogram: above the one bound and at most the other, which is null in the last bucket. */
export interface BucketQuantile {
  readonly aboveMs: number;
  readonly atMostMs: number | null;
}

/** What a member's `/metrics` tell that the API does not; null where this version does not tell. */
export interface MemberMetrics {
  readonly fsyncs: number;
  /** Since the start of the member; null below 100 fsyncs, which make no 99th percentile. */
  readonly fsyncP99: BucketQuantile | null;
  readonly quotaBytes: number | null;
  readonly leaderChanges: number | null;
  readonly startedAtMs: number | null;
}

const FSYNC = 'etcd_disk_wal_fsync_duration_seconds';
const LEAST_SAMPLES = 100;

/** Reads the Prometheus text of an etcd member; null when it is somebody else's. */
export function parseMemberMetrics(text: string): MemberMetrics | null {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^([a-z_]+(?:\{le="[^"]+"\})?) (\S+)$/.exec(line) ?? [];
    if (name !== undefined && Number.isFinite(Number(value))) samples.set(name, Number(value));
  }
  const fsyncs = samples.get(`${FSYNC}_count`);
  if (fsyncs === undefined) return null;
  const startSeconds = samples.get('process_start_time_seconds');
  return {
    fsyncs,
    fsyncP99: fsyncs < LEAST_SAMPLES ? null : quantile(samples, FSYNC, fsyncs, 0.99),
    quotaBytes: samples.get('etcd_server_quota_backend_bytes') ?? null,
    leaderChanges: samples.get('etcd_server_leader_changes_seen_total') ?? null,
    startedAtMs: startSeconds === undefined ? null : Math.round(startSeconds * 1_000),
  };
}

function quantile(
  samples: ReadonlyMap<string, number>,
  name: string,
  count: number,
  share: number,
): BucketQuantile | null {
  let aboveMs = 0;
  for (const [key, cumulated] of samples) {
    const [, bound] = /^(?:[a-z_]+)_bucket\{le="([^"]+)"\}$/.exec(key) ?? [];
    if (bound === undefined || !key.startsWith(`${name}_bucket`)) continue;
    if (bound === '+Inf') return { aboveMs, atMostMs: null };
    const boundMs = Number(bound) * 1_000;
    if (!Number.isFinite(boundMs)) continue;
    if (cumulated >= share * count) return { aboveMs, atMostMs: boundMs };
    aboveMs = boundMs;
  }
  return null;
}
