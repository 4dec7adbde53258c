import { expect } from 'chai';
import type { QuartermasterError } from '../../../src/core/problem.ts';
import { settle } from '../../simulation/virtual-clock.ts';
import { TestingJobCluster, Watched } from '../../support/testing-job-cluster.ts';
import { problemOf, SMALL } from '../../support/testing-slot-pool.ts';

describe('a job master that ends', () => {
  let c: TestingJobCluster;

  beforeEach(() => {
    c = new TestingJobCluster();
  });

  it('is over at once when the leader says that it is superseded', async () => {
    const { job, slots } = await c.holding(2);
    const pending = new Watched(job.requestSlots(1, SMALL));
    await c.clock.advance(10);
    const ended = new Watched(job.ended);
    c.one.notify('problem', problemOf('SUPERSEDED'));
    await c.clock.advance(10);
    expect(ended.value?.code).to.equal('SUPERSEDED');
    expect(pending.code).to.equal('SUPERSEDED');
    expect(job.signal.aborted).to.equal(true);
    expect(slots.map((slot) => (slot.signal.reason as QuartermasterError).code)).to.deep.equal([
      'SUPERSEDED',
      'SUPERSEDED',
    ]);
    await c.clock.advance(60_000);
    expect(c.te.received('renewLeases')).to.deep.equal([]);
    expect(c.te.received('releaseLeases')).to.deep.equal([]);
    expect([c.one.channels.size, c.two.channels.size, c.te.connections]).to.deep.equal([0, 0, 0]);
  });

  it('is over when a task executor has seen a newer process of the job', async () => {
    const { job, slots } = await c.holding(1);
    c.te.script.set('renewLeases', problemOf('SUPERSEDED'));
    await c.clock.advance(11_000);
    expect(job.signal.aborted).to.equal(true);
    expect(slots[0]!.held).to.equal(false);
    const late = new Watched(job.requestSlots(1, SMALL));
    await settle();
    expect(late.code).to.equal('UNAVAILABLE');
  });

  it('does not believe a standby that says so', async () => {
    const { job } = await c.holding(1);
    c.two.notify('problem', problemOf('SUPERSEDED'));
    await c.clock.advance(10);
    expect(job.signal.aborted).to.equal(false);
  });

  it('releases, withdraws and says goodbye when it is closed', async () => {
    const { job, slots } = await c.holding(2);
    const pending = new Watched(job.requestSlots(1, SMALL));
    await c.clock.advance(10);
    const closed = new Watched(job.close());
    await c.clock.advance(10);
    expect(closed.settled).to.equal(true);
    expect(pending.code).to.equal('CANCELLED');
    expect(slots.every((slot) => slot.signal.aborted)).to.equal(true);
    expect(c.te.received('releaseLeases').flatMap((body) => body.leases)).to.have.length(2);
    const goodbyes = c.one.requests.map((request) => request.type).slice(-2);
    expect(goodbyes).to.deep.equal(['cancelSlotRequests', 'disconnectJobMaster']);
    expect(new Watched(job.ended).error).to.equal(undefined);
  });

  it('is closed in time when nobody answers', async () => {
    const { job, slots } = await c.holding(1);
    for (const address of ['rm1:1', 'rm2:1', 'te:1']) c.network.crash(address);
    const closed = new Watched(job.close({ timeoutMs: 2_000 }));
    await settle();
    expect(slots[0]!.held).to.equal(false);
    await c.clock.advance(2_000);
    expect(closed.settled).to.equal(true);
    expect(c.clock.nextDueMs(), 'no timer is left').to.equal(null);
  });

  it('leaves no timer behind', async () => {
    const { job } = await c.holding(2);
    const closed = new Watched(job.close());
    await c.clock.until(() => closed.settled);
    await c.clock.advance(6_000);
    expect([c.one.channels.size, c.two.channels.size, c.te.connections]).to.deep.equal([0, 0, 0]);
    expect(c.clock.nextDueMs()).to.equal(null);
  });

  it('writes down every promise', async () => {
    const { job } = await c.holding(1);
    await c.clock.advance(10_500);
    const closed = new Watched(job.close());
    await c.clock.until(() => closed.settled);
    expect(c.journal.events).to.deep.equal([
      'token-adopted',
      'slot-requested',
      'slot-granted',
      'claim-sent',
      'slot-claimed',
      'lease-renewed',
      'lease-ended',
      'lease-withdrawn',
    ]);
    const renewed = c.journal.lines.find((line) => line.event === 'lease-renewed')!.fields;
    expect(renewed).to.include({ jobId: 'job', resourceId: 'te', slotNumber: 1, grantNumber: 1 });
    expect(Number(renewed['deadlineMs']) - Number(renewed['sentMs'])).to.equal(27_000);
  });
});
