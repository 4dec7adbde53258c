import { expect } from 'chai';
import { parseMemberMetrics } from '../../../../src/cli/doctor/etcd-metrics.ts';
import { offsetOf } from '../../../../src/cli/doctor/http-probe.ts';
import { latencyOf } from '../../../../src/cli/doctor/latency.ts';

function fsyncs(...cumulated: readonly (readonly [string, number])[]): string {
  const name = 'etcd_disk_wal_fsync_duration_seconds';
  const count = cumulated.at(-1)?.[1] ?? 0;
  return [
    '# HELP etcd_disk_wal_fsync_duration_seconds The latency distributions of fsync called by WAL.',
    ...cumulated.map(([bound, value]) => `${name}_bucket{le="${bound}"} ${value}`),
    `${name}_sum 0.5`,
    `${name}_count ${count}`,
    'etcd_server_quota_backend_bytes 2.147483648e+09',
    'process_start_time_seconds 1.5',
  ].join('\n');
}

describe('the measuring of the doctor', () => {
  it('finds the bucket of the 99th percentile of the fsyncs', () => {
    expect(parseMemberMetrics(fsyncs(['0.001', 90], ['0.002', 99], ['+Inf', 100]))).to.deep.equal({
      fsyncs: 100,
      fsyncP99: { aboveMs: 1, atMostMs: 2 },
      quotaBytes: 2 ** 31,
      leaderChanges: null,
      startedAtMs: 1_500,
    });
    const beyond = parseMemberMetrics(fsyncs(['0.001', 90], ['8.192', 98], ['+Inf', 100]));
    expect(beyond?.fsyncP99).to.deep.equal({ aboveMs: 8_192, atMostMs: null });
  });

  it('makes no percentile of few fsyncs, and nothing of what is not from etcd', () => {
    expect(parseMemberMetrics(fsyncs(['0.001', 6], ['+Inf', 6]))?.fsyncP99).to.equal(null);
    expect(parseMemberMetrics('<html>')).to.equal(null);
  });

  it('takes quantiles by nearest rank', () => {
    expect(latencyOf([])).to.equal(null);
    expect(latencyOf([4, 1, 3, 2])).to.deep.equal({ samples: 4, p50Ms: 2, p99Ms: 4, maxMs: 4 });
  });

  it('knows of another clock no more than its whole seconds tell', () => {
    expect(offsetOf('Thu, 01 Jan 1970 00:00:10 GMT', 10_400, 10_420)).to.deep.equal({
      leastMs: -420,
      mostMs: 600,
    });
    expect(offsetOf('soon', 0, 0)).to.equal(null);
    expect(offsetOf(undefined, 0, 0)).to.equal(null);
  });
});
