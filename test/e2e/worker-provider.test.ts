import { expect } from 'chai';
import { DevRun } from '../support/dev-run.ts';
import { eventually } from '../support/eventually.ts';
import { isAlive } from '../support/process-alive.ts';

const QUICK = ['--heartbeat-interval-ms', '200', '--heartbeat-timeout-ms', '1000', '--grace-ms', '1000'];

interface TaskExecutorRow {
  readonly resourceId: string;
  readonly provider: string | null;
  readonly slots: number;
}

/** Workers outlive the resource manager that started them, so a test that fails must end them itself. */
function endWorkersOf(log: string): void {
  for (const [, pid] of log.matchAll(/"worker-process-started".*?"pid":(\d+)/g)) {
    if (isAlive(Number(pid))) process.kill(Number(pid), 'SIGKILL');
  }
}

describe('a resource manager with a worker provider', function () {
  this.timeout(60_000);

  it('starts task executors for requests that no slot fits, and stops them when they are idle', async () => {
    const dev = await DevRun.up(
      '--resource-managers',
      '1',
      '--task-executors',
      '0',
      '--job-slots',
      '0',
      ...QUICK,
    );
    const flags = [
      '--cluster',
      'dev',
      '--etcd',
      dev.up.etcd[0]!,
      '--id',
      'rm-starter',
      '--listen',
      '127.0.0.1:0',
    ];
    const workers = [
      '--worker-provider',
      'process',
      '--max-workers',
      '1',
      '--worker-slots',
      '2',
      '--worker-idle-ms',
      '500',
    ];
    const manager = dev.start('resource-manager', ...flags, ...workers, ...QUICK);
    const rows = async (): Promise<TaskExecutorRow[] | null> =>
      (await dev.ask<{ taskExecutors: TaskExecutorRow[] }>('/v1/task-executors?relay=true'))?.taskExecutors ??
      null;
    try {
      await eventually('it leads', async () => (await dev.run('step-down', '--to', 'rm-starter')).code === 0);
      const job = dev.start('job-master', '--slots', '2', '--cpu', '16', '--extended', 'gpu=1', ...QUICK);
      await eventually('the job has its slots', () => job.jsonLines.length === 2);
      const [worker] = (await rows())!;
      expect(worker).to.include({ provider: 'process', slots: 2 });
      expect(job.jsonLines.map((line) => line['resourceId'])).to.deep.equal([
        worker!.resourceId,
        worker!.resourceId,
      ]);
      expect((await job.end()).code).to.equal(0);
      await eventually('the idle worker is gone', async () => (await rows())?.length === 0);
      await eventually('its process has ended', () => manager.stderr.includes('"worker-process-ended"'));
    } catch (error) {
      endWorkersOf(manager.stderr);
      throw new Error(manager.stderr, { cause: error });
    } finally {
      expect((await manager.end('SIGTERM')).code).to.equal(0);
      expect((await dev.end()).leftovers).to.deep.equal([]);
    }
  });
});
