import { expect } from 'chai';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandRun } from '../support/command-run.ts';
import { eventually } from '../support/eventually.ts';
import { canMakeNamespaces, deadPid, leaveBehind, madeBy } from '../support/namespaces.ts';

interface Report {
  readonly guarantees: Readonly<Record<string, string>>;
  readonly perRound: readonly {
    readonly fellBackToTtl: boolean;
    readonly leaderBefore: { readonly resourceManagerId: string };
    readonly leaderAfter: { readonly resourceManagerId: string };
    readonly ended: { readonly reason: string } | null;
  }[];
}

describe('a drill with --network namespaces (in full only for root, where `ip netns add` works)', function () {
  this.timeout(150_000);
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'qm-namespaces-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function start(...args: string[]): CommandRun {
    const drill = ['drill', ...args, '--network', 'namespaces', '--etcd-members', '1'];
    return new CommandRun(drill, { TMPDIR: folder, XDG_STATE_HOME: folder });
  }

  if (!canMakeNamespaces()) {
    it('says why it cannot be, before anything runs', async () => {
      const { code, stdout, stderr } = await start('step-down', '--rounds', '1').ended;
      expect([64, 1]).to.include(code);
      expect(stdout).to.equal('');
      expect(stderr).to.match(/--network namespaces needs|ip netns add .* failed/);
      expect(readdirSync(folder)).to.deep.equal([]);
    });
    return;
  }

  it('cuts the leader off from etcd, keeps all guarantees, removes its network and that of a dead drill', async () => {
    const dead = deadPid();
    leaveBehind(dead);
    const run = start('partition-leader-from-etcd', '--rounds', '1', '--slot-renewal-ms', '1000', '--json');
    const pid = run.child.pid ?? 0;
    await eventually('it has its network', () => madeBy(pid).includes(`qm${pid}`), 30_000);
    expect(madeBy(dead)).to.deep.equal([]);
    const { code, stdout, stderr } = await run.ended;
    expect(code, stderr).to.equal(0);
    const report = JSON.parse(stdout) as Report;
    expect(report).to.include({ leasesLost: 0, requestsLost: 0, doubleGrants: 0 });
    expect(Object.values(report.guarantees)).to.not.include('broken');
    for (const { leaderBefore, leaderAfter, ended, fellBackToTtl } of report.perRound) {
      expect(leaderAfter.resourceManagerId).to.not.equal(leaderBefore.resourceManagerId);
      expect([ended?.reason, fellBackToTtl]).to.deep.equal(['deposed', false]);
    }
    expect(madeBy(pid)).to.deep.equal([]);
    expect(readdirSync(folder, { recursive: true })).to.deep.equal([]);
  });

  it('removes its network at SIGINT', async () => {
    const run = start('unplug-leader');
    const pid = run.child.pid ?? 0;
    await eventually('it has its network', () => madeBy(pid).includes(`qm${pid}`), 30_000);
    const { code, stderr } = await run.end('SIGINT');
    expect(code, stderr).to.equal(1);
    expect(madeBy(pid)).to.deep.equal([]);
    expect(readdirSync(folder, { recursive: true })).to.deep.equal([]);
  });
});
