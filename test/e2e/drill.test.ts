import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandRun, type CommandResult } from '../support/command-run.ts';
import { eventually } from '../support/eventually.ts';
import { isAlive } from '../support/process-alive.ts';

interface Report {
  readonly scenario: string;
  readonly rounds: number;
  readonly leaderlessMs: Readonly<Record<string, number>>;
  readonly firstGrantMs: Readonly<Record<string, number>>;
  readonly overlapMs: { readonly max: number };
  readonly guarantees: Readonly<Record<string, string>>;
  readonly violations: readonly { readonly guarantee: string; readonly rule: string }[];
  readonly perRound: readonly {
    readonly fellBackToTtl: boolean;
    readonly waitingAtFault: number;
    readonly leaderBefore: { readonly resourceManagerId: string; readonly epoch: string };
    readonly leaderAfter: { readonly resourceManagerId: string; readonly epoch: string };
    readonly ended: { readonly reason: string } | null;
  }[];
}

describe('a drill', function () {
  this.timeout(120_000);
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'qm-drill-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function start(...args: string[]): CommandRun {
    return new CommandRun(['drill', ...args], { TMPDIR: folder, XDG_STATE_HOME: folder });
  }

  /** Processes that were started by it and by those. */
  function descendants(pid: number): number[] {
    const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
    const rows = table
      .trim()
      .split('\n')
      .map((row) => row.trim().split(/\s+/).map(Number));
    const of = (parent: number): number[] =>
      rows.flatMap(([child = 0, its]) => (its === parent ? [child, ...of(child)] : []));
    return of(pid);
  }

  /** Every process that it had at any time. */
  async function endOf(run: CommandRun): Promise<{ result: CommandResult; pids: Set<number> }> {
    const pids = new Set<number>();
    let result: CommandResult | null = null;
    void run.ended.then((ended) => (result = ended));
    await eventually(
      'it has ended',
      async () => {
        for (const pid of descendants(run.child.pid ?? 0)) pids.add(pid);
        await new Promise((resolve) => setImmediate(resolve));
        return result !== null;
      },
      100_000,
    );
    return { result: await run.ended, pids };
  }

  it('kills two leaders, measures, finds all guarantees held, and leaves nothing behind', async () => {
    const { result, pids } = await endOf(
      start('kill-leader', '--rounds', '2', '--json', '--slot-renewal-ms', '1000'),
    );
    expect(result.code, result.stderr).to.equal(0);
    const report = JSON.parse(result.stdout) as Report;
    expect(report).to.include({ scenario: 'kill-leader', rounds: 2, leasesLost: 0, requestsLost: 0 });
    expect(report).to.include({ sdkErrors: 0, doubleGrants: 0, staleRefused: 0 });
    expect(Object.keys(report.leaderlessMs)).to.deep.equal(['p50', 'p90', 'p99', 'max']);
    expect(Object.keys(report.firstGrantMs)).to.deep.equal(['p50', 'p90', 'p99', 'max']);
    expect(Object.values(report.guarantees)).to.deep.equal(Array<string>(9).fill('held'));
    for (const { leaderBefore, leaderAfter, ended, fellBackToTtl, waitingAtFault } of report.perRound) {
      expect(leaderAfter.resourceManagerId).to.not.equal(leaderBefore.resourceManagerId);
      expect(BigInt(leaderAfter.epoch) > BigInt(leaderBefore.epoch)).to.equal(true);
      expect([ended?.reason, fellBackToTtl]).to.deep.equal(['deposed', false]);
      expect(waitingAtFault).to.be.at.least(3);
    }
    expect(pids.size).to.be.at.least(10);
    expect([...pids].filter(isAlive)).to.deep.equal([]);
    expect(readdirSync(folder, { recursive: true })).to.deep.equal([]);
  });

  it('ends with 3 when a journal shows that a slot was granted twice', async () => {
    const kept = join(folder, 'kept');
    const run = start('step-down', '--rounds', '1', '--etcd-members', '1', '--json', '--keep', kept);
    const journal = join(kept, 'step-down', 'journals', 'te-1.jsonl');
    const grants = (): string[] =>
      existsSync(journal)
        ? readFileSync(journal, 'utf8')
            .split('\n')
            .filter((line) => line.includes('"event":"grant"'))
        : [];
    await eventually('a slot was granted', () => grants().length > 0, 60_000);
    appendFileSync(journal, `${grants()[0]?.replace('"event":"grant"', '"event": "grant"')}\n`);
    const { code, stdout, stderr } = await run.ended;
    expect(code, stderr).to.equal(3);
    const report = JSON.parse(stdout) as Report;
    expect(report.guarantees['G3']).to.equal('broken');
    expect(report.violations.map(({ rule }) => rule)).to.include('grant-number-fell');
  });

  it('ends everything at SIGINT in the middle of a round, and says so', async () => {
    const run = start('pause-leader', '--etcd-members', '1');
    await eventually(
      'a leader was stopped',
      () => {
        const stopped = execFileSync('ps', ['-A', '-o', 'pid=,stat='], { encoding: 'utf8' });
        const pids = new Set(descendants(run.child.pid ?? 0));
        return stopped.split('\n').some((row) => {
          const [pid, stat = ''] = row.trim().split(/\s+/);
          return stat.startsWith('T') && pids.has(Number(pid));
        });
      },
      60_000,
    );
    const pids = descendants(run.child.pid ?? 0);
    const { code, stdout, stderr } = await run.end('SIGINT');
    expect([code, stdout]).to.deep.equal([1, '']);
    expect(stderr).to.include('The drill was interrupted after 0 rounds.');
    expect(pids.filter(isAlive)).to.deep.equal([]);
    expect(readdirSync(folder, { recursive: true })).to.deep.equal([]);
  });
});
