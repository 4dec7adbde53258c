import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { DevRun } from '../support/dev-run.ts';

const SMALL = ['--resource-managers', '1', '--task-executors', '1', '--slots', '1', '--job-slots', '1'];

/** Everything that runs for this `dev`, guards and grandchildren too. */
function processesOf(folder: string): string[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,command='], { encoding: 'utf8' })
    .split('\n')
    .filter((row) => row.includes(folder));
}

describe('the life of a cluster of dev', function () {
  this.timeout(60_000);

  it('prints one line when all is up, and leaves no process and no file behind at SIGINT', async () => {
    const dev = await DevRun.up(...SMALL);
    const { cluster, etcd, resourceManagers, taskExecutors, jobMasters, dashboard } = dev.up;
    expect([cluster, etcd.length, dashboard]).to.deep.equal(['dev', 1, null]);
    expect(resourceManagers.map(({ id }) => id)).to.deep.equal(['rm-1']);
    expect(taskExecutors.map(({ id }) => id)).to.deep.equal(['te-1']);
    expect(jobMasters.map(({ jobId }) => jobId)).to.deep.equal(['demo']);
    for (const { address } of [...resourceManagers, ...taskExecutors])
      expect(address).to.match(/^127\.0\.0\.1:\d+$/);
    const { result, leftovers } = await dev.end('SIGINT');
    expect(result).to.include({ code: 0, signal: null });
    expect(result.stdout.split('\n').length, 'lines').to.equal(2);
    expect(leftovers).to.deep.equal([]);
  });

  it('leaves nothing behind at SIGTERM in the middle of its start', async () => {
    const dev = new DevRun(...SMALL);
    await eventually('etcd was started', () => dev.children('etcd').length > 0, 20_000);
    const { result, leftovers } = await dev.end('SIGTERM');
    expect(result).to.include({ code: 0, stdout: '' });
    expect(leftovers).to.deep.equal([]);
  });

  it('takes its processes and its files with it when it is killed', async () => {
    const dev = await DevRun.up(...SMALL);
    const folder = dev.up.etcd[0]!;
    const { leftovers } = await dev.end('SIGKILL');
    expect(leftovers).to.deep.equal([]);
    await eventually('nothing runs', () => processesOf(folder).length === 0);
  });

  it('keeps a data directory, and comes up again in it at the same addresses with the epoch above', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'qm-e2e-data-'));
    try {
      const first = await DevRun.up(...SMALL, '--data-dir', dataDir);
      const before = await first.ask<{ epoch: string }>('/v1/leader');
      await first.end();
      const second = await DevRun.up(...SMALL, '--data-dir', dataDir);
      const after = await second.ask<{ epoch: string }>('/v1/leader');
      await second.end();
      expect(second.up.etcd).to.deep.equal(first.up.etcd);
      expect(second.up.resourceManagers[0]!.address).to.equal(first.up.resourceManagers[0]!.address);
      expect(Number(after?.epoch)).to.be.greaterThan(Number(before?.epoch));
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  it('leaves a dead process down with --no-restart, and says so', async () => {
    const dev = await DevRun.up(...SMALL, '--no-restart');
    const { pid } = dev.up.taskExecutors[0]!;
    process.kill(pid, 'SIGKILL');
    await eventually('it was told', () => dev.command.stderr.includes('te-1, process'));
    expect(dev.command.stderr).to.contain(`process ${pid}, was ended by SIGKILL and stays down`);
    await dev.end();
  });
});
