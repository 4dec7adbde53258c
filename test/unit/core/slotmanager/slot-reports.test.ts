import { expect } from 'chai';
import type { InstanceId, ResourceId } from '../../../../src/core/ids.ts';
import { B, N, slot, SlotManagerBench } from '../../../support/slot-manager-bench.ts';

describe('SlotManager: slot reports', () => {
  let bench: SlotManagerBench;

  beforeEach(() => {
    bench = new SlotManagerBench();
  });

  it('drops a report older than the last', () => {
    bench.register('te', [slot(0, N)]);
    bench.report('te', [slot(0, N, 'x')], { reportNumber: 5 });
    bench.report('te', [slot(0, N)], { reportNumber: 4 });
    expect(bench.states()).to.deep.equal(['te/0 allocated x']);
  });

  it('drops a report that comes twice', () => {
    bench.register('te', [slot(0, N)]);
    bench.report('te', [slot(0, N, 'x')], { reportNumber: 2 });
    bench.report('te', [slot(0, N)], { reportNumber: 2 });
    expect(bench.states()).to.deep.equal(['te/0 allocated x']);
  });

  it('drops the report of an instance that another has replaced', () => {
    bench.register('te', [slot(0, N)], { instanceId: 'old' });
    bench.register('te', [slot(0, N)], { instanceId: 'new' });
    bench.report('te', [slot(0, N, 'x')], { instanceId: 'old' });
    expect(bench.states()).to.deep.equal(['te/0 free -']);
  });

  it('asks for a full report after a gap, until one has come', () => {
    bench.register('te', [slot(0, N)]);
    bench.report('te', [slot(0, N)], { reportNumber: 4 });
    expect(bench.of('requestSlotReport')).to.have.length(1);
    bench.pass(2_000);
    expect(bench.of('requestSlotReport')).to.have.length(1);
    bench.report('te', [slot(0, N)], { full: true, reportNumber: 5 });
    bench.pass(100_000);
    expect(bench.of('requestSlotReport')).to.deep.equal([]);
  });

  it('asks for a full report when the heartbeat names one that has not arrived', () => {
    const [resourceId, instanceId] = ['te' as ResourceId, 'te' as InstanceId];
    bench.register('te', [slot(0, N)]);
    bench.send({ type: 'reportNumberSeen', resourceId, instanceId, reportNumber: 1 });
    expect(bench.effects).to.deep.equal([]);
    bench.send({ type: 'reportNumberSeen', resourceId, instanceId, reportNumber: 2 });
    expect(bench.of('requestSlotReport')).to.have.length(1);
  });

  it('says nothing about a slot whose next command is still queued', () => {
    bench.register('te', [slot(0, N), slot(1, N)]);
    bench.request('r1');
    const first = bench.lastCall();
    bench.request('r2');
    bench.report('te', [slot(1, N, 'x')], { lastSeen: first.number });
    expect(bench.states()).to.deep.equal(['te/0 requested r1', 'te/1 requested r2']);
  });

  it('asks about what it could not believe, once the command about that slot is settled', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    bench.report('te', [slot(0, N, 'x')]);
    bench.refused(bench.lastCall(), { code: 'SLOT_TAKEN', detail: 'x has it' });
    expect(bench.of('requestSlotReport')).to.have.length(1);
  });

  it('asks about what it could not believe, also when its own command found nothing to free', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    bench.report('te', [slot(0, N, 'x')]);
    bench.noAnswer();
    bench.pass(100);
    bench.done();
    expect(bench.of('requestSlotReport')).to.have.length(1);
  });

  it('takes a quarantined slot as neither free nor allocated', () => {
    bench.register('te', [slot(0, N, null, { state: 'quarantined' })]);
    bench.request('r');
    expect(bench.manager.slotCounts()).to.include({ quarantined: 1, free: 0, allocated: 0 });
    expect(bench.manager.pendingRequests()).to.equal(1);
    bench.report('te', [slot(0, N)]);
    expect(bench.counts()).to.equal('1/0/0');
  });

  it('serves waiting requests with a slot that has grown', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r', B);
    bench.report('te', [slot(0, B)]);
    expect(bench.counts()).to.equal('1/0/0');
  });

  it('keeps the leases of a task executor that cannot be reached as unknown, given to nobody', () => {
    bench.register('te', [slot(0, N, 'x'), slot(1, N)]);
    bench.unreachable('te');
    bench.request('r');
    expect(bench.states()).to.deep.equal(['te/0 unknown x', 'te/1 unknown -']);
    expect(bench.manager.slotCounts()).to.include({ total: 2, unknown: 2, free: 0, allocated: 0 });
    expect(bench.manager.pendingRequests()).to.equal(1);
    expect(bench.of('checkAllocations'), 'running work is not disturbed').to.deep.equal([]);
    bench.register('te', [slot(0, N, 'x'), slot(1, N)]);
    expect(bench.states()).to.deep.equal(['te/0 allocated x', 'te/1 requested r']);
  });

  it('gives nothing to a task executor that is ahead until it registers again', () => {
    bench.register('te', [slot(0, N)]);
    bench.send({ type: 'taskExecutorAhead', resourceId: 'te' as ResourceId });
    bench.request('r');
    expect(bench.states()).to.deep.equal(['te/0 unknown -']);
    bench.register('te', [slot(0, N)]);
    expect(bench.states()).to.deep.equal(['te/0 requested r']);
  });

  it('does not treat a slot as free that was asked for before its task executor was cut off', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    bench.noAnswer();
    bench.unreachable('te');
    bench.register('te', [slot(0, N)]);
    expect(bench.counts()).to.equal('1/0/1');
    bench.pass(100);
    expect(bench.lastCall().commands.map((command) => command.kind)).to.deep.equal([
      'noOperation',
      'freeSlot',
    ]);
    bench.done();
    bench.pass(200);
    expect(bench.states()).to.deep.equal(['te/0 requested r']);
  });

  it('fails nothing that a lost task executor held, but tells its job masters to look', () => {
    bench.register('te', [slot(0, N, 'x')]);
    bench.gone('te');
    expect(bench.of('checkAllocations')[0]?.allocationIds).to.deep.equal(['x']);
    expect(bench.of('failSlotRequest')).to.deep.equal([]);
    expect(bench.manager.slotCounts().total).to.equal(0);
  });

  it('keeps of one allocation in two slots the claimed one and frees the other', () => {
    bench.register('a', [slot(0, N, 'x')]);
    bench.register('b', [slot(0, N, 'x', { state: 'granted' })]);
    expect(bench.of('sendSlotCommands')[0]).to.deep.include({
      resourceId: 'b',
      commands: [{ kind: 'freeSlot', slotNumber: 0, allocationId: 'x' }],
    });
    expect(bench.states()).to.deep.equal(['a/0 allocated x', 'b/0 allocated x']);
    bench.done();
    expect(bench.states()).to.deep.equal(['a/0 allocated x', 'b/0 free -']);
  });

  it('keeps of one allocation granted twice the slot that its job master was told of first', () => {
    bench.request('r');
    bench.register('a', [slot(0, N)]);
    bench.done();
    bench.register('b', [slot(0, N, 'r', { state: 'granted', grantNumber: 9 })]);
    expect(bench.of('sendSlotCommands')[0]?.resourceId).to.equal('b');
    expect(bench.of('notifySlotsAllocated')).to.deep.equal([]);
  });

  it('takes the slot that a former leader granted, and frees the one it was about to ask for', () => {
    bench.register('a', [slot(0, N)]);
    bench.request('r');
    const call = bench.lastCall();
    bench.register('b', [slot(0, N, 'r', { state: 'granted', grantNumber: 9 })]);
    expect(bench.of('notifySlotsAllocated')[0]?.grants[0]).to.deep.include({ grantNumber: 9 });
    bench.done(call);
    expect(bench.of('sendSlotCommands')[0]).to.deep.include({
      resourceId: 'a',
      commands: [{ kind: 'freeSlot', slotNumber: 0, allocationId: 'r' }],
    });
    expect(bench.of('notifySlotsAllocated')).to.deep.equal([]);
  });

  it('names in the grant the instance under which the lease was granted', () => {
    bench.request('r');
    bench.register('te', [slot(0, N, 'r', { state: 'granted' })], { instanceId: 'new' });
    expect(bench.of('notifySlotsAllocated')[0]?.grants[0]?.instanceId).to.equal('instance');
  });

  it('says since when every slot of a task executor is free', () => {
    bench.nowMs = 50;
    bench.register('te', [slot(0, N), slot(1, N)]);
    const idleSinceMs = (): number | null | undefined => [...bench.manager.taskExecutors()][0]?.idleSinceMs;
    expect(idleSinceMs()).to.equal(50);
    bench.nowMs = 60;
    bench.report('te', [slot(1, N, 'x')]);
    expect(idleSinceMs()).to.equal(null);
    bench.nowMs = 70;
    bench.report('te', [slot(1, N)]);
    bench.nowMs = 80;
    bench.report('te', [slot(1, N)]);
    expect(idleSinceMs()).to.equal(70);
  });
});
