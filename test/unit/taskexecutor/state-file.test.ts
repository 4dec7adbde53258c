import { expect } from 'chai';
import { copyFile, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobId, JobMasterId, ResourceId } from '../../../src/core/ids.ts';
import { QuartermasterError } from '../../../src/core/problem.ts';
import { ownIdentity } from '../../../src/taskexecutor/process-identity.ts';
import { StateFile } from '../../../src/taskexecutor/state-file.ts';
import type { TaskExecutorState } from '../../../src/core/taskexecutor/task-executor-state.ts';
import { tokenOf } from '../../support/taskexecutor/testing-resource-manager.ts';
import { leaseKey, PROFILE } from '../../support/taskexecutor/task-executor-fixture.ts';

const OWNER = { cluster: 'test', resourceId: 'te-1' as ResourceId };

const STATE: TaskExecutorState = {
  ...OWNER,
  clusterId: null,
  highestToken: tokenOf(2 ** 40),
  lastSeen: { generation: 1, epoch: 9_007_199_254_740_993n, n: 4 },
  settled: true,
  drainOrdered: false,
  slots: [
    {
      slotNumber: 0,
      grantNumber: 3,
      profile: { ...PROFILE, extended: { gpu: 1, '7': 2 } },
      lease: {
        ...leaseKey(0, 'a1', 'instance-1', 3),
        jobId: 'job-1' as JobId,
        jobMasterId: 'jm-1' as JobMasterId,
        token: tokenOf(5),
        claimed: true,
        durationMs: 30_000,
      },
    },
  ],
  jobOrders: [
    { jobId: 'job-1' as JobId, jobMasterId: 'jm-1' as JobMasterId, order: { generation: 1, revision: 77n } },
  ],
};

async function problemOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof QuartermasterError) return error.message;
    throw error;
  }
  return 'no problem';
}

