import { expect } from 'chai';
import type { QuartermasterError } from '../../../src/core/problem.ts';
import { SMALL } from '../../support/testing-slot-pool.ts';
import { TestingJobCluster, Watched } from '../../support/testing-job-cluster.ts';
import { tokenOf } from '../../support/testing-leader.ts';
import { TestingTaskExecutorServer } from '../../support/testing-task-executor-server.ts';

describe('a job master that holds slots', () => {
  let c: TestingJobCluster;

  beforeEach(() => {
    c = new TestingJobCluster();
  });

  it('renews them all in one call at the renewal interval', async () => {
    await c.holding(3);
    await c.clock.advance(31_000);
    expect(c.te.received('renewLeases').map((body) => body.leases.length)).to.deep.equal([3, 3, 3]);
  });

  it('uses the connection again when the next slot is there soon, and hangs up when none is', async () => {
    const { job, slots } = await c.holding(1);
    void slots[0]!.release();
    await c.clock.advance(20_000);
    expect(c.te.connections).to.equal(1);
    c.one.grantOf = c.nextGrant;
    const again = new Watched(job.requestSlots(1, SMALL));
    await c.clock.until(() => again.settled);
    expect(again.error).to.equal(undefined);
    await c.clock.advance(60_000);
    expect(again.value![0]!.held).to.equal(true);
    expect(c.te.accepted).to.equal(1);
    void again.value![0]!.release();
    await c.clock.advance(31_000);
    expect(c.te.connections).to.equal(0);
  });

  it('aborts a slot 0.9 of the lease after the send of the last acknowledged renewal, not later', async () => {
    const { slots } = await c.holding(1);
    const claimedMs = c.clock.monotonicMs();
    let endedMs = 0;
    slots[0]!.signal.addEventListener('abort', () => {
      endedMs = c.clock.monotonicMs();
    });
    c.te.script.set('renewLeases', 'silent');
    await c.clock.advance(40_000);
    expect(endedMs - claimedMs).to.be.within(26_990, 27_001);
    expect((slots[0]!.signal.reason as QuartermasterError).code).to.equal('NO_ANSWER');
  });

  it('dials anew when a connection has gone silent, and keeps its slots', async () => {
    const { slots } = await c.holding(1);
    const behaviour = c.network.behaviour;
    c.network.behaviour = (from, to) => (to === 'te:1' ? { kind: 'stall' } : behaviour(from, to));
    await c.clock.advance(11_000);
    c.network.behaviour = behaviour;
    await c.clock.advance(60_000);
    expect(slots[0]!.held).to.equal(true);
  });

  it('keeps its slots when the task executor starts again at once', async () => {
    const { slots } = await c.holding(1);
    c.network.crash('te:1');
    await c.clock.advance(12_000);
    c.te = new TestingTaskExecutorServer(c.network, c.clock, 'te:1', 'te');
    await c.clock.advance(60_000);
    expect(slots[0]!.held).to.equal(true);
    expect(c.te.received('renewLeases')[0]?.leases[0]?.instanceId).to.equal('instance-of-te');
  });

  it('does not renew at another task executor that has taken over the address', async () => {
    const { slots } = await c.holding(1);
    c.network.crash('te:1');
    const other = new TestingTaskExecutorServer(c.network, c.clock, 'te:1', 'stranger');
    await c.clock.advance(40_000);
    expect(other.requests).to.deep.equal([]);
    expect(slots[0]!.signal.aborted).to.equal(true);
  });

  it('asks the task executor at once on a hint of the leader', async () => {
    const { job, slots } = await c.holding(1);
    const allocationIds = slots.map((slot) => slot.allocationId);
    c.one.notify('checkAllocations', { token: tokenOf(1), jobMasterId: job.jobMasterId, allocationIds });
    await c.clock.advance(10);
    expect(c.te.received('renewLeases')).to.have.length(1);
    expect(slots[0]!.held).to.equal(true);
  });

  it('has none in hand after it stood still until a renewal is acknowledged, and aborts none', async () => {
    const { slots } = await c.holding(1);
    c.clock.freeze(5_000);
    expect(slots[0]!.held).to.equal(false);
    await c.clock.advance(10);
    expect(slots[0]!.held).to.equal(true);
    expect(slots[0]!.signal.aborted).to.equal(false);
    expect(c.te.received('renewLeases')).to.have.length(1);
  });

  it('aborts them when it stood still past their end', async () => {
    const { slots } = await c.holding(1);
    c.clock.freeze(30_000);
    expect(slots[0]!.held).to.equal(false);
    await c.clock.advance(10);
    expect(slots[0]!.signal.aborted).to.equal(true);
  });

  it('aborts them when the machine slept past their end', async () => {
    const { slots } = await c.holding(1);
    c.clock.jumpWall(30_000);
    expect(slots[0]!.held).to.equal(false);
    await c.clock.advance(10);
    expect(slots[0]!.signal.aborted).to.equal(true);
  });

  it('releases one at its task executor and keeps the others', async () => {
    const { job, slots } = await c.holding(2);
    const released = new Watched(slots[0]!.release());
    await c.clock.advance(10);
    expect(released.settled).to.equal(true);
    expect(slots.map((slot) => slot.signal.aborted)).to.deep.equal([true, false]);
    expect(c.te.received('releaseLeases')[0]?.leases.map((lease) => lease.grantNumber)).to.deep.equal([1]);
    expect(job.slots).to.deep.equal([slots[1]]);
  });
});
