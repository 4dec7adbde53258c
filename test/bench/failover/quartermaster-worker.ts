import { JobMaster, TaskExecutor } from '../../../src/sdk/quartermaster.ts';
import { machineMs } from './machine-time.ts';

// A task executor, and a job that takes a slot of it and gives it back, again and again. Writes `accepted EPOCH MS` for
// each grant that the task executor has accepted from a leader of that epoch. Arguments: cluster, resource managers.

const SLOTS = 4;
const PAUSE_MS = 5;
const RETRY_MS = 100;
/** Longer than the lease of a leader. */
const WAIT_MS = 60_000;

const [cluster = '', addresses = ''] = process.argv.slice(2);
const resourceManagers = addresses.split(',');

const executor = new TaskExecutor({
  cluster,
  resourceManagers,
  resourceId: 'bench',
  slots: Array.from({ length: SLOTS }, () => ({ cpuCores: 1, memoryMB: 1 })),
  slotsDieWithProcess: true,
  journal: {
    record: (event, fields) => {
      if (event === 'grant') process.stdout.write(`accepted ${String(fields['epoch'])} ${machineMs()}\n`);
    },
  },
});
await executor.start();
const job = await JobMaster.register({ jobId: 'bench', cluster, resourceManagers });
for (;;) {
  try {
    const [slot] = await job.requestSlots(1, { cpuCores: 1, memoryMB: 1 }, { timeoutMs: WAIT_MS });
    await slot?.release();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
