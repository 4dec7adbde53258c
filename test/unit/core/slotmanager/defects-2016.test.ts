import { expect } from 'chai';
import type { ResourceProfile } from '../../../../src/core/resource-profile.ts';
import { B, N, numberOf, slot, SlotManagerBench } from '../../../support/slot-manager-bench.ts';

/** Each of them was found by running the code of 2016. */
describe('SlotManager: defects of 2016 that must not come back', () => {
  let bench: SlotManagerBench;

  beforeEach(() => {
    bench = new SlotManagerBench();
  });

  it('a duplicate was answered with null: it gets the answer of the original, and the grant again', () => {
    bench.register('te', [slot(0, N)]);
    expect(bench.request('r')).to.deep.equal([null]);
    bench.done();
    const [first] = bench.of('notifySlotsAllocated');
    expect(bench.request('r')).to.deep.equal([null]);
    expect(bench.of('acknowledgeSlotRequests')[0]?.results[0]?.allocationId).to.equal('r');
    expect(bench.of('notifySlotsAllocated')[0]?.grants).to.deep.equal(first?.grants);
    expect(bench.of('sendSlotCommands')).to.deep.equal([]);
  });

  it('a report before registration vanished silently: it is named, and asked for again after the registration', () => {
    bench.report('te', [slot(0, N, 'x')], { reportNumber: 9 });
    expect(bench.of('report')[0]).to.include({ level: 'warn', event: 'reportBeforeRegistration' });
    bench.send({
      type: 'taskExecutorRegistered',
      resourceId: 'te' as never,
      instanceId: 'te' as never,
      address: 'te:1',
      provider: null,
      report: { reportNumber: 8, full: true, lastSeen: null, draining: false, slots: [slot(0, N)] },
    });
    expect(bench.of('requestSlotReport')).to.have.length(1);
    bench.report('te', [slot(0, N, 'x')], { full: true, reportNumber: 10 });
    expect(bench.states()).to.deep.equal(['te/0 allocated x']);
  });

  it('a request whose TE failed was lost: it is tried elsewhere at once', () => {
    bench.register('a', [slot(0, N)]);
    bench.request('r');
    bench.register('b', [slot(0, N)]);
    bench.gone('a');
    expect(bench.states()).to.deep.equal(['b/0 requested r']);
  });

  it('a request whose TE cannot be reached was lost: it is tried elsewhere at once', () => {
    bench.register('a', [slot(0, N)]);
    bench.request('r');
    bench.register('b', [slot(0, N)]);
    bench.unreachable('a');
    expect(bench.states()).to.deep.equal(['a/0 unknown r', 'b/0 requested r']);
  });

  it('a request whose TE cannot be reached was lost: so it is not when its command had not left yet', () => {
    bench.register('a', [slot(0, N), slot(1, N)]);
    bench.request('r1');
    bench.request('r2');
    bench.register('b', [slot(0, N), slot(1, N)]);
    bench.unreachable('a');
    expect(bench.states().filter((state) => state.startsWith('b/'))).to.have.members([
      'b/0 requested r1',
      'b/1 requested r2',
    ]);
  });

  it('a waiting request that a report shows as already in use got a second slot: it is fulfilled by that slot', () => {
    bench.request('r');
    bench.register('te', [slot(0, N), slot(1, N, 'r', { state: 'granted', grantNumber: 7 })]);
    expect(bench.counts()).to.equal('1/1/0');
    expect(bench.of('sendSlotCommands')).to.deep.equal([]);
    expect(bench.of('notifySlotsAllocated')[0]?.grants[0]).to.deep.include({
      allocationId: 'r',
      slotId: { resourceId: 'te', slotNumber: 1 },
      grantNumber: 7,
      address: 'te:1',
    });
  });

  it('1,000 refusals asked the same slot 1,000 times: each makes the next wait longer', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r', N, { remainingMs: 600_000 });
    let refusals = 0;
    while (bench.nowMs < 300_000) {
      if (bench.effects.some((effect) => effect.type === 'sendSlotCommands')) {
        refusals++;
        bench.refused();
      }
      const dueMs = bench.manager.nextDueMs();
      bench.pass(dueMs === null ? 1_000 : Math.max(0, dueMs - bench.nowMs));
    }
    expect(refusals).to.be.within(10, 25);
  });

  it('1,000 refusals asked no alternative: another slot is tried at once', () => {
    bench.register('a', [slot(0, N)]);
    bench.request('r');
    bench.register('b', [slot(0, N)]);
    bench.refused();
    expect(bench.of('sendSlotCommands').map((call) => call.resourceId)).to.deep.equal(['b']);
    expect(bench.states()).to.deep.equal(['a/0 free -', 'b/0 requested r']);
  });

  it('a slot that refuses is not asked once for each of 1,000 requests', () => {
    bench.register('te', [slot(0, N)]);
    bench.request(Array.from({ length: 1_000 }, (_, i) => `r${i}`));
    for (let i = 0; i < 1_000 && bench.of('sendSlotCommands').length > 0; i++) bench.refused();
    expect(bench.allOf('sendSlotCommands')).to.have.length(1);
    expect(bench.manager.pendingRequests()).to.equal(1_000);
  });

  it('a stale "empty" report lost a request under way: it says nothing about a command that it has not seen', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    const call = bench.lastCall();
    bench.report('te', [slot(0, N)], { lastSeen: null });
    expect(bench.states()).to.deep.equal(['te/0 requested r']);
    bench.done(call);
    bench.report('te', [slot(0, N)], { lastSeen: numberOf(call.number.n - 1) });
    expect(bench.states()).to.deep.equal(['te/0 allocated r']);
  });

  it('a slot missing from a later report was kept for ever: a full report without it ends it', () => {
    bench.register('te', [slot(0, N, 'x'), slot(1, N)]);
    bench.report('te', [slot(1, N)], { full: true });
    expect(bench.states()).to.deep.equal(['te/1 free -']);
    expect(bench.of('checkAllocations')[0]?.allocationIds).to.deep.equal(['x']);
  });

  it('a slot missing from a later report kept its request: it is tried again', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    const call = bench.lastCall();
    bench.report('te', [], { full: true, lastSeen: call.number });
    expect(bench.counts()).to.equal('0/0/1');
    bench.register('b', [slot(0, N)]);
    expect(bench.states()).to.deep.equal(['b/0 requested r']);
  });

  it('a 64-cpu request got a 1-cpu slot: it waits for one that fits', () => {
    const big: ResourceProfile = { cpuCores: 64, memoryMB: 512, extended: {} };
    bench.register('te', [slot(0, N)]);
    bench.request('r', big);
    expect(bench.counts()).to.equal('0/1/1');
    bench.register('big', [slot(0, big)]);
    expect(bench.counts()).to.equal('1/1/0');
  });

  it('the answer of the TE was ignored: a slot is allocated, and its job master told, only after it', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    expect(bench.states()).to.deep.equal(['te/0 requested r']);
    expect(bench.of('notifySlotsAllocated')).to.deep.equal([]);
    bench.done();
    expect(bench.states()).to.deep.equal(['te/0 allocated r']);
    expect(bench.of('notifySlotsAllocated')[0]?.grants[0]).to.include({
      allocationId: 'r',
      grantNumber: 101,
    });
  });

  it('the timeout of the TE was ignored: after it a numbered no-operation must be answered first', () => {
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    const lost = bench.lastCall();
    bench.noAnswer(lost);
    bench.pass(100);
    const [next] = bench.of('sendSlotCommands');
    expect(next?.commands[0]).to.deep.equal({ kind: 'noOperation' });
    expect(next?.number.n).to.be.greaterThan(lost.number.n);
    expect(bench.states()).to.deep.equal(['te/0 requested r']);
    bench.done(next);
    expect(bench.counts()).to.equal('0/1/1');
  });

  it('after a revocation the SlotManager kept its books and its leader id: each term has its own', () => {
    bench.register('te', [slot(0, N, 'x')]);
    bench.request('r', B);
    const token = { generation: 1, epoch: 8n, leaderSessionId: 'other' as never };
    const next = new SlotManagerBench({ token });
    expect(next.manager.slotCounts().total).to.equal(0);
    expect(next.manager.pendingRequests()).to.equal(0);
    next.register('te', [slot(0, N)]);
    next.request('r');
    expect(next.lastCall().number).to.deep.equal({ generation: 1, epoch: 8n, n: 1 });
  });

  it('an allocation id moved to another slot left its old slot allocated: the old one is freed', () => {
    bench.register('a', [slot(0, N, 'x')]);
    bench.register('b', [slot(0, N)]);
    bench.report('b', [slot(0, N, 'x', { grantNumber: 2 })]);
    expect(bench.of('sendSlotCommands')[0]).to.deep.include({
      resourceId: 'a',
      commands: [{ kind: 'freeSlot', slotNumber: 0, allocationId: 'x' }],
    });
    bench.done();
    expect(bench.states()).to.deep.equal(['a/0 free -', 'b/0 allocated x']);
  });

  it('an allocation id that moved within one report leaves its old slot free, and nobody is told to look', () => {
    bench.register('te', [slot(0, N, 'x'), slot(1, N)]);
    bench.report('te', [slot(1, N, 'x', { grantNumber: 2 }), slot(0, N)]);
    expect(bench.states()).to.deep.equal(['te/0 free -', 'te/1 allocated x']);
    expect(bench.of('checkAllocations')).to.deep.equal([]);
  });
});
