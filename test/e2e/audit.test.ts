import { expect } from 'chai';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandRun } from '../support/command-run.ts';
import { DevRun, QUICK_CLUSTER, QUICK_TIMES } from '../support/dev-run.ts';
import { eventually } from '../support/eventually.ts';

interface Leader {
  readonly resourceManagerId: string;
  readonly leaderSessionId: string;
  readonly epoch: string;
}

interface Violation {
  readonly guarantee: string;
  readonly rule: string;
  readonly keys: string[];
  readonly revisions: string[];
  readonly places: string[];
}

interface Report {
  readonly writes: { readonly after: string; readonly through: string; readonly count: number };
  readonly judged: Readonly<Record<string, number>>;
  readonly beyond: Readonly<Record<string, number>>;
  readonly violations: Violation[];
}

describe('the audit of a cluster of dev', function () {
  this.timeout(90_000);
  let dev: DevRun;
  let folder: string;
  let journals: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'qm-audit-'));
    journals = join(folder, 'journals');
    mkdirSync(journals);
    dev = await DevRun.up(...QUICK_CLUSTER);
  });
  after(async () => {
    await dev.end();
    rmSync(folder, { recursive: true });
  });

  async function audit(...flags: string[]): Promise<{ code: number | null; report: Report }> {
    const etcd = ['--etcd', dev.up.etcd.join(','), '--cluster', 'dev'];
    const { code, stdout, stderr } = await dev.run('audit', ...etcd, '--json', ...flags);
    if (stdout === '') throw new Error(stderr);
    return { code, report: JSON.parse(stdout) as Report };
  }

  /** The token of the oldest term. */
  function firstTerm(): Record<string, unknown> {
    const folder = '/quartermaster/dev/history/';
    const text = dev.etcdctl('get', '--prefix', folder, '--print-value-only', '--limit=1');
    const { generation, epoch, leaderSessionId } = JSON.parse(text) as Record<string, unknown>;
    return { generation, epoch, leaderSessionId };
  }

  async function leaderAfter(before: Leader): Promise<Leader> {
    let now: Leader | null = null;
    await eventually(
      'somebody else leads',
      async () => {
        now = await dev.ask<Leader>('/v1/leader');
        return now !== null && now.leaderSessionId !== before.leaderSessionId;
      },
      20_000,
    );
    return now!;
  }

  function executor(): CommandRun {
    const journal = ['--journal', join(journals, 'te.jsonl'), '--state-file', join(folder, 'te.state')];
    return dev.start(
      'task-executor',
      '--id',
      'te-audited',
      '--slots',
      '2',
      '--cpu',
      '8',
      ...journal,
      ...QUICK_TIMES,
    );
  }

  it('is clean after kill -9 of a leader and of a task executor, and a step-down', async () => {
    let te = executor();
    const journal = join(journals, 'jm.jsonl');
    const job = dev.start(
      'job-master',
      '--job',
      'audited',
      '--slots',
      '2',
      '--cpu',
      '8',
      '--journal',
      journal,
      ...QUICK_TIMES,
    );
    await eventually('it has its slots', () => job.jsonLines.length === 2, 20_000);
    const first = (await dev.ask<Leader>('/v1/leader'))!;
    process.kill(dev.children(`--id=${first.resourceManagerId} `)[0]!, 'SIGKILL');
    const second = await leaderAfter(first);
    await te.end('SIGKILL');
    // Started sooner, it would keep its leases: the leader tells the job where it is now.
    const ends = (): number => job.jsonLines.filter(({ event }) => event === 'ended').length;
    await eventually('the slots are lost', () => ends() === 2);
    te = executor();
    await eventually('slots are in hand again', () => job.jsonLines.length >= 6, 30_000);
    expect((await dev.run('step-down')).code).to.equal(0);
    await leaderAfter(second);
    expect((await job.end()).code).to.equal(0);
    expect((await te.end()).code).to.equal(0);
    const { code, report } = await audit('--journals', journals);
    expect(report.violations).to.deep.equal([]);
    expect(code).to.equal(0);
    expect(report.judged).to.include({
      leaderRecords: 3,
      historyWrites: 5,
      terms: 3,
      taskExecutorProcesses: 2,
      jobMasters: 1,
    });
    expect(report.judged['registrations']).to.be.at.least(3);
    expect(report.judged['holdings']).to.be.at.least(4);
  });

  it('finds a write of a former leader that was overwritten since, and where etcd compacted it, says so', async () => {
    const key = '/quartermaster/dev/task-executors/te-2';
    const before = dev.etcdctl('get', key, '--print-value-only').trim();
    dev.etcdctl('put', key, JSON.stringify({ ...(JSON.parse(before) as object), ...firstTerm() }));
    const { generation, epoch, leaderSessionId } = (await dev.ask<Record<string, unknown>>('/v1/leader'))!;
    const now = { generation, epoch, leaderSessionId };
    dev.etcdctl('put', key, JSON.stringify({ ...(JSON.parse(before) as object), ...now }));
    const { code, report } = await audit();
    expect(code).to.equal(3);
    expect(report.violations.map(({ guarantee, rule, keys }) => [guarantee, rule, keys[0]])).to.deep.equal([
      ['G1', 'after-end', key],
    ]);
    const { after, through } = report.writes;
    expect(after).to.equal('0');
    dev.etcdctl('compact', through);
    const later = await audit();
    expect(later.code).to.equal(0);
    expect(later.report.writes.after).to.equal(through);
    expect(later.report.beyond['overwrittenWrites']).to.be.at.least(2);
  });

  it('finds a registration that was rewritten after its term had ended, and says where', async () => {
    const key = '/quartermaster/dev/task-executors/te-1';
    const before = dev.etcdctl('get', key, '--print-value-only').trim();
    const record = { ...(JSON.parse(before) as object), ...firstTerm() };
    dev.etcdctl('put', key, JSON.stringify(record));
    const { code, report } = await audit();
    expect(code).to.equal(3);
    expect(report.violations.map(({ guarantee, rule }) => [guarantee, rule])).to.deep.equal([
      ['G1', 'after-end'],
    ]);
    expect(report.violations[0]?.keys).to.include(key);
    expect(report.violations[0]?.revisions).to.have.length(3);
    const shown = await dev.run('audit', '--etcd', dev.up.etcd.join(','), '--cluster', 'dev');
    expect(shown.code).to.equal(3);
    expect(shown.stdout).to.include('1 violation:').and.include(key);
  });

  it('finds a grant that was given twice, by its line', async () => {
    const file = join(journals, 'te.jsonl');
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const grant = lines.findLast((line) => line.includes('"event":"grant"'))!;
    appendFileSync(file, `${grant.replace(/"atMs":[\d.]+/, '"atMs":1e9')}\n`);
    const { code, report } = await audit('--journals', journals);
    expect(code).to.equal(3);
    const found = report.violations.filter(({ rule }) => rule === 'grant-number-fell');
    expect(found.map(({ guarantee, places }) => [guarantee, places.at(-1)])).to.deep.equal([
      ['G3', `te.jsonl:${lines.length + 1}`],
    ]);
  });

  it('ends with 1 where nothing is kept of such a cluster, and with 2 where no etcd answers', async () => {
    const [etcd = ''] = dev.up.etcd;
    expect((await dev.run('audit', '--etcd', etcd, '--cluster', 'other')).code).to.equal(1);
    expect((await dev.run('audit', '--etcd', 'http://127.0.0.1:1', '--cluster', 'dev')).code).to.equal(2);
  });
});
