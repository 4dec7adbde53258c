import { expect } from 'chai';
import type { ResourceId } from '../../../../src/core/ids.ts';
import { N, numberOf, slot, SlotManagerBench } from '../../../support/slot-manager-bench.ts';

describe('SlotManager: numbered commands', () => {
  let bench: SlotManagerBench;

  beforeEach(() => {
    bench = new SlotManagerBench();
    bench.register('te', [slot(0, N), slot(1, N), slot(2, N)]);
  });

  function kinds(): string[][] {
    return bench.of('sendSlotCommands').map((call) => call.commands.map((command) => command.kind));
  }

  it('sends one call at a time to a task executor and groups what comes up meanwhile into the next', () => {
    bench.request('r1');
    const first = bench.lastCall();
    bench.request('r2');
    bench.request('r3');
    expect(bench.allOf('sendSlotCommands')).to.have.length(1);
    bench.done(first);
    expect(kinds()).to.deep.equal([['requestSlot', 'requestSlot']]);
    expect(bench.lastCall().number.n).to.be.greaterThan(first.number.n);
  });

  it('groups the requests of one batch into one call, with order, profile and the time they may stay unclaimed', () => {
    bench.request(['r1', 'r2']);
    expect(kinds()).to.deep.equal([['requestSlot', 'requestSlot']]);
    expect(bench.lastCall().commands[0]).to.deep.equal({
      kind: 'requestSlot',
      slotNumber: 0,
      allocationId: 'r1',
      jobId: 'job',
      jobMasterId: 'master',
      order: { generation: 1, revision: 5n },
      profile: N,
      unclaimedMs: 10_000,
    });
  });

  it('does not wait for one task executor before it calls another', () => {
    bench.request(['r1', 'r2', 'r3']);
    bench.register('other', [slot(0, N)]);
    bench.request('r4');
    expect(bench.of('sendSlotCommands')[0]?.resourceId).to.equal('other');
  });

  it('gives back by the next call what a lost one may have taken, together with what waits', () => {
    bench.request('r1');
    const lost = bench.lastCall();
    bench.request('r2');
    bench.noAnswer(lost);
    bench.pass(100);
    expect(bench.of('sendSlotCommands')[0]?.commands.map((c) => c.kind)).to.deep.equal([
      'noOperation',
      'freeSlot',
      'requestSlot',
    ]);
    bench.done();
    expect(bench.states()).to.deep.equal(['te/0 free -', 'te/1 allocated r2', 'te/2 free -']);
    expect(bench.manager.pendingRequests()).to.equal(1);
  });

  it('keeps the slot for its request when a report shows that the lost command was executed', () => {
    bench.request('r1');
    const lost = bench.lastCall();
    bench.noAnswer(lost);
    bench.report('te', [slot(0, N, 'r1', { state: 'granted', grantNumber: 5 })], { lastSeen: lost.number });
    expect(bench.of('notifySlotsAllocated')[0]?.grants[0]).to.include({ grantNumber: 5 });
    bench.pass(100);
    expect(kinds()).to.deep.equal([['noOperation']]);
    bench.done();
    expect(bench.states()[0]).to.equal('te/0 allocated r1');
  });

  it('gives no new request to a task executor that owes an answer, as long as another one has a slot', () => {
    bench.request('r1');
    bench.noAnswer();
    bench.request('r2');
    expect(bench.of('allocateContainer'), 'it may answer soon').to.deep.equal([]);
    bench.register('other', [slot(0, N)]);
    expect(bench.states()).to.include('other/0 requested r2');
  });

  it('repeats the no-operation, later each time, and tries the request elsewhere after three silent calls', () => {
    bench.request('r1');
    bench.noAnswer();
    bench.pass(100);
    bench.noAnswer();
    bench.pass(199);
    expect(kinds()).to.deep.equal([]);
    bench.pass(1);
    expect(kinds()).to.deep.equal([['noOperation', 'freeSlot']]);
    expect(bench.manager.pendingRequests()).to.equal(0);
    bench.noAnswer();
    expect(bench.manager.pendingRequests()).to.equal(1);
    bench.register('other', [slot(0, N)]);
    expect(bench.states()).to.include('other/0 requested r1').and.to.include('te/0 requested r1');
    expect([...bench.manager.slots()][0]?.beingFreed).to.equal(true);
  });

  it('ignores an answer that comes after its call was given up', () => {
    bench.request('r1');
    const lost = bench.lastCall();
    bench.noAnswer(lost);
    bench.done(lost);
    expect(bench.effects).to.deep.equal([]);
    expect(bench.states()[0]).to.equal('te/0 requested r1');
  });

  it('does not take the late answer to one call for the answer to the next', () => {
    bench.request('r1');
    const lost = bench.lastCall();
    bench.noAnswer(lost);
    bench.pass(100);
    const next = bench.lastCall();
    bench.done(lost);
    expect(bench.states()[0]).to.equal('te/0 requested r1');
    bench.done(next);
    expect(bench.states()[0]).to.equal('te/0 free -');
  });

  it('lets the old call of an instance end that was given up and is back, and kills it before anything new', () => {
    bench.request('r1');
    const old = bench.lastCall();
    bench.gone('te');
    bench.register('te', [slot(0, N)]);
    expect(kinds()).to.deep.equal([]);
    bench.noAnswer(old);
    bench.pass(100);
    expect(kinds()).to.deep.equal([['noOperation']]);
    bench.done();
    bench.pass(200);
    expect(bench.states()).to.deep.equal(['te/0 requested r1']);
  });

  it('gives up a call that the shell never answers', () => {
    bench.request('r1');
    bench.pass(6_000);
    expect(bench.of('report').map((effect) => effect.event)).to.include('slotCommandsFailed');
    bench.pass(100);
    expect(kinds()).to.deep.equal([['noOperation', 'freeSlot']]);
  });

  it('after STALE asks for a report, whose lastSeen lifts the next number', () => {
    bench.request('r1');
    bench.problem('STALE');
    expect(bench.of('requestSlotReport')).to.have.length(1);
    bench.report('te', [slot(0, N), slot(1, N), slot(2, N)], { full: true, lastSeen: numberOf(40) });
    bench.pass(100);
    expect(bench.lastCall().number).to.deep.equal(numberOf(41));
    expect(bench.lastCall().commands[0]).to.deep.equal({ kind: 'noOperation' });
  });

  it('after STALE believes the report of what was executed', () => {
    bench.request('r1');
    const { number } = bench.lastCall();
    bench.problem('STALE');
    const granted = slot(0, N, 'r1', { state: 'granted', grantNumber: 3 });
    bench.report('te', [granted, slot(1, N), slot(2, N)], { full: true, lastSeen: number });
    expect(bench.states()[0]).to.equal('te/0 allocated r1');
  });

  it('reports FENCED as an error and tries the request elsewhere', () => {
    bench.request('r1');
    bench.problem('FENCED');
    expect(bench.of('report')[0]).to.include({ level: 'error', event: 'slotCommandsFailed' });
    bench.register('other', [slot(0, N)]);
    expect(bench.states()).to.include('other/0 requested r1');
  });

  it('gives nothing to an instance that does not know its registration until a call is answered', () => {
    bench.request('r1');
    bench.problem('UNKNOWN_TASK_EXECUTOR');
    expect(bench.manager.pendingRequests()).to.equal(1);
    bench.pass(100);
    expect(bench.lastCall().commands[0]).to.deep.equal({ kind: 'noOperation' });
    bench.problem('UNKNOWN_TASK_EXECUTOR');
    expect(bench.manager.pendingRequests()).to.equal(1);
    bench.register('te', [slot(0, N)], { instanceId: 'new' });
    bench.pass(200);
    expect(bench.of('sendSlotCommands')[0]?.instanceId).to.equal('new');
    expect(bench.of('sendSlotCommands')[0]?.commands[0]).to.include({
      kind: 'requestSlot',
      allocationId: 'r1',
    });
  });

  it('does not send to a new instance what was meant for the old one', () => {
    bench.request('r1');
    bench.noAnswer();
    bench.register('te', [slot(0, N)], { instanceId: 'new' });
    bench.pass(200);
    expect(kinds()).to.deep.equal([['requestSlot']]);
  });

  it('takes back a request that has not been sent yet without a command', () => {
    bench.request('r1');
    const first = bench.lastCall();
    bench.request('r2');
    bench.cancel('r2');
    bench.done(first);
    expect(kinds()).to.deep.equal([]);
    expect(bench.states()).to.deep.equal(['te/0 allocated r1', 'te/1 free -', 'te/2 free -']);
  });

  it('fails a request whose job master the task executor knows to be superseded, and leaves the slot to others', () => {
    bench.request('r1');
    bench.refused(bench.lastCall(), { code: 'SUPERSEDED', detail: 'a newer one' });
    expect(bench.of('failSlotRequest')[0]).to.deep.include({
      allocationId: 'r1',
      problem: { code: 'SUPERSEDED', detail: 'a newer one' },
    });
    bench.request(['r2', 'r3', 'r4']);
    expect(bench.counts()).to.equal('3/0/0');
  });

  it('asks for a report after a refusal and believes what it says of the slot', () => {
    bench.request('r1');
    const { number } = bench.lastCall();
    bench.refused(undefined, { code: 'SLOT_TAKEN', detail: 'taken' });
    expect(bench.of('requestSlotReport')).to.have.length(1);
    bench.report('te', [slot(0, N, 'x'), slot(1, N), slot(2, N)], { full: true, lastSeen: number });
    expect(bench.states()[0]).to.equal('te/0 allocated x');
  });

  it('keeps a slot out of use whose task executor will not free it, and asks again later each time', () => {
    bench.register('b', [slot(0, N, 'x')]);
    bench.report('te', [slot(0, N, 'x', { grantNumber: 2 })]);
    for (let i = 0; i < 3; i++) {
      const call = bench.lastCall('b');
      expect(call.commands.at(-1)).to.deep.equal({ kind: 'freeSlot', slotNumber: 0, allocationId: 'x' });
      bench.refused(call);
      bench.report('b', [slot(0, N, 'x')], { full: true, lastSeen: call.number });
      expect(bench.of('sendSlotCommands')).to.deep.equal([]);
      expect(bench.states()).to.include('b/0 allocated x');
      bench.pass(2_000);
    }
    expect(bench.states()).to.include('te/0 allocated x');
  });

  describe('drain and stop', () => {
    function drain(draining: boolean): void {
      bench.send({ type: 'drainRequested', resourceId: 'te' as ResourceId, draining });
    }

    function view(): boolean | undefined {
      return [...bench.manager.taskExecutors()][0]?.draining;
    }

    it('orders the drain by command and gives the task executor no new slots from then on', () => {
      drain(true);
      expect(bench.of('sendSlotCommands')[0]?.commands).to.deep.equal([{ kind: 'drain', draining: true }]);
      bench.request('r');
      expect(bench.counts()).to.equal('0/3/1');
      bench.done();
      expect(bench.counts()).to.equal('0/3/1');
    });

    it('believes a task executor that says of itself that it drains', () => {
      bench.report('te', [], { draining: true });
      expect(view()).to.equal(true);
      bench.request('r');
      expect(bench.counts()).to.equal('0/3/1');
      bench.report('te', [], { draining: false });
      expect(bench.counts()).to.equal('1/2/0');
    });

    it('does not take a report from before the order for an answer to it', () => {
      drain(true);
      const { number } = bench.lastCall();
      bench.done();
      bench.report('te', [], { draining: false, lastSeen: numberOf(number.n - 1) });
      expect(view()).to.equal(true);
    });

    it('gives slots again once the task executor has heard that the drain is over', () => {
      drain(true);
      bench.done();
      bench.request('r');
      drain(false);
      expect(bench.counts()).to.equal('0/3/1');
      bench.done();
      expect(bench.counts()).to.equal('1/2/0');
    });

    it('repeats an order that was not answered, and tells it to each new instance', () => {
      drain(true);
      bench.noAnswer();
      bench.pass(100);
      expect(kinds()).to.deep.equal([['noOperation', 'drain']]);
      bench.done();
      bench.register('te', [slot(0, N)], { instanceId: 'new' });
      expect(kinds()).to.deep.equal([['drain']]);
    });

    it('stops an idle worker by command and gives it nothing more', () => {
      bench.send({ type: 'stopRequested', resourceId: 'te' as ResourceId });
      expect(kinds()).to.deep.equal([['stop']]);
      bench.request('r');
      expect(bench.counts()).to.equal('0/3/1');
    });

    it('does not stop a worker that has been given work meanwhile', () => {
      bench.request('r');
      bench.send({ type: 'stopRequested', resourceId: 'te' as ResourceId });
      bench.done();
      expect(kinds()).to.deep.equal([]);
    });
  });
});
