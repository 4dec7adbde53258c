import { expect } from 'chai';
import type { ResourceId } from '../../../src/core/ids.ts';
import { withClaimedSlot } from '../../support/claimed-slot.ts';
import { problemOf } from '../../support/problem-of.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import { driven } from '../../support/testing-worker.ts';

describe('a task executor that is forgotten while a slot of it is in use', () => {
  it('leaves a record that tells its next instance that it was known before', async () => {
    const { bench, token, taskExecutor } = await withClaimedSlot();
    const { view } = bench.resourceManager;
    taskExecutor.worker.close();
    await driven(bench.clock, view.forgetTaskExecutor('te-1' as ResourceId));
    expect((await view.overview()).slots.total).to.equal(0);
    expect(bench.taskExecutorRecord('te-1')).to.include({ gone: true });
    expect((await problemOf(view.forgetTaskExecutor('te-1' as ResourceId))).code).to.equal(
      'UNKNOWN_TASK_EXECUTOR',
    );
    const next = await bench.taskExecutor('te-1', { instance: 'te-1-2' });
    expect(await next.register(token)).to.deep.equal({ knownBefore: true });
  });

  it('is marked as gone once a full store has space again', async () => {
    const { bench, taskExecutor } = await withClaimedSlot();
    taskExecutor.worker.close();
    bench.etcd.state.noSpace = true;
    await driven(bench.clock, bench.resourceManager.view.forgetTaskExecutor('te-1' as ResourceId));
    expect(bench.taskExecutorRecord('te-1')).to.include({ gone: false });
    bench.etcd.state.noSpace = false;
    await bench.clock.advance(2_000);
    expect(bench.taskExecutorRecord('te-1')).to.include({ gone: true });
  });

  it('leaves that record also when the slot is given away while it is being forgotten', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    taskExecutor.grants();
    await taskExecutor.register(token);
    const jobMaster = await bench.jobMaster('job');
    await jobMaster.register(token);
    bench.etcd.delayCall(500, { method: 'transact' });
    const forgotten = bench.resourceManager.view.forgetTaskExecutor('te-1' as ResourceId);
    await jobMaster.requestSlots(token, ['a-1']);
    await bench.clock.until(() => jobMaster.worker.heard('notifySlotsAllocated').length > 0);
    expect(bench.taskExecutorRecord('te-1'), 'granted before').to.include({ gone: false });
    await driven(bench.clock, forgotten);
    expect(bench.taskExecutorRecord('te-1')).to.include({ gone: true });
  });
});
