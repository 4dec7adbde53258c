import { expect } from 'chai';
import { DEFAULT_TIMING } from '../../../../src/core/timing.ts';
import { N, SlotManagerBench, slot } from '../../../support/slot-manager-bench.ts';

describe('SlotManager: a task executor that the job master cannot reach', () => {
  let bench: SlotManagerBench;

  beforeEach(() => {
    bench = new SlotManagerBench();
    bench.register('te', [slot(0, N)]);
    bench.request('r');
    bench.done();
    bench.reject('r', 'te', 0, 'unreachable');
    bench.done();
  });

  it('is left alone for that request, and its slot is free for others', () => {
    expect(bench.counts()).to.equal('0/1/1');
    bench.pass(DEFAULT_TIMING.slotLeaseMs - 1);
    expect(bench.counts()).to.equal('0/1/1');
    bench.request('other');
    expect(bench.counts()).to.equal('1/0/1');
  });

  it('is tried again one lease duration later, so that a healed network ends the wait', () => {
    bench.pass(DEFAULT_TIMING.slotLeaseMs);
    expect(bench.counts()).to.equal('1/0/0');
  });

  it('is tried again at once when the job master, asking again, names it no more', () => {
    bench.request('r', N, { excluded: [] });
    expect(bench.counts()).to.equal('1/0/0');
  });

  it('is not left alone for longer by a repeated request that names it again', () => {
    bench.pass(DEFAULT_TIMING.slotLeaseMs - 1);
    bench.request('r', N, { excluded: ['te'] });
    bench.pass(1);
    expect(bench.counts()).to.equal('1/0/0');
  });
});
