import { expect } from 'chai';
import { findingsFrom } from '../../../../src/cli/doctor/judge.ts';
import { electionTimeoutOf } from '../../../../src/cli/doctor/judge-store.ts';
import { bugsOf } from '../../../../src/cli/doctor/known-bugs.ts';
import type { Latency } from '../../../../src/cli/doctor/latency.ts';
import type { EndpointMeasurement, Measurements } from '../../../../src/cli/doctor/measurements.ts';
import { renderDiagnosis } from '../../../../src/cli/doctor/render.ts';

const FAST: Latency = { samples: 50, p50Ms: 1, p99Ms: 3, maxMs: 3 };
const slow = (p99Ms: number): Latency => ({ samples: 50, p50Ms: 1, p99Ms, maxMs: p99Ms });

type Status = NonNullable<EndpointMeasurement['status']>;

function status(part: Partial<Status> = {}): Status {
  return {
    clusterId: 'c1',
    memberId: 'm1',
    leaderId: 'm1',
    version: '3.6.12',
    isLearner: false,
    revision: 100n,
    raftTerm: 2n,
    raftLag: 0,
    dbBytes: 1_000_000,
    dbInUseBytes: 900_000,
    errors: [],
    ...part,
  };
}

/** A member without fault. */
function member(part: Partial<EndpointMeasurement> = {}): EndpointMeasurement {
  return {
    endpoint: 'http://e1:2379',
    failure: null,
    status: status(),
    range: FAST,
    check: FAST,
    write: FAST,
    lease: { askedSeconds: 10, grantedSeconds: 10, leastGrantedSeconds: 1 },
    compacted: true,
    metrics: {
      fsyncs: 1_000,
      fsyncP99: { aboveMs: 2, atMostMs: 4 },
      quotaBytes: 2 ** 31,
      leaderChanges: 1,
      startedAtMs: 0,
    },
    clockOffset: { leastMs: -900, mostMs: 100 },
    ...part,
  };
}

function three(first: Partial<EndpointMeasurement> = {}): EndpointMeasurement[] {
  return [
    member(first),
    member({ endpoint: 'http://e2:2379', status: status({ memberId: 'm2' }) }),
    member({ endpoint: 'http://e3:2379', status: status({ memberId: 'm3' }) }),
  ];
}

function measured(part: Partial<Measurements> = {}): Measurements {
  return { endpoints: three(), resourceManagers: [], ownLagMs: 1, ...part };
}

function found(part: Partial<Measurements>): string[] {
  return findingsFrom(measured(part)).map(({ severity, code }) => `${severity} ${code}`);
}

const of = (first: Partial<EndpointMeasurement>): string[] => found({ endpoints: three(first) });

