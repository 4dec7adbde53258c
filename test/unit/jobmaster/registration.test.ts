import { expect } from 'chai';
import type { QuartermasterError } from '../../../src/core/problem.ts';
import { JobMaster } from '../../../src/jobmaster/job-master.ts';
import { settle } from '../../simulation/virtual-clock.ts';
import { TestingJobCluster, Watched } from '../../support/testing-job-cluster.ts';
import { tokenOf } from '../../support/testing-leader.ts';
import { problemOf } from '../../support/testing-slot-pool.ts';

describe('a job master that registers', () => {
  let c: TestingJobCluster;

  beforeEach(() => {
    c = new TestingJobCluster();
  });

  it('waits for a leader among all resource managers', async () => {
    const job = new Watched(JobMaster.register(c.options, c.environment));
    await c.clock.advance(10_000);
    expect(job.settled).to.equal(false);
    c.two.lead(7);
    await c.clock.until(() => job.settled);
    expect(job.value?.jobId).to.equal('job');
    expect(c.two.received('registerJobMaster')[0]?.token).to.deep.equal(tokenOf(7));
    expect(c.journal.events).to.deep.equal(['token-adopted']);
  });

  it('rejects with NO_LEADER when none acknowledges it in time, and ends all connections', async () => {
    const job = new Watched(JobMaster.register({ ...c.options, timeoutMs: 3_000 }, c.environment));
    await c.clock.advance(3_000);
    expect(job.code).to.equal('NO_LEADER');
    await c.clock.advance(1);
    expect([c.one.channels.size, c.two.channels.size]).to.deep.equal([0, 0]);
  });

  it('says why it found no leader', async () => {
    const resourceManagers = ['nobody:1', 'rm1:1'];
    const job = new Watched(
      JobMaster.register({ ...c.options, resourceManagers, timeoutMs: 3_000 }, c.environment),
    );
    await c.clock.advance(3_000);
    expect((job.error as Error).message)
      .to.include('nobody:1: nobody listens at nobody:1')
      .and.include('rm1:1: connected, names no leader');
  });

  it('says that the resource managers belong to another cluster', async () => {
    const job = new Watched(
      JobMaster.register({ ...c.options, cluster: 'other', timeoutMs: 3_000 }, c.environment),
    );
    await c.clock.advance(3_000);
    expect((job.error as Error).message).to.include('rm1:1: WRONG_CLUSTER');
  });

  it('rejects at once with UNSUPPORTED_VERSION when every resource manager refuses its version', async () => {
    const problem = { code: 'UNSUPPORTED_VERSION', detail: 'The caller speaks protocol version 1.' };
    for (const address of ['late:1', 'late:2']) {
      c.network.listen(address, (connection) => ({
        onFrame: () => connection.send(JSON.stringify({ messages: [{ reply: 1, problem }] })),
        onClose: () => {},
      }));
    }
    const register = (resourceManagers: string[]): Watched<JobMaster> =>
      new Watched(JobMaster.register({ ...c.options, resourceManagers }, c.environment));
    const refused = register(['late:1', 'late:2']);
    const mixed = register(['late:1', 'rm1:1']);
    await c.clock.advance(1_000);
    expect(refused.code).to.equal('UNSUPPORTED_VERSION');
    expect((refused.error as Error).message).to.include('protocol version 1');
    expect(mixed.settled).to.equal(false);
  });

  it('rejects with the fields that are wrong', async () => {
    const job = new Watched(JobMaster.register({ ...c.options, jobId: '', cluster: 'C!' }, c.environment));
    await settle();
    const { problem } = job.error as QuartermasterError;
    expect(problem.fields?.map((field) => field.field)).to.deep.equal(['jobId', 'cluster']);
  });

  it('rejects with what the leader refuses it for', async () => {
    c.one.token = tokenOf(1);
    c.one.script.set('registerJobMaster', problemOf('FORBIDDEN'));
    const job = new Watched(JobMaster.register(c.options, c.environment));
    await c.clock.advance(1_000);
    expect(job.code).to.equal('FORBIDDEN');
  });

  it('registers again and again with a leader that does not answer, and once it does, is registered', async () => {
    c.one.token = tokenOf(1);
    c.one.script.set('registerJobMaster', 'silent');
    const job = new Watched(JobMaster.register(c.options, c.environment));
    await c.clock.advance(20_000);
    c.one.script.clear();
    await c.clock.until(() => job.settled);
    expect(c.one.received('registerJobMaster').length).to.be.greaterThan(2);
  });

  it('gives up when its signal aborts', async () => {
    const abort = new AbortController();
    const job = new Watched(JobMaster.register({ ...c.options, signal: abort.signal }, c.environment));
    await c.clock.advance(100);
    abort.abort();
    await c.clock.advance(100);
    expect(job.code).to.equal('CANCELLED');
  });
});
