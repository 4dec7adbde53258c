import { expect } from 'chai';
import type { AllocationId } from '../../../../src/core/ids.ts';
import { grantFor, problemOf, TestingSlotPool } from '../../../support/testing-slot-pool.ts';

const ids = (...names: string[]): AllocationId[] => names as AllocationId[];

describe('a slot pool towards its leader', () => {
  let t: TestingSlotPool;
  const requested = (): string[] => t.last('requestSlots').requests.map((request) => request.allocationId);

  beforeEach(() => {
    t = new TestingSlotPool();
  });

  it('keeps requests until a leader has acknowledged the registration', () => {
    t.request('a', 'b');
    expect(t.all('requestSlots')).to.deep.equal([]);
    t.register();
    expect(requested()).to.deep.equal(['a', 'b']);
  });

  it('sends the whole unfinished set to each new leader, those without a grant first', () => {
    t.register();
    t.request('a', 'b', 'c');
    t.grant(grantFor('a'));
    t.tell({ type: 'registrationLost' });
    t.register();
    expect(requested()).to.deep.equal(['b', 'c', 'a']);
  });

  it('does not ask a new leader for what is in hand', () => {
    t.hold('a');
    t.request('b');
    t.register();
    expect(requested()).to.deep.equal(['b']);
  });

  it('tells how much longer it waits', () => {
    t.register();
    t.request('a');
    t.pass(60_000);
    t.register();
    expect(t.last('requestSlots').requests[0]?.remainingMs).to.equal(240_000);
  });

  it('sends again what a heartbeat was answered as unknown, but not what has a grant', () => {
    t.register();
    t.request('a', 'b');
    t.grant(grantFor('a'));
    t.tell({ type: 'requestsUnknown', allocationIds: ids('a', 'b', 'never-ours') });
    expect(requested()).to.deep.equal(['b']);
  });

  for (const code of ['SUSPENDED', 'NOT_LEADER', 'NO_ANSWER', 'OVERLOADED', 'UNKNOWN_JOB_MASTER'] as const) {
    it(`sends requests again after ${code}, later each time, without a word to the user`, () => {
      t.register();
      t.request('a');
      const gapsMs: number[] = [];
      for (let round = 0; round < 3; round += 1) {
        const { callId } = t.last('requestSlots');
        const sentMs = t.nowMs;
        t.tell({ type: 'requestsAnswered', callId, answer: { ok: false, problem: problemOf(code) } });
        const before = t.all('requestSlots').length;
        while (t.all('requestSlots').length === before) t.pass(10);
        gapsMs.push(t.nowMs - sentMs);
      }
      expect(gapsMs).to.deep.equal([100, 200, 400]);
      expect(t.all('requestFailed')).to.deep.equal([]);
    });
  }

  it('waits as long as an overloaded leader asks for', () => {
    t.register();
    t.request('a');
    const { callId } = t.last('requestSlots');
    const problem = { ...problemOf('OVERLOADED'), retryAfterMs: 3_000 };
    t.tell({ type: 'requestsAnswered', callId, answer: { ok: false, problem } });
    t.pass(2_999);
    expect(t.all('requestSlots')).to.have.length(1);
    t.pass(1);
    expect(t.all('requestSlots')).to.have.length(2);
  });

  it('fails a request that the leader calls invalid, and that one only', () => {
    t.register();
    t.request('a', 'b');
    const problem = {
      ...problemOf('INVALID'),
      fields: [{ field: 'profile.cpuCores', detail: 'is too much' }],
    };
    const [a, b] = ids('a', 'b');
    t.tell({
      type: 'requestsAnswered',
      callId: t.last('requestSlots').callId,
      answer: {
        ok: true,
        reply: {
          results: [
            { allocationId: a!, problem },
            { allocationId: b!, problem: null },
          ],
        },
      },
    });
    expect(t.all('requestFailed')).to.deep.equal([{ type: 'requestFailed', allocationId: 'a', problem }]);
    expect(t.pool.unfinished()).to.deep.equal(['b']);
  });

  it('ignores the answer to a call that a former leader was sent', () => {
    t.register();
    t.request('a');
    const { callId } = t.last('requestSlots');
    t.register();
    t.tell({ type: 'requestsAnswered', callId, answer: { ok: false, problem: problemOf('INVALID') } });
    expect(t.all('requestFailed')).to.deep.equal([]);
  });

  it('fails what the leader gives up, unless it is a pause', () => {
    t.register();
    t.request('a', 'b');
    const [a, b] = ids('a', 'b');
    t.tell({
      type: 'requestsFailed',
      failures: [
        { allocationId: a!, problem: problemOf('CONFLICT') },
        { allocationId: b!, problem: problemOf('SUSPENDED') },
      ],
    });
    expect(t.all('requestFailed').map((effect) => effect.allocationId)).to.deep.equal(['a']);
    t.pass(100);
    expect(requested()).to.deep.equal(['b']);
  });

  it('goes on with a claim under way when the leader gives the request up', () => {
    t.register();
    t.request('a');
    t.grant(grantFor('a'));
    t.connect();
    const failures = [{ allocationId: 'a' as AllocationId, problem: problemOf('CONFLICT') }];
    t.tell({ type: 'requestsFailed', failures });
    t.answerClaim();
    expect(t.isInHand()).to.equal(true);
    expect(t.all('requestFailed')).to.deep.equal([]);
  });

  it('fails a request whose time is over and withdraws it', () => {
    t.register();
    t.request('a');
    t.pass(299_999);
    expect(t.all('requestFailed')).to.deep.equal([]);
    t.pass(1);
    expect(t.last('requestFailed').problem.code).to.equal('REQUEST_TIMEOUT');
    expect(t.last('cancelSlotRequests').allocationIds).to.deep.equal(['a']);
  });

  it('withdraws a cancelled request until the leader has answered', () => {
    t.register();
    t.request('a');
    t.tell({ type: 'allocationsReleased', allocationIds: ids('a') });
    const { callId } = t.last('cancelSlotRequests');
    t.tell({ type: 'cancellationAnswered', callId, answer: { ok: false, problem: problemOf('NO_ANSWER') } });
    expect(t.pool.quiet).to.equal(false);
    t.pass(100);
    const again = t.last('cancelSlotRequests');
    expect(again.allocationIds).to.deep.equal(['a']);
    t.tell({ type: 'cancellationAnswered', callId: again.callId, answer: { ok: true, reply: {} } });
    expect(t.pool.quiet).to.equal(true);
    expect(t.all('cancelSlotRequests')).to.have.length(2);
  });

  it('withdraws nothing that no leader was told of, nor from a new leader', () => {
    t.request('a');
    t.tell({ type: 'allocationsReleased', allocationIds: ids('a') });
    t.register();
    t.request('b');
    t.tell({ type: 'registrationLost' });
    t.tell({ type: 'allocationsReleased', allocationIds: ids('b') });
    t.register();
    expect(t.all('cancelSlotRequests')).to.deep.equal([]);
    expect(t.pool.quiet).to.equal(true);
  });

  it('refuses a grant for a request that was cancelled, to the leader and to the task executor', () => {
    t.register();
    t.request('a');
    t.tell({ type: 'allocationsReleased', allocationIds: ids('a') });
    t.grant(grantFor('a'));
    expect(t.last('rejectSlot')).to.deep.include({ allocationId: 'a', grantNumber: 1, reason: 'not-wanted' });
    t.connect();
    expect(t.last('releaseLeases').leases).to.have.length(1);
    expect(t.all('claimSlot')).to.deep.equal([]);
  });
});
