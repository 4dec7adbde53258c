import { expect } from 'chai';
import type { AllocationId } from '../../../src/core/ids.ts';
import { TestingJobCluster, Watched } from '../../support/testing-job-cluster.ts';
import { tokenOf } from '../../support/testing-leader.ts';
import { problemOf, SMALL } from '../../support/testing-slot-pool.ts';

describe('a job master through a failover', () => {
  let c: TestingJobCluster;

  beforeEach(() => {
    c = new TestingJobCluster();
  });

  it('sends its whole unfinished set to each new leader', async () => {
    const job = await c.started();
    const slots = new Watched(job.requestSlots(2, SMALL));
    await c.clock.advance(10);
    c.two.grantOf = c.nextGrant;
    c.two.lead(2);
    await c.clock.until(() => slots.settled);
    expect(c.asked(c.two)).to.deep.equal(c.asked(c.one));
    expect(slots.value).to.have.length(2);
  });

  it('never obeys a leader again whose token is lower, and tells it why', async () => {
    const { job, slots } = await c.holding(1);
    c.two.lead(2);
    await c.clock.advance(100);
    const pending = new Watched(job.requestSlots(1, SMALL));
    await c.clock.advance(100);
    const asked = c.two.received('requestSlots')[0]!.requests[0]!;
    c.one.grant(job.jobMasterId, [c.nextGrant(asked.allocationId)]);
    await c.clock.advance(100);
    expect(pending.settled).to.equal(false);
    expect(c.te.received('claimSlot')).to.have.length(1);
    expect(c.one.notifications).to.deep.equal([{ type: 'fenced', body: { token: tokenOf(2) } }]);
    expect(slots[0]!.held).to.equal(true);
  });

  it('never obeys the same epoch under another session', async () => {
    const job = await c.started();
    const twin = { ...tokenOf(1), leaderSessionId: 'impostor' as never };
    c.two.grant(job.jobMasterId, [c.nextGrant('whatever' as AllocationId)], twin);
    await c.clock.advance(100);
    expect(c.two.notifications.map((notification) => notification.type)).to.deep.equal(['fenced']);
    expect(c.two.received('rejectSlot')).to.deep.equal([]);
  });

  it('obeys a new leader only after that has acknowledged its registration', async () => {
    const job = await c.started();
    const slots = new Watched(job.requestSlots(1, SMALL));
    await c.clock.advance(10);
    const asked = c.one.received('requestSlots')[0]!.requests[0]!;
    c.two.script.set('registerJobMaster', 'silent');
    c.two.lead(2);
    c.two.grant(job.jobMasterId, [c.nextGrant(asked.allocationId)]);
    await c.clock.advance(1_000);
    expect(c.te.received('claimSlot')).to.deep.equal([]);
    c.two.script.clear();
    c.two.grantOf = c.nextGrant;
    await c.clock.until(() => slots.settled);
    expect(slots.value).to.have.length(1);
  });

  it('tells a new leader the order that it was answered by the one before', async () => {
    await c.started();
    expect(c.one.received('registerJobMaster')[0]?.order).to.equal(null);
    c.two.lead(2);
    await c.clock.until(() => c.two.received('registerJobMaster').length > 0);
    expect(c.two.received('registerJobMaster')[0]?.order).to.deep.equal({ generation: 1, revision: 5n });
  });

  it('keeps its slots without any resource manager', async () => {
    const { slots } = await c.holding(2);
    c.network.crash('rm1:1');
    c.network.crash('rm2:1');
    for (let minute = 0; minute < 10; minute += 1) {
      await c.clock.advance(60_000);
      expect(slots.map((slot) => slot.held && !slot.signal.aborted)).to.deep.equal([true, true]);
    }
  });

  it('is registered again when only its connection to the leader broke', async () => {
    const job = await c.started();
    const slots = new Watched(job.requestSlots(1, SMALL));
    await c.clock.advance(10);
    for (const channel of c.one.channels) channel.close();
    c.one.grantOf = c.nextGrant;
    await c.clock.until(() => slots.settled);
    expect(c.one.received('registerJobMaster')).to.have.length(2);
    expect(slots.value).to.have.length(1);
  });

  it('shows a suspended leader to its user as a pause', async () => {
    const job = await c.started();
    c.one.script.set('requestSlots', problemOf('SUSPENDED'));
    c.one.grantOf = c.nextGrant;
    const slots = new Watched(job.requestSlots(1, SMALL));
    await c.clock.advance(5_000);
    expect(slots.settled).to.equal(false);
    c.one.script.clear();
    await c.clock.until(() => slots.settled);
    expect(slots.value).to.have.length(1);
  });

  it('sends again what the leader does not know', async () => {
    const job = await c.started();
    new Watched(job.requestSlots(1, SMALL));
    await c.clock.advance(10);
    c.one.unknown = [c.one.received('requestSlots')[0]!.requests[0]!.allocationId];
    await c.clock.advance(5_100);
    const [heartbeat] = c.one.received('heartbeatJobMaster');
    expect(heartbeat?.unfinished).to.deep.equal(c.one.unknown);
    expect(c.one.received('requestSlots')).to.have.length(2);
  });

  it('names what it holds with each heartbeat', async () => {
    const { slots } = await c.holding(2);
    await c.clock.advance(5_100);
    const ids = slots.map((slot) => slot.allocationId);
    expect(c.one.received('heartbeatJobMaster')[0]?.held).to.deep.equal(ids);
  });
});
