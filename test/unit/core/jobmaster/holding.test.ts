import { expect } from 'chai';
import type { AllocationId } from '../../../../src/core/ids.ts';
import { grantFor, problemOf, TestingSlotPool } from '../../../support/testing-slot-pool.ts';

const A = ['a'] as AllocationId[];

describe('a slot pool that holds leases', () => {
  let t: TestingSlotPool;

  beforeEach(() => {
    t = new TestingSlotPool();
    t.hold('a');
  });

  it('renews at the task executor at the renewal interval, all leases there in one call', () => {
    t.request('b');
    t.grant(grantFor('b', { slot: 1 }));
    t.answerClaim();
    t.pass(9_999);
    expect(t.all('renewLeases')).to.deep.equal([]);
    t.pass(1);
    expect(t.last('renewLeases').leases.map((lease) => lease.allocationId)).to.deep.equal(['a', 'b']);
    t.answerRenewal(null);
    t.pass(10_000);
    expect(t.all('renewLeases')).to.have.length(2);
  });

  it('renews and keeps its slots without any leader', () => {
    t.tell({ type: 'registrationLost' });
    for (let round = 0; round < 20; round += 1) {
      t.pass(10_000);
      t.answerRenewal(null);
      expect(t.isInHand()).to.equal(true);
    }
    expect(t.all('leaseEnded')).to.deep.equal([]);
  });

  it('ends a lease 0.9 of its duration after the send of the last acknowledged renewal', () => {
    t.pass(10_000);
    t.nowMs += 1_500;
    t.answerRenewal(null);
    t.disconnect();
    t.pass(25_499);
    expect(t.isInHand()).to.equal(true);
    t.pass(1);
    expect(t.nowMs).to.equal(37_000);
    expect(t.last('leaseEnded')).to.deep.include({ allocationId: 'a', reason: 'expired' });
    expect(t.isInHand()).to.equal(false);
  });

  it('says that nothing is in hand past the deadline even before time was looked at', () => {
    t.nowMs = 27_000;
    expect(t.isInHand()).to.equal(false);
  });

  it('does not bring a slot back by an acknowledgement that comes after the deadline', () => {
    t.pass(10_000);
    t.nowMs = 27_500;
    t.answerRenewal(null);
    expect(t.last('leaseEnded').reason).to.equal('expired');
  });

  it('sends an unanswered renewal again, sooner than the interval', () => {
    t.pass(10_000);
    t.answerRenewal(null, 'NO_ANSWER');
    t.pass(249);
    expect(t.all('renewLeases')).to.have.length(1);
    t.pass(1);
    expect(t.all('renewLeases')).to.have.length(2);
  });

  it('renews at once on a new connection after a renewal that failed', () => {
    t.pass(10_000);
    t.disconnect();
    t.answerRenewal(null, 'NO_ANSWER');
    t.connect();
    expect(t.all('renewLeases')).to.have.length(2);
  });

  it('ends a lease that the task executor does not know, and that one only', () => {
    t.request('b');
    t.grant(grantFor('b', { slot: 1 }));
    t.answerClaim();
    t.pass(10_000);
    const { callId, peer } = t.last('renewLeases');
    const results = [
      { allocationId: 'a' as AllocationId, problem: problemOf('UNKNOWN_ALLOCATION') },
      { allocationId: 'b' as AllocationId, problem: null },
    ];
    t.tell({
      type: 'renewalAnswered',
      callId,
      peer,
      answer: { ok: true, reply: { durationMs: 30_000, results } },
    });
    expect(t.all('leaseEnded').map((effect) => [effect.allocationId, effect.reason])).to.deep.equal([
      ['a', 'refused'],
    ]);
    expect(t.isInHand('b')).to.equal(true);
  });

  it('keeps a lease whose renewal was put off', () => {
    t.pass(10_000);
    t.answerRenewal('OVERLOADED');
    expect(t.all('leaseEnded')).to.deep.equal([]);
    t.pass(250);
    expect(t.all('renewLeases')).to.have.length(2);
  });

  it('takes the duration of the last acknowledgement, also when it is shorter', () => {
    t.pass(10_000);
    const { callId, peer } = t.last('renewLeases');
    const results = [{ allocationId: 'a' as AllocationId, problem: null }];
    t.tell({
      type: 'renewalAnswered',
      callId,
      peer,
      answer: { ok: true, reply: { durationMs: 6_000, results } },
    });
    t.pass(2_000);
    expect(t.all('renewLeases')).to.have.length(2);
    t.disconnect();
    t.pass(3_400);
    expect(t.last('leaseEnded').reason).to.equal('expired');
  });

  it('asks the task executor at once on a hint of the leader, and believes only its answer', () => {
    t.tell({ type: 'allocationsDoubted', allocationIds: A });
    expect(t.all('renewLeases')).to.have.length(1);
    expect(t.isInHand()).to.equal(true);
    t.answerRenewal(null);
    expect(t.isInHand()).to.equal(true);
  });

  it('renews once more when a hint comes while a renewal is under way, however many hints come', () => {
    t.pass(10_000);
    for (let hint = 0; hint < 5; hint += 1) {
      t.nowMs += 1;
      t.tell({ type: 'allocationsDoubted', allocationIds: A });
    }
    expect(t.all('renewLeases')).to.have.length(1);
    t.answerRenewal(null);
    expect(t.all('renewLeases')).to.have.length(2);
    t.answerRenewal(null);
    expect(t.all('renewLeases')).to.have.length(2);
  });

  it('has nothing in hand after a gap until a renewal begun afterwards is acknowledged', () => {
    t.pass(10_000);
    const before = t.last('renewLeases');
    t.nowMs += 1_000;
    t.tell({ type: 'gap', lostMs: 0 });
    expect(t.isInHand()).to.equal(false);
    const results = [{ allocationId: 'a' as AllocationId, problem: null }];
    t.tell({
      type: 'renewalAnswered',
      callId: before.callId,
      peer: before.peer,
      answer: { ok: true, reply: { durationMs: 30_000, results } },
    });
    expect(t.isInHand()).to.equal(false);
    t.answerRenewal(null);
    expect(t.isInHand()).to.equal(true);
    expect(t.all('leaseEnded')).to.deep.equal([]);
    expect(t.all('slotInHand')).to.have.length(1);
  });

  it('counts what passed on the wall clock alone as passed', () => {
    t.pass(5_000);
    t.tell({ type: 'gap', lostMs: 21_999 });
    expect(t.all('leaseEnded')).to.deep.equal([]);
    t.disconnect();
    t.pass(1);
    expect(t.last('leaseEnded').reason).to.equal('expired');
  });

  it('ends a lease at once that a sleeping machine has slept through', () => {
    t.tell({ type: 'gap', lostMs: 3_600_000 });
    expect(t.last('leaseEnded').reason).to.equal('expired');
  });

  it('shows a slot whose claim was sent before a gap only after a renewal', () => {
    t.request('b');
    t.grant(grantFor('b', { slot: 1 }));
    t.tell({ type: 'gap', lostMs: 0 });
    t.nowMs += 1;
    t.tell({ type: 'gap', lostMs: 0 });
    t.answerClaim();
    expect(t.all('slotInHand')).to.have.length(1);
    t.answerRenewal(null);
    expect(t.all('slotInHand')).to.have.length(2);
  });

  it('releases until the task executor has answered', () => {
    t.tell({ type: 'allocationsReleased', allocationIds: A });
    expect(t.last('leaseEnded').reason).to.equal('released');
    expect(t.isInHand()).to.equal(false);
    t.answerRelease('NO_ANSWER');
    expect(t.all('releaseFinished')).to.deep.equal([]);
    t.pass(250);
    expect(t.all('releaseLeases')).to.have.length(2);
    t.answerRelease();
    expect(t.all('releaseFinished')).to.have.length(1);
    expect(t.pool.empty).to.equal(true);
    expect(t.last('disconnect').peer).to.equal('te@te:1');
  });

  it('gives a release up when the lease must have ended', () => {
    t.disconnect();
    t.tell({ type: 'allocationsReleased', allocationIds: A });
    t.pass(37_499);
    expect(t.all('releaseFinished')).to.deep.equal([]);
    t.pass(1);
    expect(t.all('releaseFinished')).to.have.length(1);
  });

  it('tells the task executor about a lease that has expired here', () => {
    t.disconnect();
    t.pass(27_000);
    t.connect();
    expect(t.last('releaseLeases').leases[0]?.grantNumber).to.equal(1);
  });

  it('ends everything at once when superseded, and releases nothing', () => {
    t.request('b');
    const effects = t.tell({ type: 'abandoned', problem: problemOf('SUPERSEDED') });
    expect(t.all('leaseEnded', effects).map((effect) => effect.reason)).to.deep.equal(['abandoned']);
    expect(t.all('requestFailed', effects).map((effect) => effect.allocationId)).to.deep.equal(['b']);
    expect(t.all('releaseLeases')).to.deep.equal([]);
    t.pass(60_000);
    expect(t.all('renewLeases')).to.deep.equal([]);
    expect(t.pool.empty).to.equal(true);
  });

  it('learns from a renewal that a newer job master has taken over', () => {
    t.pass(10_000);
    t.answerRenewal('SUPERSEDED');
    expect(t.all('jobSuperseded')).to.have.length(1);
  });

  it('withdraws and releases everything when it closes', () => {
    t.request('b');
    t.tell({ type: 'closing' });
    expect(t.last('leaseEnded').reason).to.equal('released');
    expect(t.last('requestFailed').problem.code).to.equal('CANCELLED');
    t.answerRelease();
    expect(t.pool.empty).to.equal(true);
  });

  it('is due when its next deadline is', () => {
    expect(t.pool.nextDueMs()).to.equal(10_000);
    t.disconnect();
    expect(t.pool.nextDueMs()).to.equal(27_000);
  });
});
