import { expect } from 'chai';
import type { CommandRun } from '../support/command-run.ts';
import { eventually } from '../support/eventually.ts';
import { ProcessCluster, type LeaderAnswer, SMALL } from '../support/process-cluster.ts';

interface Term {
  readonly epoch: string;
  readonly ended: { readonly reason: string; readonly evidence: string } | null;
}

describe('a cluster whose etcd is in trouble', function () {
  this.timeout(120_000);
  let cluster: ProcessCluster;
  let job: CommandRun;
  let term: LeaderAnswer;
  let jobs = 0;

  before(async () => {
    cluster = await ProcessCluster.start();
    job = await cluster.holder('held');
  });
  after(() => cluster?.stop());
  beforeEach(async () => {
    await cluster.settled();
    term = await cluster.leader();
  });
  afterEach(async () => {
    await cluster.repairEtcd();
    // Whatever became of etcd, the lease was renewed at the task executor.
    expect(job.jsonLines.map(({ event }) => event)).to.deep.equal(['granted']);
  });

  /** A job comes, gets a slot, and goes, all under the leader of before. */
  async function goesOn(): Promise<void> {
    const another = await cluster.register(`job-${++jobs}`);
    const [slot] = await another.requestSlots(1, SMALL, { timeoutMs: 20_000 });
    expect(slot?.held).to.equal(true);
    await another.close();
    expect(await cluster.leader()).to.deep.equal(term);
  }

  async function followed(): Promise<LeaderAnswer> {
    let next = term;
    await eventually('somebody else leads, or leads anew', async () => {
      next = await cluster.leader();
      return next.leaderSessionId !== term.leaderSessionId;
    });
    expect(BigInt(next.epoch) > BigInt(term.epoch), `${next.epoch} > ${term.epoch}`).to.equal(true);
    return next;
  }

  async function endOf(epoch: string): Promise<Term['ended']> {
    let ended: Term['ended'] = null;
    await eventually('history tells the end', async () => {
      const id = await cluster.serving();
      const answer = id === null ? null : await cluster.ask<{ history: Term[] }>(id, '/v1/history');
      ended = answer?.history.find((row) => row.epoch === epoch)?.ended ?? null;
      return ended !== null;
    });
    return ended;
  }

  /** Of the leader: the key in line that was created first. etcdctl sorts what a limit has left, unless it is told an order. */
  function headKey(): string {
    const sorting = ['--sort-by=CREATE', '--order=ASCEND', '--limit=1'];
    const text = cluster.etcdctl([
      'get',
      '--prefix',
      `${cluster.prefix}election/`,
      '--keys-only',
      ...sorting,
    ]);
    return text.split('\n')[0] ?? '';
  }

  /** The members whose numbers these are stand still until the end of the test. */
  function stop(...numbers: number[]): void {
    for (const index of numbers) cluster.etcd.members[index]?.kill('SIGSTOP');
  }

  it('keeps its leader, and jobs come and go, when any one of three members dies', async () => {
    for (const member of cluster.etcd.members) {
      await member.crash();
      await goesOn();
      await cluster.repairEtcd();
    }
  });

  it('keeps its leader, and jobs come and go, when any one of three members is silent', async () => {
    for (const index of [0, 1, 2]) {
      stop(index);
      await goesOn();
      await cluster.repairEtcd();
    }
  });

  it("keeps its leader when etcd's own leader dies", async () => {
    await cluster.etcd.members[await cluster.etcdLeader()]?.crash();
    await goesOn();
  });

  it('has a resource manager join although the first endpoint is silent', async () => {
    const id = [...cluster.resourceManagers.keys()].find((each) => each !== term.resourceManagerId) ?? '';
    const standby = cluster.resourceManagers.get(id);
    stop(0);
    expect((await standby?.end('SIGTERM'))?.code).to.equal(0);
    cluster.startResourceManager(id);
    await cluster.settled();
    await goesOn();
  });

  it('gives no slot without a quorum, and goes on under the same epoch when that is back in time', async () => {
    const waiting = await cluster.register('waits');
    stop(1, 2);
    await eventually('the leader is suspended', async () => (await cluster.serving()) === null);
    let given = false;
    const slot = waiting.requestSlots(1, SMALL, { timeoutMs: 20_000 }).finally(() => {
      given = true;
    });
    await cluster.ask(term.resourceManagerId, '/livez');
    expect(given).to.equal(false);
    await cluster.repairEtcd();
    expect(await slot).to.have.length(1);
    await waiting.close();
    expect(await cluster.leader()).to.deep.equal(term);
  });

  it('keeps its leases without a quorum for longer than a leader may wait for one, and then finds a leader', async () => {
    stop(1, 2);
    const log = cluster.resourceManagers.get(term.resourceManagerId);
    const before = log?.stderr.length ?? 0;
    const steppedDown = (): boolean => log?.stderr.includes('lease deadline passed', before) === true;
    await eventually('the leader has stepped down', steppedDown);
    await cluster.repairEtcd();
    await followed();
  });

  it('keeps its leader while every member stands still again and again, as on a slow disk', async () => {
    const pids = cluster.etcd.members.map(({ pid }) => pid ?? 0);
    let stopped = false;
    let turns = 0;
    // 200 ms of standstill in each 300 ms: a check takes so long, but not as long as the serving deadline.
    const timer = setInterval(() => {
      stopped = turns++ % 3 !== 2;
      for (const pid of pids) process.kill(pid, stopped ? 'SIGSTOP' : 'SIGCONT');
    }, 100);
    try {
      await eventually('it has stood still ten times', () => turns >= 30);
    } finally {
      clearInterval(timer);
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    }
    await goesOn();
  });

  it('has another leader when an operator deletes the key of the one there is, and history says so', async () => {
    const key = headKey();
    expect(cluster.etcdctl(['del', key]).trim()).to.equal('1');
    await followed();
    expect(await endOf(term.epoch))
      .to.have.property('reason')
      .that.is.oneOf(['lost', 'candidate key gone']);
  });

  it('has another leader when an operator revokes the lease of the one there is, and history says so', async () => {
    const key = headKey();
    cluster.etcdctl(['lease', 'revoke', key.slice(key.lastIndexOf('/') + 1)]);
    await followed();
    expect(await endOf(term.epoch))
      .to.have.property('reason')
      .that.is.oneOf(['lost', 'candidate key gone']);
  });

  it('follows the line when etcd is compacted right up to its present revision, again and again', async () => {
    const compact = (): void => {
      const answer = cluster.etcdctl(['get', '/nothing', '--write-out=json']);
      const { revision } = (JSON.parse(answer) as { header: { revision: number } }).header;
      try {
        cluster.etcdctl(['compact', String(revision)]);
      } catch (error) {
        expect(String(error)).to.include('compacted');
      }
    };
    compact();
    const old = cluster.resourceManagers.get(term.resourceManagerId);
    old?.child.kill('SIGKILL');
    await old?.ended;
    compact();
    await followed();
    cluster.startResourceManager(term.resourceManagerId);
    compact();
    await cluster.settled();
  });
});
