import { expect } from 'chai';
import type { AllocationId, ResourceId } from '../../../../src/core/ids.ts';
import { B, N, SlotManagerBench, slot } from '../../../support/slot-manager-bench.ts';

/** Counts are allocated/free/pending; N = 1 cpu, 512 MB; B = 2 cpu, 1024 MB. */
describe('SlotManager: the protocol of 2016', () => {
  let bench: SlotManagerBench;

  beforeEach(() => {
    bench = new SlotManagerBench();
  });

  function containers(): string[] {
    return bench.allOf('allocateContainer').map((e) => (e.profile.cpuCores === 1 ? 'N' : 'B'));
  }

  function free(count: number): void {
    bench.register(
      'te',
      Array.from({ length: count }, (_, i) => slot(i, N)),
    );
  }

  it('row 1: no slots | request N | 0/0/1, one container asked for, of profile N', () => {
    bench.request('r');
    expect(bench.counts()).to.equal('0/0/1');
    expect(containers()).to.deep.equal(['N']);
  });

  it('row 2: one free N | request N | 1/0/0, no container', () => {
    free(1);
    bench.request('r');
    expect(bench.counts()).to.equal('1/0/0');
    bench.done();
    expect(bench.counts()).to.equal('1/0/0');
    bench.pass(60_000);
    expect(containers()).to.deep.equal([]);
  });

  it('row 3: two free N | request B | 0/2/1, one container of profile B', () => {
    free(2);
    bench.request('r', B);
    bench.pass(60_000);
    expect(bench.counts()).to.equal('0/2/1');
    expect(containers()).to.deep.equal(['B']);
  });

  it('row 4: one free N; r1 = N, r2 = B | r1, r2, r2, r1 | 1/0/1, one container; a duplicate gets the same answer as the original', () => {
    free(1);
    const answers = [
      bench.request('r1', N),
      bench.request('r2', B),
      bench.request('r2', B),
      bench.request('r1', N),
    ];
    expect(bench.counts()).to.equal('1/0/1');
    expect(containers()).to.deep.equal(['B']);
    expect(answers).to.deep.equal([[null], [null], [null], [null]]);
    expect(bench.of('acknowledgeSlotRequests')[0]?.results[0]?.allocationId).to.equal('r1');
  });

  it('row 5: five free N | 3 N, 2 B, 1 N | 4/1/2, two containers of B; a waiting B does not hold back a later N', () => {
    free(5);
    bench.request(['n1', 'n2', 'n3'], N);
    bench.request(['b1', 'b2'], B);
    bench.request('n4', N);
    expect(bench.counts()).to.equal('4/1/2');
    expect(containers()).to.deep.equal(['B', 'B']);
  });

  it('row 6: N waiting | TE registers, reports an empty N | 1/0/0', () => {
    bench.request('r');
    free(1);
    expect(bench.counts()).to.equal('1/0/0');
  });

  it('row 7: nothing waiting | empty slot reported | 0/1/0', () => {
    free(1);
    expect(bench.counts()).to.equal('0/1/0');
  });

  it('row 8: B waiting | empty N reported | 0/1/1', () => {
    bench.request('r', B);
    free(1);
    expect(bench.counts()).to.equal('0/1/1');
  });

  it('row 9: nothing known | slot reported in use by an unknown allocation | 1/0/0, taken as true', () => {
    bench.register('te', [slot(0, N, 'x')]);
    expect(bench.counts()).to.equal('1/0/0');
    expect(bench.states()).to.deep.equal(['te/0 allocated x']);
  });

  it('row 10: slot given to r | report confirms r | unchanged', () => {
    free(1);
    bench.request('r');
    const call = bench.lastCall();
    bench.done(call);
    bench.report('te', [slot(0, N, 'r', { state: 'granted', grantNumber: 101 })], { lastSeen: call.number });
    expect(bench.states()).to.deep.equal(['te/0 allocated r']);
    expect(bench.effects).to.deep.equal([]);
    expect(bench.counts()).to.equal('1/0/0');
  });

  it("row 11: slot given to r1, r2 waiting | a report that has seen r1's command says empty | slot goes to r2; r1's JM is told to look", () => {
    free(1);
    bench.request('r1');
    const call = bench.lastCall();
    bench.done(call);
    bench.request('r2');
    expect(bench.counts()).to.equal('1/0/1');
    bench.report('te', [slot(0, N)], { lastSeen: call.number });
    expect(bench.counts()).to.equal('1/0/0');
    expect(bench.states()).to.deep.equal(['te/0 requested r2']);
    expect(bench.of('checkAllocations')[0]?.allocationIds).to.deep.equal(['r1']);
  });

  it("row 12: slot given to r | such a report names another allocation | the report wins; r's JM is told to look", () => {
    free(1);
    bench.request('r');
    const call = bench.lastCall();
    bench.done(call);
    bench.report('te', [slot(0, N, 'other', { grantNumber: 200 })], { lastSeen: call.number });
    expect(bench.states()).to.deep.equal(['te/0 allocated other']);
    expect(bench.of('checkAllocations')[0]?.allocationIds).to.deep.equal(['r']);
    expect(bench.counts()).to.equal('1/0/0');
  });

  it('row 13: free slot | reported empty | unchanged', () => {
    free(1);
    bench.report('te', [slot(0, N)]);
    expect(bench.counts()).to.equal('0/1/0');
    expect(bench.effects).to.deep.equal([]);
  });

  it('row 14: free slot | reported in use | 1/0/0', () => {
    free(1);
    bench.report('te', [slot(0, N, 'x')]);
    expect(bench.counts()).to.equal('1/0/0');
  });

  it('row 15: slot given to r, the only one | TE refuses | freed, r tried again, with back-off', () => {
    free(1);
    bench.request('r');
    bench.refused();
    expect(bench.counts()).to.equal('0/1/1');
    expect(bench.of('sendSlotCommands')).to.deep.equal([]);
    bench.pass(199);
    expect(bench.of('sendSlotCommands')).to.deep.equal([]);
    bench.pass(1);
    expect(bench.counts()).to.equal('1/0/0');
    expect(bench.of('sendSlotCommands')[0]?.commands[0]).to.include({
      kind: 'requestSlot',
      allocationId: 'r',
    });
  });

  it('row 15: slot given to r, the only one | TE does not answer | freed, r tried again, with back-off', () => {
    free(1);
    bench.request('r');
    bench.noAnswer();
    expect(bench.counts(), 'not free before the no-operation is answered').to.equal('1/0/0');
    bench.pass(100);
    expect(bench.of('sendSlotCommands')[0]?.commands).to.deep.equal([
      { kind: 'noOperation' },
      { kind: 'freeSlot', slotNumber: 0, allocationId: 'r' },
    ]);
    bench.done();
    expect(bench.counts()).to.equal('0/1/1');
    bench.pass(200);
    expect(bench.counts()).to.equal('1/0/0');
    expect(bench.of('sendSlotCommands')[0]?.commands[0]).to.include({
      kind: 'requestSlot',
      allocationId: 'r',
    });
  });

  it("row 16: r's slot was emptied and given to r2 | late failure of r | r waits, r2 keeps the slot", () => {
    free(1);
    bench.request('r');
    const call = bench.lastCall();
    bench.done(call);
    bench.request('r2');
    bench.report('te', [slot(0, N)], { lastSeen: call.number });
    bench.send({
      type: 'slotRequestFailedAtTaskExecutor',
      allocationId: 'r' as AllocationId,
      resourceId: 'te' as ResourceId,
      slotNumber: 0,
      problem: { code: 'SLOT_TAKEN', detail: 'late' },
    });
    expect(bench.counts()).to.equal('1/0/1');
    expect(bench.states()).to.deep.equal(['te/0 requested r2']);
  });

  it('row 17: two TEs, 2/2/0 | one TE fails; then an unknown one | 1/1/0; the second changes nothing', () => {
    bench.register('a', [slot(0, N), slot(1, N, 'x')]);
    bench.register('b', [slot(0, N), slot(1, N, 'y')]);
    expect(bench.counts()).to.equal('2/2/0');
    bench.gone('a');
    expect(bench.counts()).to.equal('1/1/0');
    bench.gone('nobody');
    expect(bench.counts()).to.equal('1/1/0');
    expect(bench.effects).to.deep.equal([]);
  });
});
