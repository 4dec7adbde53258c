import { expect } from 'chai';
import type { JobMasterId, ResourceId } from '../../../../src/core/ids.ts';
import { MASTER, N, SlotManagerBench, slot } from '../../../support/slot-manager-bench.ts';

const LEASED = [slot(0, N, 'a', { grantNumber: 3 }), slot(1, N)];

describe('SlotManager: a task executor that registers from another address', () => {
  let bench: SlotManagerBench;

  beforeEach(() => {
    bench = new SlotManagerBench();
    bench.register('te', LEASED);
  });

  function told(): string[] {
    return bench
      .of('notifySlotsAllocated')
      .flatMap(({ grants }) =>
        grants.map((grant) => `${grant.allocationId} ${grant.address} ${grant.grantNumber}`),
      );
  }

  function miss(address: string, jobMasterId: JobMasterId = MASTER): string[] {
    const missed = [{ resourceId: 'te' as ResourceId, address }];
    bench.send({ type: 'taskExecutorsMissed', jobMasterId, missed });
    return told();
  }

  it('has its leases told to their job masters with the new one', () => {
    bench.register('te', LEASED, { instanceId: 'next', address: 'elsewhere:1' });
    expect(told()).to.deep.equal(['a elsewhere:1 3']);
  });

  it('is news once: a registration from the same place tells nobody anything', () => {
    bench.register('te', LEASED, { instanceId: 'next' });
    expect(told()).to.deep.equal([]);
  });

  it('is told of again to a job master that looks for it elsewhere, as the first word may be lost', () => {
    bench.register('te', LEASED, { instanceId: 'next', address: 'elsewhere:1' });
    expect(miss('te:1')).to.deep.equal(['a elsewhere:1 3']);
    expect(miss('te:1')).to.deep.equal(['a elsewhere:1 3']);
  });

  it('is told of by a leader that has never seen it where it was', () => {
    bench = new SlotManagerBench();
    bench.expect('te');
    expect(miss('te:1')).to.deep.equal([]);
    bench.register('te', LEASED, { instanceId: 'next', address: 'elsewhere:1' });
    expect(miss('te:1')).to.deep.equal(['a elsewhere:1 3']);
  });

  it('is not told of to one that knows where it is, has nothing there, or while it is unreachable itself', () => {
    expect(miss('te:1')).to.deep.equal([]);
    expect(miss('other:1', 'somebody' as JobMasterId)).to.deep.equal([]);
    bench.unreachable('te');
    expect(miss('other:1')).to.deep.equal([]);
  });
});
