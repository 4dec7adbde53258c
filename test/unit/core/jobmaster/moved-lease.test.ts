import { expect } from 'chai';
import type { AllocationId } from '../../../../src/core/ids.ts';
import { grantFor, problemOf, TestingSlotPool } from '../../../support/testing-slot-pool.ts';

const MOVED = grantFor('a', { address: 'elsewhere:1' });
const ELSEWHERE = { resourceId: 'te', address: 'elsewhere:1' };

describe('a lease whose task executor is at another address now', () => {
  let t: TestingSlotPool;

  beforeEach(() => {
    t = new TestingSlotPool();
    t.hold('a');
  });

  function arrive(): void {
    t.tell({ type: 'peerConnected', peer: 'te@elsewhere:1' });
  }

  it('is looked for there at once, without a moment out of hand', () => {
    t.disconnect();
    t.grant(MOVED);
    expect(t.last('connect').address).to.equal('elsewhere:1');
    expect(t.last('disconnect').peer).to.equal('te@te:1');
    arrive();
    expect(t.last('renewLeases').peer).to.equal('te@elsewhere:1');
    t.answerRenewal(null);
    t.pass(26_999);
    expect(t.isInHand()).to.equal(true);
    expect(t.all('slotInHand')).to.have.length(1);
    expect(t.all('leaseEnded')).to.deep.equal([]);
  });

  it('ends at its deadline all the same when it is not renewed there', () => {
    t.disconnect();
    t.grant(MOVED);
    t.pass(27_000);
    expect(t.last('leaseEnded').reason).to.equal('expired');
    arrive();
    expect(t.last('releaseLeases').peer).to.equal('te@elsewhere:1');
  });

  it('is moved once, however often that is told', () => {
    t.grant(MOVED);
    arrive();
    t.answerRenewal(null);
    const effects = t.grant(MOVED);
    expect(effects).to.deep.equal([]);
  });

  it('is not ended by the late answer of the process that was there before', () => {
    t.request('b');
    t.grant(grantFor('b', { slot: 1 }));
    t.answerClaim();
    t.pass(10_000);
    const { callId, peer } = t.last('renewLeases');
    t.grant(MOVED);
    const results = [{ allocationId: 'a' as AllocationId, problem: problemOf('UNKNOWN_ALLOCATION') }];
    t.tell({
      type: 'renewalAnswered',
      callId,
      peer,
      answer: { ok: true, reply: { durationMs: 30_000, results } },
    });
    expect(t.isInHand()).to.equal(true);
  });

  it('is asked for while there is no connection, at the address that is known, and not otherwise', () => {
    expect(t.pool.unreachable()).to.deep.equal([]);
    t.disconnect();
    expect(t.pool.unreachable()).to.deep.equal([{ resourceId: 'te', address: 'te:1' }]);
    t.grant(MOVED);
    expect(t.pool.unreachable()).to.deep.equal([ELSEWHERE]);
    arrive();
    expect(t.pool.unreachable()).to.deep.equal([]);
  });

  it('is released there when its user gave it back before the move was known', () => {
    t.disconnect();
    t.tell({ type: 'allocationsReleased', allocationIds: ['a' as AllocationId] });
    t.grant(MOVED);
    arrive();
    expect(t.last('releaseLeases').peer).to.equal('te@elsewhere:1');
  });
});
