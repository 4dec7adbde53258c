import { expect } from 'chai';
import { DEFAULT_TIMING } from '../../../../src/core/timing.ts';
import { N, SlotManagerBench, slot } from '../../../support/slot-manager-bench.ts';

const { graceMs } = DEFAULT_TIMING;
const BRAKE_MS = 300_000;

describe('SlotManager after a take-over', () => {
  let bench: SlotManagerBench;

  beforeEach(() => {
    bench = new SlotManagerBench();
  });

  function containers(): string[] {
    return bench.allOf('allocateContainer').map((effect) => effect.allocationId);
  }

  it('counts the slots of task executors that have not reported as unknown', () => {
    bench.expect('a', 3);
    expect(bench.manager.slotCounts()).to.include({ total: 3, unknown: 3 });
    expect(bench.states()).to.deep.equal(['a/0 unknown -', 'a/1 unknown -', 'a/2 unknown -']);
    bench.register('a', [slot(0, N), slot(1, N, 'x')]);
    expect(bench.manager.slotCounts()).to.include({ total: 2, unknown: 0, free: 1, allocated: 1 });
  });

  it("serves each slot from its task executor's report on", () => {
    bench.expect('a');
    bench.expect('b');
    bench.request('r');
    bench.register('a', [slot(0, N)]);
    expect(bench.of('sendSlotCommands')[0]?.resourceId).to.equal('a');
  });

  it('asks for no container before all expected task executors have reported', () => {
    bench.expect('a');
    bench.expect('b');
    bench.request('r');
    bench.register('a', []);
    expect(containers()).to.deep.equal([]);
    expect(bench.manager.recovery()).to.deep.equal({
      silent: 1,
      expected: 2,
      braked: false,
      untilMs: graceMs,
    });
    bench.register('b', []);
    expect(bench.manager.recovery()).to.equal(null);
    expect(containers()).to.deep.equal(['r']);
  });

  it('asks for no container before the grace is over, and then for those that wait still', () => {
    for (const id of ['a', 'b', 'c']) bench.expect(id);
    bench.request(['r1', 'r2']);
    bench.register('a', [slot(0, N)]);
    bench.done();
    bench.register('b', []);
    bench.pass(graceMs - 1);
    expect(containers()).to.deep.equal([]);
    bench.pass(1);
    expect(containers()).to.deep.equal(['r2']);
    expect(bench.of('report').map((effect) => effect.event)).to.include('recoveryGraceOver');
    bench.pass(60_000);
    expect(containers(), 'once for each request').to.deep.equal(['r2']);
  });

  it('holds the brake when more than half of them are silent after the grace, and says so', () => {
    for (const id of ['a', 'b', 'c']) bench.expect(id);
    bench.request('r');
    bench.register('a', []);
    bench.pass(graceMs);
    expect(bench.of('report')[0]).to.deep.include({
      level: 'error',
      event: 'recoveryBraked',
      fields: { silent: 2, expected: 3, untilMs: graceMs + BRAKE_MS },
    });
    expect(bench.manager.recovery()).to.include({ silent: 2, expected: 3, braked: true });
    bench.pass(60_000);
    expect(containers()).to.deep.equal([]);
  });

  it('releases the brake when one that was silent reports', () => {
    for (const id of ['a', 'b', 'c']) bench.expect(id);
    bench.request('r');
    bench.register('a', []);
    bench.pass(graceMs);
    bench.register('b', []);
    expect(bench.manager.recovery()).to.equal(null);
    expect(containers()).to.deep.equal(['r']);
  });

  it('releases the brake when the silent ones are forgotten', () => {
    for (const id of ['a', 'b', 'c']) bench.expect(id);
    bench.request('r');
    bench.pass(graceMs);
    bench.gone('a');
    bench.gone('b');
    expect(containers()).to.deep.equal([]);
    bench.gone('c');
    expect(containers()).to.deep.equal(['r']);
    expect(bench.manager.slotCounts().total).to.equal(0);
  });

  it('releases the brake after 5 minutes at the latest, and says so', () => {
    bench.expect('a');
    bench.request('r', N, { remainingMs: 1_000_000 });
    bench.pass(graceMs + BRAKE_MS - 1);
    expect(containers()).to.deep.equal([]);
    bench.pass(1);
    expect(containers()).to.deep.equal(['r']);
    expect(bench.of('report').map((effect) => effect.event)).to.include('recoveryBrakeTimedOut');
    expect(bench.manager.recovery()).to.equal(null);
  });

  it('does not hold back a leader that etcd names no task executor to', () => {
    bench.request('r');
    expect(bench.manager.recovery()).to.equal(null);
    expect(containers()).to.deep.equal(['r']);
  });

  it('asks for the containers of many in slices, each once', () => {
    bench.expect('a');
    const ids = Array.from({ length: 2_500 }, (_, i) => `r${i}`);
    bench.request(ids);
    bench.register('a', []);
    expect(bench.of('allocateContainer')).to.have.length(1_000);
    bench.pass(0);
    expect(containers()).to.deep.equal(ids);
  });
});
