import { expect } from 'chai';
import { JobMaster, TaskExecutor } from '../../src/sdk/quartermaster.ts';
import { DevRun } from '../support/dev-run.ts';
import { eventually } from '../support/eventually.ts';

const PROFILE = { cpuCores: 1, memoryMB: 256, extended: { gpu: 1 } };

describe('a task executor within a program', function () {
  this.timeout(90_000);
  let dev: DevRun;

  before(async () => {
    dev = await DevRun.up('--resource-managers', '1', '--task-executors', '1', '--job-slots', '0');
  });

  after(() => dev.end());

  it('offers its slots, is told when one is in use and when no more, and drains', async () => {
    const resourceManagers = dev.up.resourceManagers.map((each) => each.address);
    const told: string[] = [];
    const executor = new TaskExecutor({
      cluster: dev.up.cluster,
      resourceManagers,
      resourceId: 'embedded',
      slots: [PROFILE, PROFILE],
      onLeaseGranted: (slot) => told.push(`granted ${slot.slotNumber} to ${slot.jobId}`),
      onLeaseEnded: (slot, reason) => told.push(`ended ${slot.slotNumber}: ${reason}`),
    });
    await executor.start();
    const job = await JobMaster.register({ jobId: 'user', cluster: dev.up.cluster, resourceManagers });
    const [slot] = await job.requestSlots(1, PROFILE);
    expect(slot?.slotId.resourceId).to.equal('embedded');
    expect(told).to.deep.equal([`granted ${slot?.slotId.slotNumber} to user`]);
    await slot?.release();
    await eventually('the end of the lease is told', () => told.length === 2);
    expect(told[1]).to.equal(`ended ${slot?.slotId.slotNumber}: released`);
    await job.close();
    expect(await executor.drain({ deadlineMs: 10_000 })).to.deep.equal({ leasesLeft: 0 });
  });

  it('names each wrong option', () => {
    const wrong = { cluster: 'No', resourceManagers: [], slots: [{ cpuCores: -1, memoryMB: 1 }] };
    expect(() => new TaskExecutor(wrong)).to.throw(/cluster.*resourceManagers.*slots\.0\.cpuCores/s);
  });
});
