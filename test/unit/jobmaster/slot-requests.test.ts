import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import type { QuartermasterError } from '../../../src/core/problem.ts';
import type { Slot } from '../../../src/jobmaster/slot.ts';
import { TestingJobCluster, Watched } from '../../support/testing-job-cluster.ts';
import { tokenOf } from '../../support/testing-leader.ts';
import { problemOf, SMALL } from '../../support/testing-slot-pool.ts';

describe('a job master that asks for slots', () => {
  let c: TestingJobCluster;

  beforeEach(() => {
    c = new TestingJobCluster();
  });

  it('resolves when all are claimed and in hand', async () => {
    const { slots } = await c.holding(3);
    expect(slots.map((slot) => [slot.slotId.slotNumber, slot.grantNumber, slot.held])).to.deep.equal([
      [1, 1, true],
      [2, 2, true],
      [3, 3, true],
    ]);
    expect(c.te.received('claimSlot').map((claim) => claim.order)).to.deep.equal([
      c.one.order,
      c.one.order,
      c.one.order,
    ]);
    expect(c.te.connections).to.equal(1);
  });

  it('tells each slot as it comes', async () => {
    const job = await c.started();
    const told: Slot[] = [];
    const slots = new Watched(job.requestSlots(2, SMALL, { onSlot: (slot) => told.push(slot) }));
    await c.clock.advance(10);
    const [first] = c.one.received('requestSlots')[0]!.requests;
    c.one.grant(job.jobMasterId, [c.nextGrant(first!.allocationId)]);
    await c.clock.advance(10);
    expect(told.map((slot) => slot.held)).to.deep.equal([true]);
    expect(slots.settled).to.equal(false);
  });

  it('releases what it got when the rest does not come in time', async () => {
    const job = await c.started();
    const slots = new Watched(job.requestSlots(2, SMALL, { timeoutMs: 2_000 }));
    await c.clock.advance(10);
    const [first] = c.one.received('requestSlots')[0]!.requests;
    c.one.grant(job.jobMasterId, [c.nextGrant(first!.allocationId)]);
    await c.clock.advance(2_500);
    expect(slots.code).to.equal('REQUEST_TIMEOUT');
    expect(c.te.received('releaseLeases')).to.have.length(1);
    expect(c.one.received('cancelSlotRequests')).to.have.length(1);
    expect(job.slots).to.deep.equal([]);
  });

  it('withdraws when its signal aborts, and refuses what is granted later', async () => {
    const job = await c.started();
    const abort = new AbortController();
    const slots = new Watched(job.requestSlots(1, SMALL, { signal: abort.signal }));
    await c.clock.advance(10);
    const [asked] = c.one.received('requestSlots')[0]!.requests;
    abort.abort();
    await c.clock.advance(10);
    expect(slots.code).to.equal('CANCELLED');
    c.one.grant(job.jobMasterId, [c.nextGrant(asked!.allocationId)]);
    await c.clock.advance(100);
    expect(c.one.received('rejectSlot').map((rejected) => rejected.reason)).to.deep.equal(['not-wanted']);
    expect(c.te.received('releaseLeases')).to.have.length(1);
    expect(c.te.received('claimSlot')).to.deep.equal([]);
  });

  it('withdraws when its signal aborts in the very turn in which it was made', async () => {
    const job = await c.started();
    const abort = new AbortController();
    let second: Watched<Slot[]> | null = null;
    const onSlot = (): void => {
      second = new Watched(job.requestSlots(1, SMALL, { signal: abort.signal }));
      abort.abort(new Error('not now'));
    };
    c.one.grantOf = c.nextGrant;
    const first = new Watched(job.requestSlots(1, SMALL, { onSlot }));
    await c.clock.until(() => first.settled);
    await c.clock.advance(10);
    expect(second).to.have.nested.property('error.code', 'CANCELLED');
    expect(c.one.received('requestSlots').flatMap(({ requests }) => requests)).to.have.length(1);
  });

  it('leaves one listener at a signal that many requests share, and none when they are over', async () => {
    const job = await c.started();
    const abort = new AbortController();
    const listeners = (): number => getEventListeners(abort.signal, 'abort').length;
    const all = Array.from(
      { length: 30 },
      () => new Watched(job.requestSlots(1, SMALL, { signal: abort.signal })),
    );
    await c.clock.advance(10);
    expect(listeners()).to.equal(1);
    abort.abort();
    await c.clock.advance(10);
    expect(all.map((slots) => (slots.error as QuartermasterError).code)).to.deep.equal(
      all.map(() => 'CANCELLED'),
    );
    expect(listeners()).to.equal(0);
    const other = new AbortController();
    const last = new Watched(job.requestSlots(1, SMALL, { signal: other.signal, timeoutMs: 1_000 }));
    await c.clock.advance(2_000);
    expect(last.settled).to.equal(true);
    expect(getEventListeners(other.signal, 'abort')).to.deep.equal([]);
  });

  it('rejects a wrong profile and names its fields, without a word to anybody', async () => {
    const job = await c.started();
    const slots = new Watched(job.requestSlots(1, { cpuCores: -1, memoryMB: 0.5 }));
    await c.clock.advance(10);
    const { problem } = slots.error as QuartermasterError;
    expect(problem.code).to.equal('INVALID');
    expect(problem.fields?.map((field) => field.field)).to.deep.equal([
      'profile.cpuCores',
      'profile.memoryMB',
    ]);
    expect(c.one.received('requestSlots')).to.deep.equal([]);
  });

  it('fails with what the leader finds invalid', async () => {
    const job = await c.started();
    c.one.script.set('requestSlots', problemOf('INVALID'));
    const slots = new Watched(job.requestSlots(2, SMALL));
    await c.clock.advance(100);
    expect(slots.code).to.equal('INVALID');
  });

  it('asks under a new id when the leader has ended the old one', async () => {
    const job = await c.started();
    const slots = new Watched(job.requestSlots(1, SMALL));
    await c.clock.advance(10);
    const old = c.one.received('requestSlots')[0]!.requests[0]!.allocationId;
    c.one.grantOf = c.nextGrant;
    c.one.notify('failSlotRequests', {
      token: tokenOf(1),
      jobMasterId: job.jobMasterId,
      failures: [{ allocationId: old, problem: problemOf('CANCELLED') }],
    });
    await c.clock.advance(100);
    expect(slots.value?.[0]?.allocationId).to.be.a('string').and.not.equal(old);
  });

  it('asks for another slot when one is lost before the last one has come', async () => {
    const job = await c.started();
    const slots = new Watched(job.requestSlots(2, SMALL));
    await c.clock.advance(10);
    const [first] = c.one.received('requestSlots')[0]!.requests;
    c.one.grant(job.jobMasterId, [c.nextGrant(first!.allocationId)]);
    await c.clock.advance(10);
    c.te.script.set('renewLeases', 'silent');
    await c.clock.advance(30_000);
    c.te.script.clear();
    c.one.grantOf = c.nextGrant;
    c.one.script.clear();
    c.two.lead(2);
    c.two.grantOf = c.nextGrant;
    await c.clock.until(() => slots.settled);
    expect(slots.value?.map((slot) => slot.held)).to.deep.equal([true, true]);
    expect(slots.value?.map((slot) => slot.allocationId)).to.not.include(first!.allocationId);
  });

  it('fails the request when the callback for a slot throws', async () => {
    const job = await c.started();
    c.one.grantOf = c.nextGrant;
    const cause = new Error('no room');
    const onSlot = (): void => {
      throw cause;
    };
    const slots = new Watched(job.requestSlots(1, SMALL, { onSlot }));
    await c.clock.advance(100);
    expect((slots.error as Error).cause).to.equal(cause);
    expect(c.te.received('releaseLeases')).to.have.length(1);
  });
});