describe('the judgement of the doctor', () => {
  it('finds nothing in a healthy cluster, and says so', () => {
    expect(findingsFrom(measured())).to.deep.equal([]);
    expect(renderDiagnosis(measured(), [])).to.contain('Nothing was found that would hold a failover up.');
  });

  const CASES: readonly (readonly [string, Partial<EndpointMeasurement>, string])[] = [
    ['a member that does not answer', { status: null, failure: 'refused' }, 'critical endpoint-fails'],
    ['a member without a leader', { status: status({ leaderId: '0' }) }, 'critical no-etcd-leader'],
    [
      'a member out of space',
      { status: status({ errors: ['memberID:1 alarm:NOSPACE '] }) },
      'critical no-space',
    ],
    [
      'a corrupt member',
      { status: status({ errors: ['memberID:1 alarm:CORRUPT '] }) },
      'critical etcd-alarm',
    ],
    ['a learner', { status: status({ isLearner: true }) }, 'warning learner'],
    ['a member far behind', { status: status({ raftLag: 5_000 }) }, 'warning raft-lag'],
    ['the member of another cluster', { status: status({ clusterId: 'c2' }) }, 'critical several-clusters'],
    ['one member named twice', { status: status({ memberId: 'm2' }) }, 'warning same-member'],
    ['checks that take too long', { check: slow(130) }, 'warning slow-check'],
    ['checks beyond the serving deadline', { check: slow(450) }, 'critical slow-check'],
    ['ranges that take too long', { range: slow(200) }, 'warning slow-check'],
    ['writes that take too long', { write: slow(200) }, 'warning slow-write'],
    [
      'a lease longer than was asked for',
      { lease: { askedSeconds: 1, grantedSeconds: 2, leastGrantedSeconds: 1 } },
      'warning ttl-raised',
    ],
    [
      'the default election timeout',
      { lease: { askedSeconds: 10, grantedSeconds: 10, leastGrantedSeconds: 2 } },
      'note long-election-timeout',
    ],
    [
      'an election timeout for continents',
      { lease: { askedSeconds: 10, grantedSeconds: 10, leastGrantedSeconds: 8 } },
      'warning long-election-timeout',
    ],
    [
      'a database that is nearly full',
      { status: status({ dbBytes: 1_800_000_000 }) },
      'critical nearly-full',
    ],
    [
      'a fragmented database',
      { status: status({ dbBytes: 900_000_000, dbInUseBytes: 9_000_000 }) },
      'note fragmented',
    ],
    [
      'many revisions that nobody compacts',
      { compacted: false, status: status({ revision: 9_999n }) },
      'warning never-compacted',
    ],
    ['few revisions', { compacted: false }, 'note not-compacted-yet'],
    ['a clock that is ahead', { clockOffset: { leastMs: 2_000, mostMs: 3_000 } }, 'warning clock-offset'],
    ['a clock that is behind', { clockOffset: { leastMs: -3_000, mostMs: -2_000 } }, 'warning clock-offset'],
  ];
  for (const [what, first, expected] of CASES) {
    it(`finds ${what}: ${expected}`, () => expect(of(first)).to.deep.equal([expected]));
  }

  it('finds a slow disk from its fsyncs, and none where a member does not tell', () => {
    const { metrics } = member();
    const p99 = (fsyncP99: { aboveMs: number; atMostMs: number | null }): string[] =>
      of({ metrics: metrics === null ? null : { ...metrics, fsyncP99 } });
    expect(p99({ aboveMs: 8, atMostMs: 16 })).to.deep.equal(['warning slow-fsync']);
    expect(p99({ aboveMs: 8_192, atMostMs: null })).to.deep.equal(['warning slow-fsync']);
    expect(of({ metrics: null })).to.deep.equal([]);
  });

  it('bounds the election timeout by the shortest lease', () => {
    expect(electionTimeoutOf(1)).to.deep.equal([0, 667]);
    expect(electionTimeoutOf(2)).to.deep.equal([667, 1_333]);
  });

  it('notes that a single endpoint is a single point of failure', () => {
    expect(found({ endpoints: [member()] })).to.deep.equal(['note one-endpoint']);
  });

  it('finds resource managers that are silent or stall, but does not blame them for a busy doctor', () => {
    const resourceManager = (part: object): Partial<Measurements> => ({
      resourceManagers: [
        { address: 'rm:7070', failure: null, contradiction: null, livez: FAST, clockOffset: null, ...part },
      ],
    });
    expect(found(resourceManager({}))).to.deep.equal([]);
    expect(found(resourceManager({ failure: 'refused', livez: null }))).to.deep.equal([
      'warning resource-manager-fails',
    ]);
    expect(found(resourceManager({ contradiction: 'its revision fell' }))).to.deep.equal([
      'critical etcd-contradicted',
    ]);
    expect(found(resourceManager({ livez: slow(150) }))).to.deep.equal(['warning slow-loop']);
    expect(found(resourceManager({ livez: slow(600) }))).to.deep.equal(['critical slow-loop']);
    expect(found({ ...resourceManager({ livez: slow(600) }), ownLagMs: 550 })).to.deep.equal([
      'note busy-here',
    ]);
  });

  it('knows which versions of etcd have bugs that touch elections, and what mends them', () => {
    const mendedBy = (version: string): string[] => bugsOf(version).map((each) => each.mendedBy);
    expect(mendedBy('3.4.23')).to.deep.equal(['3.4.31', '3.4.38', '3.4.42']);
    expect(mendedBy('3.4.31')).to.deep.equal(['3.4.38', '3.4.42']);
    expect(mendedBy('3.5.12')).to.deep.equal(['3.5.13', '3.5.23', '3.5.28']);
    expect(mendedBy('3.5.28')).to.deep.equal([]);
    expect(mendedBy('3.6.0')).to.deep.equal(['3.6.5', '3.6.9']);
    expect(mendedBy('3.3.27')).to.deep.equal(['3.4.31', '3.4.38', '3.4.42']);
    for (const version of ['3.7.0', '4.0.0', 'of our own', '3.6.9'])
      expect(mendedBy(version)).to.deep.equal([]);
  });

  it('tells once what is the same of several endpoints', () => {
    const old = status({ version: '3.5.27' });
    const endpoints = three({ status: old }).with(
      1,
      member({ endpoint: 'http://e2:2379', status: { ...old, memberId: 'm2' } }),
    );
    const findings = findingsFrom(measured({ endpoints })).filter(({ code }) => code === 'known-bug');
    expect(findings).to.have.length(2);
    const text = renderDiagnosis(measured({ endpoints }), findings);
    expect(text).to.contain('warning   http://e1:2379, http://e2:2379: etcd 3.5.27 has a known bug');
    expect(text.match(/known bug/g)).to.have.length(1);
  });

  it('puts the worst first, and says for each finding what it costs and what to change', () => {
    const endpoints = three({ status: status({ version: '3.4.23', leaderId: '0' }), compacted: false });
    const findings = findingsFrom(measured({ endpoints }));
    expect(findings.map(({ severity }) => severity)).to.deep.equal([
      'critical',
      'warning',
      'warning',
      'warning',
      'note',
      'note',
    ]);
    const text = renderDiagnosis(measured({ endpoints }), findings);
    expect(text).to.contain('critical  http://e1:2379: It knows no leader of etcd.');
    for (const { cost, change } of findings) {
      expect(text.replaceAll(/\s+/g, ' ')).to.contain(`costs ${cost} change ${change}`);
    }
    for (const line of text.split('\n')) expect(line.length, line).to.be.at.most(100);
  });
});
