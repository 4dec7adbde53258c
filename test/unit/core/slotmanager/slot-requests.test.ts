import { expect } from 'chai';
import type { JobId, JobMasterId } from '../../../../src/core/ids.ts';
import { DEFAULT_TIMING } from '../../../../src/core/timing.ts';
import { B, JOB, MASTER, N, slot, SlotManagerBench } from '../../../support/slot-manager-bench.ts';

describe('SlotManager: slot requests', () => {
  let bench: SlotManagerBench;

  beforeEach(() => {
    bench = new SlotManagerBench();
  });

  function codes(problems: ({ code: string } | null)[]): (string | null)[] {
    return problems.map((problem) => problem?.code ?? null);
  }

  /** One slot, given to r and claimed. */
  function claimed(): void {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    bench.done();
    bench.report('te', [slot(0, N, 'r', { grantNumber: 101 })], { lastSeen: bench.lastCall().number });
  }

  it('answers the same id with another profile or of another job with INVALID and changes nothing', () => {
    bench.request('r', N);
    expect(codes(bench.request('r', B))).to.deep.equal(['INVALID']);
    expect(codes(bench.request('r', N, { jobId: 'other' }))).to.deep.equal(['INVALID']);
    expect(codes(bench.request('r', N, { jobMasterId: 'other' }))).to.deep.equal(['INVALID']);
    expect(bench.counts()).to.equal('0/0/1');
  });

  it('answers each request of a batch for itself', () => {
    bench.request('r', N);
    expect(codes(bench.request(['r', 'q'], B))).to.deep.equal(['INVALID', null]);
  });

  it('answers OVERLOADED beyond the bound, with a time to wait, and takes known ones still', () => {
    bench = new SlotManagerBench({ maxPendingRequests: 2 });
    const [, , third] = bench.request(['r1', 'r2', 'r3']);
    expect(third).to.include({ code: 'OVERLOADED', retryAfterMs: 1_000 });
    expect(codes(bench.request('r1'))).to.deep.equal([null]);
    expect(bench.manager.pendingRequests()).to.equal(2);
  });

  it('fails a request at the end of its time with REQUEST_TIMEOUT, and again for whoever still waits', () => {
    bench.request('r', N, { remainingMs: 1_000 });
    bench.pass(999);
    expect(bench.of('failSlotRequest')).to.deep.equal([]);
    bench.pass(1);
    expect(bench.of('failSlotRequest')[0]?.problem.code).to.equal('REQUEST_TIMEOUT');
    expect(bench.counts()).to.equal('0/0/0');
    expect(bench.heartbeat(['r'])).to.deep.equal([]);
    expect(bench.of('failSlotRequest')[0]?.problem.code).to.equal('REQUEST_TIMEOUT');
  });

  it('frees the slot of a request that times out while its task executor is being asked', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r', N, { remainingMs: 1_000 });
    bench.pass(1_000);
    bench.done(bench.allOf('sendSlotCommands')[0]);
    expect(bench.of('notifySlotsAllocated')).to.deep.equal([]);
    expect(bench.lastCall().commands[0]).to.deep.include({ kind: 'freeSlot', allocationId: 'r' });
    bench.done();
    expect(bench.counts()).to.equal('0/1/0');
  });

  it('leaves the slot alone when the news at that very time is that another allocation has it', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r', N, { remainingMs: 1_000 });
    bench.nowMs = 1_000;
    bench.report('te', [slot(0, N, 'other', { state: 'granted' })], { lastSeen: bench.lastCall().number });
    expect(bench.of('failSlotRequest')).to.have.length(1);
    expect(bench.states()).to.deep.equal(['te/0 allocated other']);
    expect([...bench.manager.slots()].map(({ beingFreed }) => beingFreed)).to.deep.equal([false]);
  });

  it('does not bring back what timed out when its task executor becomes unreachable at that very time', () => {
    bench.register('te', [slot(0, N), slot(1, N)]);
    bench.request('r', N);
    bench.request('unsent', N, { remainingMs: 1_000 });
    bench.nowMs = 1_000;
    bench.unreachable('te');
    expect(bench.of('failSlotRequest').map(({ allocationId }) => allocationId)).to.deep.equal(['unsent']);
    expect(bench.manager.pendingRequests()).to.equal(1);
  });

  it('lets a repetition shorten the time of a request, also while its task executor is being asked', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r', N, { remainingMs: 5_000 });
    bench.request('r', N, { remainingMs: 1_000 });
    bench.pass(1_000);
    expect(bench.of('failSlotRequest')).to.have.length(1);
  });

  it('does not let a repetition lengthen the time of a request', () => {
    bench.request('r', N, { remainingMs: 1_000 });
    bench.pass(500);
    bench.request('r', N, { remainingMs: 1_000 });
    bench.pass(500);
    expect(bench.of('failSlotRequest')).to.have.length(1);
  });

  it('names the task executors that cannot be reached when only those could have served a request', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r', N, { remainingMs: 1_000, excluded: ['te'] });
    bench.pass(1_000);
    expect(bench.of('failSlotRequest')[0]?.problem.detail).to.contain('te');
  });

  it('serves first come first served those that a slot fits', () => {
    bench.request('b', B);
    bench.request('n1', N);
    bench.request('n2', N);
    bench.register('te', [slot(0, N)]);
    expect(bench.states()).to.deep.equal(['te/0 requested n1']);
  });

  it('serves first come first served also where slots of several sizes come at once', () => {
    const cores = { cpuCores: 8, memoryMB: 1_024, extended: {} };
    const gpu = { cpuCores: 2, memoryMB: 1_024, extended: { gpu: 1 } };
    bench.request('first', cores);
    bench.request('second', B);
    bench.register('te', [slot(0, gpu), slot(1, cores)]);
    expect(bench.states()).to.deep.equal(['te/0 requested second', 'te/1 requested first']);
  });

  it('keeps the place in the line of a request that was refused', () => {
    bench.register('te', [slot(0, N)]);
    bench.request(['r1', 'r2']);
    bench.refused();
    bench.pass(200);
    expect(bench.states()).to.deep.equal(['te/0 requested r1']);
  });

  it('serves those that wait again in the order of their first arrival', () => {
    bench.register('te', [slot(0, N), slot(1, N)]);
    bench.request(['r1', 'r2']);
    bench.done();
    bench.report('te', [slot(0, N), slot(1, N)], { lastSeen: bench.lastCall().number });
    bench.register('other', [slot(0, N)]);
    bench.heartbeat(['r2', 'r1']);
    expect(bench.states()).to.include('other/0 requested r1');
  });

  it('ends a waiting request by a cancel, and its late duplicate does not bring it back', () => {
    bench.request('r');
    bench.cancel('r');
    expect(bench.counts()).to.equal('0/0/0');
    expect(codes(bench.request('r'))).to.deep.equal(['CANCELLED']);
    expect(bench.counts()).to.equal('0/0/0');
  });

  it('remembers a cancel that overtakes its request', () => {
    bench.cancel('r');
    expect(codes(bench.request('r'))).to.deep.equal(['CANCELLED']);
  });

  it('frees by command what a cancelled request was being given, and what is granted to it later', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    bench.cancel('r');
    bench.done();
    expect(bench.lastCall().commands).to.deep.equal([{ kind: 'freeSlot', slotNumber: 0, allocationId: 'r' }]);
    bench.done();
    expect(bench.counts()).to.equal('0/1/0');
    bench.register('other', [slot(0, N, 'r', { state: 'granted' })]);
    expect(bench.lastCall('other').commands[0]).to.deep.include({ kind: 'freeSlot', allocationId: 'r' });
  });

  it('ignores a cancel by another job master', () => {
    bench.request('r');
    const [jobId, jobMasterId] = ['other' as JobId, 'stranger' as JobMasterId];
    bench.send({ type: 'slotRequestsCancelled', jobId, jobMasterId, allocationIds: ['r' as never] });
    expect(bench.counts()).to.equal('0/0/1');
  });

  it('leaves a claimed slot to its job master when the request is cancelled', () => {
    claimed();
    bench.cancel('r');
    expect(bench.of('sendSlotCommands')).to.deep.equal([]);
    expect(bench.states()).to.deep.equal(['te/0 allocated r']);
  });

  it('remembers only a bounded number of ended requests, the newest', () => {
    bench = new SlotManagerBench({ maxRememberedRequests: 10 });
    const ids = Array.from({ length: 20 }, (_, i) => `r${i}`);
    bench.cancel(...ids);
    expect(codes(bench.request(ids)).filter((code) => code === null)).to.have.length.within(10, 15);
    expect(codes(bench.request('r19'))).to.deep.equal(['CANCELLED']);
  });

  it('tries elsewhere when the job master cannot reach the task executor, and frees the slot by command', () => {
    bench.register('a', [slot(0, N)]);
    bench.request('r');
    bench.done();
    bench.register('b', [slot(0, N)]);
    bench.reject('r', 'a', 0, 'unreachable');
    const calls = bench.of('sendSlotCommands').map((call) => [call.resourceId, call.commands[0]?.kind]);
    expect(calls).to.have.deep.members([
      ['a', 'freeSlot'],
      ['b', 'requestSlot'],
    ]);
  });

  it('frees a slot that is not wanted, and its request has ended', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    bench.done();
    bench.reject('r', 'te', 0, 'not-wanted');
    bench.done();
    expect(bench.counts()).to.equal('0/1/0');
    expect(codes(bench.request('r'))).to.deep.equal(['CANCELLED']);
  });

  it('ignores a rejection of an earlier grant of the slot', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    bench.done();
    bench.send({
      type: 'slotRejected',
      jobId: JOB,
      jobMasterId: MASTER,
      allocationId: 'r' as never,
      resourceId: 'te' as never,
      slotNumber: 0,
      grantNumber: 100,
      reason: 'not-wanted',
    });
    expect(bench.effects).to.deep.equal([]);
    expect(bench.counts()).to.equal('1/0/0');
  });

  it("names in a heartbeat's answer what it does not know, and tells again of what is allocated", () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    bench.done();
    bench.request('waiting');
    expect(bench.heartbeat(['r', 'waiting', 'nobody'])).to.deep.equal(['nobody']);
    expect(bench.of('notifySlotsAllocated')[0]?.grants.map((grant) => grant.allocationId)).to.deep.equal([
      'r',
    ]);
  });

  it('tells a job master of the slot that a former leader granted when it asks for it again', () => {
    bench.register('te', [slot(0, N, 'r', { state: 'granted', grantNumber: 4 })]);
    expect(bench.of('notifySlotsAllocated')).to.deep.equal([]);
    expect(codes(bench.request('r'))).to.deep.equal([null]);
    expect(bench.of('notifySlotsAllocated')[0]?.grants[0]).to.include({ allocationId: 'r', grantNumber: 4 });
    expect(bench.counts()).to.equal('1/0/0');
  });

  it('serves a request again whose unclaimed slot was freed, once its job master says that it still waits', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    bench.done();
    bench.report('te', [slot(0, N)], { lastSeen: bench.lastCall().number });
    expect(bench.of('checkAllocations')).to.have.length(1);
    expect(bench.counts()).to.equal('0/1/0');
    bench.register('other', [slot(0, N)]);
    expect(bench.heartbeat(['r'])).to.deep.equal([]);
    expect(bench.states()).to.include('other/0 requested r');
  });

  it('does not bring back an allocation that was claimed and released for a late duplicate', () => {
    claimed();
    bench.report('te', [slot(0, N)], { lastSeen: bench.lastCall().number });
    expect(codes(bench.request('r'))).to.deep.equal([null]);
    expect(bench.counts()).to.equal('0/1/0');
    bench.pass(2 * DEFAULT_TIMING.slotRequestTimeoutMs);
    expect(codes(bench.request('r'))).to.deep.equal(['CONFLICT']);
  });

  it('ends what a job master that is gone waits for, frees what it was being given, leaves what it has', () => {
    claimed();
    bench.register('b', [slot(0, N)]);
    bench.request(['given', 'waits']);
    const call = bench.lastCall();
    bench.send({ type: 'jobMasterGone', jobId: JOB, jobMasterId: MASTER, reason: 'goodbye' });
    expect(bench.manager.pendingRequests()).to.equal(0);
    bench.done(call);
    expect(bench.lastCall('b').commands[0]).to.deep.include({ kind: 'freeSlot', allocationId: 'given' });
    bench.done();
    expect(bench.states()).to.deep.equal(['te/0 allocated r', 'b/0 free -']);
  });

  it('asks for a container only once while a request waits, and again after it has lost a slot', () => {
    bench.request('r');
    bench.request('r');
    bench.pass(60_000);
    expect(bench.allOf('allocateContainer')).to.have.length(1);
    bench.register('te', [slot(0, N)]);
    bench.done();
    bench.gone('te');
    bench.heartbeat(['r']);
    expect(bench.allOf('allocateContainer')).to.have.length(2);
  });

  it('asks for a container when a task executor goes on refusing', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    for (let i = 0; i < 10; i++) {
      bench.refused();
      bench.pass(DEFAULT_TIMING.heartbeatIntervalMs);
    }
    expect(bench.allOf('allocateContainer')).to.have.length(1);
  });
});
