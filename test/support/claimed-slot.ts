import type { FencingToken } from '../../src/core/fencing-token.ts';
import { ResourceManagerBench } from './resource-manager-bench.ts';
import type { TestingJobMaster, TestingTaskExecutor } from './testing-worker.ts';

/** A leader, a task executor whose only slot is claimed by `a-1`, and its job master. */
export async function withClaimedSlot(): Promise<{
  bench: ResourceManagerBench;
  token: FencingToken;
  taskExecutor: TestingTaskExecutor;
  jobMaster: TestingJobMaster;
}> {
  const bench = new ResourceManagerBench();
  const { token } = bench.election.lead();
  const taskExecutor = await bench.taskExecutor('te-1');
  taskExecutor.grants();
  await taskExecutor.register(token);
  const jobMaster = await bench.jobMaster('job');
  await jobMaster.register(token);
  await jobMaster.requestSlots(token, ['a-1']);
  await bench.clock.until(() => jobMaster.worker.heard('notifySlotsAllocated').length > 0);
  // The claim, as the task executor reports it.
  const { jobId, jobMasterId } = jobMaster;
  const { resourceId, instanceId } = taskExecutor;
  const allocationId = 'a-1' as never;
  const lease = { allocationId, jobId, jobMasterId, instanceId, grantNumber: 1 };
  const [free] = taskExecutor.slots;
  if (free === undefined) throw new Error('no slot');
  taskExecutor.slots = [{ ...free, state: 'claimed', lease }];
  const { number } = taskExecutor.commands.at(-1)?.body ?? {};
  const { report } = taskExecutor.registration(token);
  taskExecutor.worker.channel.notify('reportSlots', {
    token,
    resourceId,
    instanceId,
    report: { ...report, lastSeen: number ?? null },
  });
  await bench.clock.advance(10);
  return { bench, token, taskExecutor, jobMaster };
}
