import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import { DevRun, QUICK_CLUSTER, QUICK_TIMES } from '../support/dev-run.ts';
import { eventually } from '../support/eventually.ts';

interface Leader {
  readonly resourceManagerId: string;
  readonly leaderSessionId: string;
  readonly generation: number;
  readonly epoch: string;
}

interface Declared {
  readonly identity: { readonly clusterId: string; readonly generation: number };
  readonly leader: Leader | null;
}

describe('an etcd of dev that loses its data', function () {
  this.timeout(120_000);
  let dev: DevRun;

  before(async () => {
    dev = await DevRun.up(...QUICK_CLUSTER);
  });
  after(() => dev.end());

  async function leader(): Promise<Leader> {
    const now = await dev.ask<Leader>('/v1/leader');
    if (now === null) throw new Error('nobody leads');
    return now;
  }

  /** Slot, allocation and grant of everything that the job of dev holds; empty while nobody can tell. */
  async function held(): Promise<string[]> {
    type Row = { resourceId: string; slotNumber: number; allocationId: string; grantNumber: number };
    const answer = await dev.ask<{ slots: (Row & { jobId: string; state: string })[] }>(
      '/v1/slots?relay=true',
    );
    return (answer?.slots ?? [])
      .filter(({ jobId, state }) => jobId === 'demo' && state === 'allocated')
      .map((slot) => `${slot.resourceId}/${slot.slotNumber} ${slot.allocationId} ${slot.grantNumber}`)
      .toSorted();
  }

  function identity(): string {
    return dev.etcdctl('get', '/quartermaster/dev/identity', '--print-value-only').trim();
  }

  function etcdFlags(): { readonly pid: number; readonly flags: ReadonlyMap<string, string> } {
    const [pid] = dev.children('--data-dir=');
    if (pid === undefined) throw new Error('etcd does not run');
    const command = execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
    const pairs = [...command.matchAll(/--([a-z-]+)=(\S+)/g)].map(
      ([, name = '', value = '']) => [name, value] as const,
    );
    return { pid, flags: new Map(pairs) };
  }

  /** Kills etcd and puts that folder, or nothing, in the place of its data; dev starts it again in a second. */
  function loseData(replacement: string | null, ...alsoKill: number[]): void {
    const { pid, flags } = etcdFlags();
    const folder = flags.get('data-dir') ?? '';
    for (const each of [pid, ...alsoKill]) process.kill(each, 'SIGKILL');
    renameSync(folder, `${folder}.lost-${pid}`);
    if (replacement !== null) renameSync(replacement, folder);
  }

  /** A backup, as `etcdctl snapshot` makes it, in a folder that etcd can start from. */
  function backup(name: string): string {
    const { flags } = etcdFlags();
    const folder = `${flags.get('data-dir')}.${name}`;
    dev.etcdctl('snapshot', 'save', `${folder}.db`);
    const same = ['name', 'initial-cluster', 'initial-cluster-token', 'initial-advertise-peer-urls'];
    dev.etcdctl(
      'snapshot',
      'restore',
      `${folder}.db`,
      `--data-dir=${folder}`,
      ...same.map((flag) => `--${flag}=${flags.get(flag)}`),
    );
    return folder;
  }

  async function readiness(): Promise<string[]> {
    const asked = dev.up.resourceManagers.map(async ({ address }) => {
      const answer = await fetch(`http://${address}/readyz`, { signal: AbortSignal.timeout(1_000) }).catch(
        () => null,
      );
      return answer === null ? 'no answer' : `${answer.status} ${await answer.text()}`;
    });
    return Promise.all(asked);
  }

  async function untilAllSaySo(): Promise<void> {
    let said: string[] = [];
    const all = async (): Promise<boolean> => {
      said = await readiness();
      return said.every((text) => text.startsWith('503 ') && text.includes('wiped or restored'));
    };
    await eventually('every resource manager says so', all, 30_000).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${said.join(' | ')}`);
    });
  }

  /** Nobody is confirmed, the command says why, and changes nothing without --yes. */
  async function expectNothingConfirmed(generation: number): Promise<void> {
    const before = identity();
    const record = dev.etcdctl('get', '/quartermaster/dev/leader', '--print-value-only');
    const status = await dev.run('status');
    expect(status.code, status.stderr).to.equal(2);
    expect(status.stderr).to.include('etcd was wiped or restored').and.include('new-generation');
    const plan = await dev.run('new-generation');
    expect(plan.code).to.equal(64);
    expect(plan.stdout).to.include(`generation ${generation}`).and.include('wiped or restored');
    expect(plan.stderr).to.include('needs --yes');
    expect(identity()).to.equal(before);
    // A record of the past may end with its lease; another one may not come.
    const now = dev.etcdctl('get', '/quartermaster/dev/leader', '--print-value-only');
    expect(now).to.be.oneOf([record, '']);
    expect(await dev.ask('/v1/leader')).to.equal(null);
  }

  async function declare(generation: number, clusterId: string, leases: readonly string[]): Promise<void> {
    const declared = await dev.json<Declared>('new-generation', '--yes');
    expect(declared.identity).to.deep.equal({ clusterId, generation });
    expect(JSON.parse(identity())).to.deep.equal({ clusterId, generation });
    expect(declared.leader?.generation).to.equal(generation);
    await eventually('the leases of before are in the books', async () => {
      return JSON.stringify(await held()) === JSON.stringify(leases);
    });
    const now = await leader();
    const again = await dev.json<Declared>('new-generation', '--yes', '--generation', String(generation));
    expect(again.leader?.leaderSessionId, 'said twice, it is done once').to.equal(now.leaderSessionId);
  }

  async function expectSlotsGranted(job: string): Promise<void> {
    const late = dev.start('job-master', '--job', job, '--slots', '2', ...QUICK_TIMES);
    await eventually('it has its slots', () => late.jsonLines.length >= 2);
    expect((await late.end('SIGTERM')).code).to.equal(0);
  }

  async function expectAuditFindsNothing(): Promise<void> {
    const etcd = ['--etcd', dev.up.etcd.join(','), '--cluster', 'dev'];
    const { code, stdout, stderr } = await dev.run('audit', ...etcd);
    expect(code, stdout + stderr).to.equal(0);
  }

  it('confirms nothing after a wipe, and all is as it was after new-generation', async () => {
    await eventually('the job has its slots', async () => (await held()).length === 5);
    const leases = await held();
    const { clusterId } = JSON.parse(identity()) as { clusterId: string };
    loseData(null);
    await untilAllSaySo();
    expect(identity()).to.equal('');
    await expectNothingConfirmed(2);
    const { code, stdout } = await dev.run('doctor', '--json');
    expect(code).to.equal(1);
    expect(stdout).to.include('etcd-contradicted');
    dev.etcdctl('put', '/quartermaster/dev/identity', '{"clusterId":"by-mistake","generation":1}');
    const plan = async (): Promise<string> => (await dev.run('new-generation')).stdout;
    expect(await plan())
      .to.include(`${clusterId}, generation 2`)
      .and.include('workers that know by-mistake');
    await declare(2, clusterId, leases);
    await expectSlotsGranted('after-the-wipe');
    await expectAuditFindsNothing();
    const history = await dev.run('history');
    expect(history.stdout).to.match(/2-\d+/);
  });

  it('confirms nothing after a restore, and all is as it was after new-generation', async () => {
    const leases = await held();
    const { clusterId } = JSON.parse(identity()) as { clusterId: string };
    const folder = backup('restored');
    expect((await dev.run('step-down')).code).to.equal(0);
    for (let write = 0; write < 50; write++) dev.etcdctl('put', '/others', String(write));
    await eventually(
      'the leases are there',
      async () => JSON.stringify(await held()) === JSON.stringify(leases),
    );
    loseData(folder);
    await untilAllSaySo();
    expect(JSON.parse(identity())).to.deep.equal({ clusterId, generation: 2 });
    await expectNothingConfirmed(3);
    await declare(3, clusterId, leases);
    await expectSlotsGranted('after-the-restore');
    await expectAuditFindsNothing();
  });

  it('is given away by the workers alone when every resource manager is new', async () => {
    const leases = await held();
    const { clusterId } = JSON.parse(identity()) as { clusterId: string };
    const folder = backup('restored-again');
    for (let write = 0; write < 50; write++) dev.etcdctl('put', '/others', String(write));
    // Each of them leads once, so that the last of them leads by a key that was put after all that.
    for (let change = 0; change < 3; change++) expect((await dev.run('step-down')).code).to.equal(0);
    const token = async (): Promise<boolean> => {
      const { epoch } = await leader();
      const states = await dev.ask<{ taskExecutors: { state: string }[] }>('/v1/task-executors?relay=true');
      return (
        Number(epoch) > 50 && states?.taskExecutors.every(({ state }) => state === 'registered') === true
      );
    };
    await eventually('the task executors obey it', token);
    await eventually(
      'the leases are there',
      async () => JSON.stringify(await held()) === JSON.stringify(leases),
    );
    loseData(folder, ...dev.resourceManagerPids());
    await untilAllSaySo();
    await expectNothingConfirmed(4);
    await declare(4, clusterId, leases);
    await expectSlotsGranted('after-it-all');
  });
});
