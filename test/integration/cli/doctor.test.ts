import { expect } from 'chai';
import { EtcdCluster } from '../../../src/cli/cluster/etcd-cluster.ts';
import type { Finding } from '../../../src/cli/doctor/finding.ts';
import type { Measurements } from '../../../src/cli/doctor/measurements.ts';
import { EtcdCoordinationStore } from '../../../src/ha/etcd/etcd-coordination-store.ts';
import { SystemClock } from '../../../src/runtime/system-clock.ts';
import { CommandRun } from '../../support/command-run.ts';
import { TestingHttpServer } from '../../support/testing-http-server.ts';

type Diagnosis = Measurements & { readonly findings: readonly Finding[] };

const NOBODY = 'http://127.0.0.1:1';

describe('the doctor of a real etcd', function () {
  this.timeout(60_000);
  let etcd: EtcdCluster;

  before(async () => {
    etcd = await EtcdCluster.start({ members: 3, heartbeatIntervalMs: 20, electionTimeoutMs: 200 });
  });
  after(() => etcd?.stop());

  const doctor = (...args: string[]): CommandRun =>
    new CommandRun(['doctor', ...args], { XDG_STATE_HOME: etcd.folder });

  async function revision(): Promise<bigint> {
    const store = new EtcdCoordinationStore({ endpoints: etcd.urls, clock: new SystemClock() });
    const range = await store.endpoints[0].range({ type: 'range', key: '', prefix: true }, 2_000);
    await store.close();
    expect(range.keyValues).to.deep.equal([]);
    return range.revision;
  }

  async function leases(): Promise<unknown> {
    const answer = await fetch(`${etcd.urls[0]}/v3/lease/leases`, { method: 'POST', body: '{}' });
    const { leases: standing = [] } = (await answer.json()) as { leases?: unknown[] };
    return standing;
  }

  it('measures every member and leaves neither key nor lease behind', async () => {
    const manager = await TestingHttpServer.start();
    const before = await revision();
    const { stdout, stderr, code } = await doctor(
      '--etcd',
      etcd.urls.join(','),
      '--resource-managers',
      manager.address,
      '--json',
    ).ended;
    await manager.stop();
    const { endpoints, resourceManagers, findings } = JSON.parse(stdout) as Diagnosis;
    const critical = findings.filter(({ severity }) => severity === 'critical');
    expect(code, stderr).to.equal(critical.length === 0 ? 0 : 1);
    expect(endpoints.map(({ endpoint }) => endpoint)).to.deep.equal(etcd.urls);
    for (const each of endpoints) {
      expect(each.failure).to.equal(null);
      expect(each.status?.version).to.match(/^3\.\d+\.\d+/);
      expect(each.status?.revision).to.equal(String(before));
      expect(each.range?.samples).to.be.at.least(5);
      expect(each.check?.samples).to.be.at.least(5);
      expect(each.write?.samples).to.be.at.least(4);
      expect(each.lease).to.deep.equal({ askedSeconds: 10, grantedSeconds: 10, leastGrantedSeconds: 1 });
      expect(each.metrics?.fsyncs).to.be.above(0);
      expect(each.compacted).to.equal(false);
      expect(Math.abs(each.clockOffset?.leastMs ?? NaN)).to.be.below(30_000);
    }
    expect(new Set(endpoints.map(({ status }) => status?.memberId)).size).to.equal(3);
    expect(resourceManagers[0]?.failure).to.equal(null);
    expect(resourceManagers[0]?.livez?.samples).to.equal(20);
    expect(await revision()).to.equal(before);
    expect(await leases()).to.deep.equal([]);
  });

  it('goes on past an endpoint that is dead, and ends with 1', async () => {
    const { stdout, stderr, code } = await doctor('--etcd', `${NOBODY},${etcd.urls[0]}`).ended;
    expect(code).to.equal(1);
    expect(stdout).to.match(/^http:\/\/127\.0\.0\.1:1 +- +silent/m);
    expect(stdout).to.match(/^critical {2}http:\/\/127\.0\.0\.1:1: It does not answer/m);
    expect(stdout).to.match(new RegExp(`^${etcd.urls[0]} +3\\.`, 'm'));
    expect(stderr).to.contain('may keep a failover from succeeding');
  });

  it('ends with 2 when no endpoint answers', async () => {
    const { stderr, code } = await doctor('--etcd', NOBODY).ended;
    expect(code).to.equal(2);
    expect(stderr).to.contain('No etcd endpoint answers');
  });

  it('finds a compacted etcd compacted, and tells the longer election timeout from the leases', async () => {
    const slow = await EtcdCluster.start();
    try {
      const base64 = (text: string): string => Buffer.from(text).toString('base64');
      const post = async (path: string, body: object): Promise<void> => {
        const answer = await fetch(`${slow.urls[0]}/v3/kv/${path}`, {
          method: 'POST',
          body: JSON.stringify(body),
        });
        expect(answer.ok).to.equal(true);
      };
      for (const value of ['1', '2']) await post('put', { key: base64('a'), value: base64(value) });
      await post('compaction', { revision: '3', physical: true });
      const { stdout } = await doctor('--etcd', slow.urls.join(','), '--json').ended;
      const { endpoints, findings } = JSON.parse(stdout) as Diagnosis;
      expect(endpoints[0]?.compacted).to.equal(true);
      expect(endpoints[0]?.lease?.leastGrantedSeconds).to.equal(2);
      expect(findings.map(({ code }) => code))
        .to.include('long-election-timeout')
        .and.include('one-endpoint');
    } finally {
      await slow.stop();
    }
  });
});