describe('StateFile', () => {
  let directory = '';
  let path = '';
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'quartermaster-state-'));
    path = join(directory, 'te-1.state');
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await rm(directory, { recursive: true });
  });

  async function write(state = STATE): Promise<void> {
    const file = await new StateFile(path).open(OWNER);
    await file.save(state);
    await file.close();
  }

  for (const [how, takeAway] of [
    ['was replaced by a copy of old', (copy: string) => rename(copy, path)],
    ['was moved away', () => rename(path, `${path}.moved`)],
    ['was removed', () => rm(path)],
    ['was overwritten', (copy: string) => copyFile(copy, path)],
  ] as const) {
    it(`holds what was saved last though the file ${how} while it was open`, async () => {
      const file = await new StateFile(path).open(OWNER);
      await file.save({ ...STATE, highestToken: tokenOf(1) });
      const copy = `${path}.copy`;
      await copyFile(path, copy);
      await file.save({ ...STATE, highestToken: tokenOf(2) });
      await takeAway(copy);
      await file.save(STATE);
      await file.close();
      const next = await new StateFile(path).open(OWNER);
      expect(next.state).to.deep.equal(STATE);
      await next.close();
    });
  }

  it('gives back what was saved, revisions above 2^53 included', async () => {
    await write();
    const file = await new StateFile(path).open(OWNER);
    expect(file.state).to.deep.equal(STATE);
    await file.close();
  });

  it('knows of nothing where no file is', async () => {
    const file = await new StateFile(path).open(OWNER);
    expect(file.state).to.equal(null);
    await file.close();
  });

  it('leaves nothing behind but the file', async () => {
    await write();
    expect(await readdir(directory)).to.deep.equal(['te-1.state']);
  });

  it('keeps the old state when the process dies between the write and the rename', async () => {
    await write();
    await writeFile(`${path}.next`, '{"format":"quartermaster-task-exec');
    const file = await new StateFile(path).open(OWNER);
    expect(file.state).to.deep.equal(STATE);
    await file.save({ ...STATE, drainOrdered: true });
    await file.close();
    const again = await new StateFile(path).open(OWNER);
    expect(again.state?.drainOrdered).to.equal(true);
    await again.close();
  });

  it('saves one after the other, the last one last', async () => {
    const file = await new StateFile(path).open(OWNER);
    const saves = [1, 2, 3, 4, 5].map((n) =>
      file.save({ ...STATE, lastSeen: { generation: 1, epoch: 1n, n } }),
    );
    await file.close();
    await Promise.all(saves);
    const again = await new StateFile(path).open(OWNER);
    expect(again.state?.lastSeen?.n).to.equal(5);
    await again.close();
  });

  it('leaves out a last line that the process did not finish before it died', async () => {
    const file = await new StateFile(path).open(OWNER);
    for (const n of [1, 2, 3]) await file.save({ ...STATE, lastSeen: { generation: 1, epoch: 1n, n } });
    await file.close();
    const text = await readFile(path, 'utf8');
    expect(text.split('\n')).to.have.length(4);
    const third = text.slice(text.lastIndexOf('\n', text.length - 2) + 1);
    for (const cut of [1, 20, third.length - 1, third.length]) {
      await writeFile(path, text.slice(0, -cut));
      const again = await new StateFile(path).open(OWNER);
      expect(again.state?.lastSeen?.n).to.equal(2);
      await again.close();
    }
  });

  it('refuses a file whose last line is whole and wrong, though those before it are right', async () => {
    await write();
    const text = await readFile(path, 'utf8');
    await writeFile(path, `${text}nonsense\n`);
    expect(await problemOf(new StateFile(path).open(OWNER))).to.match(/is damaged/);
  });

  it('does not grow for ever, and keeps the newest state', async () => {
    const file = await new StateFile(path).open(OWNER);
    await file.save(STATE);
    const lineBytes = (await readFile(path)).length;
    const saves = Math.ceil((2.5 * 1024 * 1024) / lineBytes);
    for (let n = 1; n <= saves; n += 1) {
      await file.save({ ...STATE, lastSeen: { generation: 1, epoch: 1n, n } });
    }
    await file.close();
    expect((await readFile(path)).length).to.be.lessThan(1024 * 1024 + 1);
    const again = await new StateFile(path).open(OWNER);
    expect(again.state?.lastSeen?.n).to.equal(saves);
    await again.close();
  });

  it('reads what the version before wrote, which was one line', async () => {
    await write();
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"version":2', '"version":1'));
    const file = await new StateFile(path).open(OWNER);
    expect(file.state).to.deep.equal(STATE);
    await file.close();
  });

  it('refuses a damaged file with a sentence, and does not touch it', async () => {
    await write();
    const text = await readFile(path, 'utf8');
    for (const damaged of [
      '',
      'nonsense',
      text.slice(0, -20),
      text.replace('"grantNumber":3', '"grantNumber":2'),
    ]) {
      await writeFile(path, damaged);
      const problem = await problemOf(new StateFile(path).open(OWNER));
      expect(problem).to.match(/^INVALID: The state file .*te-1\.state is damaged/);
      expect(await readFile(path, 'utf8')).to.equal(damaged);
    }
    await writeFile(path, text);
    const file = await new StateFile(path).open(OWNER);
    expect(file.state).to.deep.equal(STATE);
    await file.close();
  });

  it('refuses a file of another task executor or another cluster', async () => {
    await write();
    const problem = await problemOf(
      new StateFile(path).open({ cluster: 'test', resourceId: 'te-2' as ResourceId }),
    );
    expect(problem).to.match(/^CONFLICT: .*belongs to task executor te-1 of cluster test, not to te-2/);
    expect(await problemOf(new StateFile(path).open({ ...OWNER, cluster: 'other' }))).to.match(/^CONFLICT/);
    await write();
  });

  it('refuses a directory that is not there with a sentence', async () => {
    const problem = await problemOf(new StateFile(join(directory, 'none', 'x')).open(OWNER));
    expect(problem).to.match(/^INVALID: The state file .*none\/x cannot be locked \(ENOENT/);
  });

  it('refuses a second opening in the same process, until the first is closed', async () => {
    const file = await new StateFile(path).open(OWNER);
    expect(await problemOf(new StateFile(path).open(OWNER))).to.match(
      new RegExp(`^CONFLICT: .*te-1.state is in use by process ${process.pid}`),
    );
    await file.close();
    await write();
  });

  it('refuses while another process lives that holds it, and takes over when it is dead', async () => {
    const child = spawn('sleep', ['60']);
    children.push(child);
    await once(child, 'spawn');
    const startTicks = await startTicksOf(child.pid ?? 0);
    const owner = { ...(await ownIdentity()), pid: child.pid, startTicks };
    await writeFile(`${path}.lock-4`, JSON.stringify(owner));
    expect(await problemOf(new StateFile(path).open(OWNER))).to.contain(`in use by process ${child.pid}`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const file = await new StateFile(path).open(OWNER);
    expect(await readdir(directory)).to.deep.equal(['te-1.state.lock-5']);
    await file.close();
  });

  it('takes over the lock of a process whose number another process has got since', async () => {
    const own = await ownIdentity();
    if (own.startTicks === null) return;
    await writeFile(`${path}.lock-1`, JSON.stringify({ ...own, startTicks: '1' }));
    await write();
  });

  it('takes over the lock of a process from before a restart of the machine', async () => {
    const own = await ownIdentity();
    if (own.bootId === null) return;
    await writeFile(`${path}.lock-1`, JSON.stringify({ ...own, bootId: 'former' }));
    await write();
  });

  it('refuses a lock of another machine, and names the file to remove', async () => {
    const owner = { pid: 1, host: `not-${hostname()}`, bootId: 'other', startTicks: null };
    await writeFile(`${path}.lock-1`, JSON.stringify(owner));
    expect(await problemOf(new StateFile(path).open(OWNER))).to.contain('te-1.state.lock-1');
  });

  it('lets one at most have it when many open it at once over a stale lock', async () => {
    const own = await ownIdentity();
    if (own.startTicks === null) return;
    await writeFile(`${path}.lock-1`, JSON.stringify({ ...own, startTicks: '1' }));
    const opened = await Promise.allSettled(Array.from({ length: 8 }, () => new StateFile(path).open(OWNER)));
    const winners = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(winners.length).to.be.at.most(1);
    for (const winner of winners) await winner.close();
    await write();
  });
});

async function startTicksOf(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
