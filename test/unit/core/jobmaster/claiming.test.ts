import { expect } from 'chai';
import type { AllocationId } from '../../../../src/core/ids.ts';
import { grantFor, TestingSlotPool } from '../../../support/testing-slot-pool.ts';

describe('a slot pool that claims', () => {
  let t: TestingSlotPool;

  beforeEach(() => {
    t = new TestingSlotPool();
    t.register();
    t.request('a');
  });

  it('has a slot in hand only when the task executor has acknowledged the claim', () => {
    t.grant(grantFor('a'));
    expect(t.all('connect').map((effect) => effect.address)).to.deep.equal(['te:1']);
    t.connect();
    expect(t.last('claimSlot').lease).to.deep.equal({
      allocationId: 'a',
      instanceId: 'instance-of-te',
      slotNumber: 0,
      grantNumber: 1,
    });
    expect(t.isInHand()).to.equal(false);
    expect(t.all('slotInHand')).to.deep.equal([]);
    t.answerClaim();
    expect(t.isInHand()).to.equal(true);
    expect(t.last('slotInHand').grant.slotId).to.deep.equal({ resourceId: 'te', slotNumber: 0 });
  });

  it('counts the lease from the first time that the claim was sent', () => {
    t.grant(grantFor('a'));
    t.connect();
    t.pass(1_000);
    t.answerClaim('NO_ANSWER');
    t.pass(250);
    expect(t.all('claimSlot')).to.have.length(2);
    t.pass(500);
    t.answerClaim();
    t.nowMs = 26_999;
    expect(t.isInHand()).to.equal(true);
    t.nowMs = 27_000;
    expect(t.isInHand()).to.equal(false);
  });

  it('takes the first grant and refuses every other', () => {
    t.grant(grantFor('a'));
    t.grant(grantFor('a', { te: 'other', number: 7 }));
    t.connect('te');
    expect(t.all('claimSlot').map((effect) => effect.peer)).to.deep.equal(['te@te:1']);
    t.answerClaim();
    expect(t.last('rejectSlot')).to.deep.equal({
      type: 'rejectSlot',
      allocationId: 'a',
      slotId: { resourceId: 'other', slotNumber: 0 },
      grantNumber: 7,
      reason: 'not-wanted',
    });
    t.connect('other');
    expect(t.all('claimSlot')).to.have.length(1);
    expect(t.last('releaseLeases')).to.deep.include({ peer: 'other@other:1' });
  });

  it('claims the other grant when the first one comes to nothing', () => {
    t.grant(grantFor('a'));
    t.grant(grantFor('a', { te: 'other' }));
    t.connect('te');
    t.connect('other');
    expect(t.all('claimSlot')).to.have.length(1);
    t.answerClaim('UNKNOWN_ALLOCATION');
    t.connect('other');
    expect(t.last('claimSlot').peer).to.equal('other@other:1');
    expect(t.all('rejectSlot')).to.deep.equal([]);
  });

  it('refuses another grant for a slot in hand and keeps the slot', () => {
    t.grant(grantFor('a'));
    t.connect();
    t.answerClaim();
    t.grant(grantFor('a', { slot: 1, number: 2 }));
    expect(t.last('rejectSlot').reason).to.equal('not-wanted');
    expect(t.isInHand()).to.equal(true);
  });

  it('ignores a grant that is told again', () => {
    t.grant(grantFor('a'));
    t.connect();
    expect(t.grant(grantFor('a'))).to.deep.equal([]);
    t.answerClaim();
    expect(t.grant(grantFor('a'))).to.deep.equal([]);
  });

  it('asks elsewhere when nothing was sent to a task executor that it cannot reach', () => {
    t.grant(grantFor('a'));
    t.pass(4_999);
    expect(t.all('rejectSlot')).to.deep.equal([]);
    t.pass(1);
    expect(t.last('rejectSlot').reason).to.equal('unreachable');
    expect(t.last('requestSlots').requests[0]).to.deep.include({ allocationId: 'a', excluded: ['te'] });
    expect(t.all('disconnect')).to.have.length(1);
    t.grant(grantFor('a', { te: 'other' }));
    t.connect('other');
    expect(t.last('claimSlot').peer).to.equal('other@other:1');
  });

  it('leaves a task executor out for a while only', () => {
    t.grant(grantFor('a'));
    t.pass(5_000);
    t.pass(30_000);
    t.register();
    expect(t.last('requestSlots').requests[0]?.excluded).to.deep.equal([]);
  });

  it('tells the leader of all that waits once another claim shows that the task executor is back', () => {
    t.request('b');
    t.grant(grantFor('a'));
    t.pass(5_000);
    expect(t.last('requestSlots').requests[0]).to.deep.include({ allocationId: 'a', excluded: ['te'] });
    t.grant(grantFor('b'));
    t.connect();
    const before = t.all('requestSlots').length;
    t.answerClaim();
    expect(t.all('requestSlots')).to.have.length(before + 1);
    const [told, ...others] = t.last('requestSlots').requests;
    expect(told).to.deep.include({ allocationId: 'a', excluded: [] });
    expect(others).to.deep.equal([]);
    t.request('c');
    t.grant(grantFor('c', { slot: 1 }));
    const requests = t.all('requestSlots').length;
    t.answerClaim();
    expect(t.all('requestSlots'), 'once').to.have.length(requests);
  });

  it('withdraws an unanswered claim until that is answered before it claims another', () => {
    t.grant(grantFor('a'));
    t.connect();
    t.answerClaim('NO_ANSWER');
    t.disconnect();
    t.pass(5_000);
    expect(t.all('rejectSlot')).to.deep.equal([]);
    t.grant(grantFor('a', { te: 'other' }));
    t.connect('other');
    expect(t.all('claimSlot')).to.have.length(1);
    t.connect('te');
    expect(t.last('releaseLeases').leases).to.have.length(1);
    t.answerRelease('NO_ANSWER');
    t.pass(1_000);
    expect(t.all('claimSlot')).to.have.length(1);
    t.answerRelease();
    expect(t.last('rejectSlot')).to.deep.include({ reason: 'unreachable', grantNumber: 1 });
    t.connect('other');
    expect(t.last('claimSlot').peer).to.equal('other@other:1');
  });

  it('claims another once the possible end of a lost claim has passed', () => {
    t.grant(grantFor('a'));
    t.connect();
    t.answerClaim('NO_ANSWER');
    t.disconnect();
    t.pass(5_000);
    t.pass(49_999);
    expect(t.all('rejectSlot')).to.deep.equal([]);
    t.pass(1);
    expect(t.last('rejectSlot').reason).to.equal('unreachable');
    expect(t.last('requestSlots').requests.map((request) => request.allocationId)).to.deep.equal(['a']);
  });

  it('does not claim a grant that went stale while another one was withdrawn before it is told again', () => {
    t.grant(grantFor('a'));
    t.connect();
    t.answerClaim('NO_ANSWER');
    t.pass(5_000);
    t.grant(grantFor('a', { te: 'other' }));
    t.pass(6_000);
    t.answerRelease();
    expect(t.all('claimSlot').every((effect) => effect.peer === 'te@te:1')).to.equal(true);
    t.grant(grantFor('a', { te: 'other' }));
    t.connect('other');
    expect(t.last('claimSlot').peer).to.equal('other@other:1');
  });

  it('asks again at once when the task executor does not know the grant', () => {
    t.grant(grantFor('a'));
    t.connect();
    t.answerClaim('UNKNOWN_ALLOCATION');
    expect(t.last('requestSlots').requests[0]).to.deep.include({ allocationId: 'a', excluded: [] });
    expect(t.all('releaseLeases')).to.deep.equal([]);
    expect(t.grant(grantFor('a')), 'the same grant, told again').to.deep.equal([]);
    t.grant(grantFor('a', { number: 2 }));
    t.connect();
    expect(t.last('claimSlot').lease.grantNumber).to.equal(2);
  });

  it('withdraws a claim that failed without proof that it had no effect', () => {
    t.grant(grantFor('a'));
    t.connect();
    t.answerClaim('INTERNAL');
    expect(t.all('releaseLeases')).to.have.length(1);
    t.answerRelease();
    expect(t.last('requestSlots').requests[0]?.allocationId).to.equal('a');
  });

  it('does not take a release for done that failed inside the task executor', () => {
    t.grant(grantFor('a'));
    t.connect();
    t.answerClaim('INTERNAL');
    t.answerRelease('INTERNAL');
    t.pass(1_000);
    expect(t.all('releaseLeases')).to.have.length(2);
  });

  it('sends a claim again on a new connection at once', () => {
    t.grant(grantFor('a'));
    t.connect();
    t.disconnect();
    t.answerClaim('NO_ANSWER');
    t.connect();
    expect(t.all('claimSlot')).to.have.length(2);
  });

  it('gives a slot back whose claim was under way when the request was cancelled', () => {
    t.grant(grantFor('a'));
    t.connect();
    const { callId } = t.last('claimSlot');
    t.tell({ type: 'allocationsReleased', allocationIds: ['a' as AllocationId] });
    expect(t.last('rejectSlot').reason).to.equal('not-wanted');
    expect(t.all('releaseLeases')).to.have.length(1);
    const answer = { ok: true, reply: { durationMs: 30_000 } } as const;
    t.tell({ type: 'claimAnswered', callId, allocationId: 'a' as AllocationId, answer });
    expect(t.all('slotInHand')).to.deep.equal([]);
    expect(t.isInHand()).to.equal(false);
  });

  it('does not take a slot into its hand when the acknowledgement comes after the end of the lease', () => {
    t.grant(grantFor('a'));
    t.connect();
    t.nowMs = 27_000;
    t.answerClaim();
    expect(t.all('slotInHand')).to.deep.equal([]);
    expect(t.all('releaseLeases')).to.have.length(1);
  });

  it('follows a task executor to the address that the leader names', () => {
    t.grant(grantFor('a'));
    t.connect();
    t.answerClaim();
    t.grant(grantFor('a', { address: 'te:2' }));
    expect(t.last('connect').address).to.equal('te:2');
    expect(t.last('disconnect').peer).to.equal('te@te:1');
    t.tell({ type: 'peerConnected', peer: 'te@te:2' });
    expect(t.last('renewLeases').peer).to.equal('te@te:2');
    expect(t.isInHand()).to.equal(true);
  });

  it('ends the job when a task executor has seen a newer job master', () => {
    t.grant(grantFor('a'));
    t.connect();
    t.answerClaim('SUPERSEDED');
    expect(t.last('jobSuperseded').problem.code).to.equal('SUPERSEDED');
  });
});
