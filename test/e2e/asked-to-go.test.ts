import { expect } from 'chai';
import { ask, UpgradeCluster, type RunningProcess } from '../support/upgrade-cluster.ts';
import { eventually } from '../support/eventually.ts';

const GONE = { code: 0, signal: null };

interface Answer {
  readonly status: number;
  readonly code: string | null;
  readonly detail: string | null;
}

async function stepDown({ address }: RunningProcess, to?: string): Promise<Answer> {
  const answer = await fetch(`http://${address}/v1/step-down`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'a test', ...(to === undefined ? {} : { to }) }),
    // The promise is an answer within 2 seconds; a busy machine gets some more.
    signal: AbortSignal.timeout(10_000),
  });
  const text = await answer.text();
  const problem = (text === '' ? {} : JSON.parse(text)) as { code?: string; detail?: string };
  return { status: answer.status, code: problem.code ?? null, detail: problem.detail ?? null };
}

async function sessionAt({ address }: RunningProcess): Promise<string | null> {
  return (await ask<{ leaderSessionId: string }>(address, '/v1/leader'))?.leaderSessionId ?? null;
}

describe('processes that are asked to go', function () {
  this.timeout(240_000);
  let cluster: UpgradeCluster;

  before(async () => {
    cluster = await UpgradeCluster.start();
  });
  after(() => cluster?.end());

  /** Three resource managers, the leader first, and two workers: those that run, and new ones where there are none. */
  async function three(): Promise<[RunningProcess, RunningProcess, RunningProcess]> {
    const runs = (id: string): boolean => cluster.processes.some((process) => process.id === id);
    for (const n of [0, 1, 2]) if (!runs(`rm-${n + 1}`)) cluster.resourceManager(n);
    for (const n of [0, 1]) if (!runs(`te-${n + 1}`)) cluster.taskExecutor(n, 6);
    await cluster.settled(2);
    await cluster.registered(2);
    const leader = await cluster.leader();
    const managers = cluster.processes.filter(({ id }) => id.startsWith('rm-'));
    const leaderFirst = managers.toSorted((a, b) => Number(b.id === leader) - Number(a.id === leader));
    return leaderFirst as [RunningProcess, RunningProcess, RunningProcess];
  }

  /** The same resource manager, in another process. */
  async function startAgain({ id }: RunningProcess): Promise<RunningProcess> {
    const again = cluster.resourceManager(Number(id.at(-1)) - 1);
    await cluster.ready(again);
    await cluster.settled(2);
    return again;
  }

  it('go alone: step-down is refused and changes nothing, SIGTERM leaves no key behind', async () => {
    const only = cluster.resourceManager(0);
    await cluster.settled(0);
    const session = await sessionAt(only);
    let answer = await stepDown(only);
    // On a machine that is busy for a moment its checks may be late.
    await eventually('it serves', async () => {
      if (answer.code === 'SUSPENDED') answer = await stepDown(only);
      return answer.code !== 'SUSPENDED';
    });
    expect([answer.status, answer.code]).to.deep.equal([409, 'CONFLICT']);
    expect(answer.detail).to.contain('nobody else is in line');
    expect((await stepDown(only, 'rm-2')).code).to.equal('CONFLICT');
    expect(await sessionAt(only)).to.equal(session);
    expect(await only.end('SIGTERM')).to.deep.equal(GONE);
    expect([...cluster.keys('election/'), ...cluster.keys('leader')]).to.deep.equal([]);
    const history = cluster.etcdctl(
      'get',
      '--prefix',
      '--print-value-only',
      '/quartermaster/upgrade/history/',
    );
    expect(history).to.contain('told to end by SIGTERM');
  });

  it('stay when etcd does not answer: step-down says so and changes nothing', async () => {
    const [leader] = await three();
    const session = await sessionAt(leader);
    for (const pid of cluster.etcdPids) process.kill(pid, 'SIGSTOP');
    try {
      await eventually('it is suspended', async () => (await ask(leader.address, '/leaderz')) === null);
      expect(await stepDown(leader)).to.include({ status: 503, code: 'SUSPENDED' });
    } finally {
      for (const pid of cluster.etcdPids) process.kill(pid, 'SIGCONT');
    }
    await eventually('somebody serves', async () => (await ask(leader.address, '/v1/leader')) !== null);
    if ((await sessionAt(leader)) !== session) expect(leader.text).to.contain('lease deadline passed');
  });

  it('go in their roles under load: standby, leader told twice, leader during a step-down, worker, job', async () => {
    const [first, second, third] = await three();
    const load = await cluster.load('load', { held: 3, workers: 3 });
    // A standby.
    const session = await sessionAt(first);
    expect(await third.end()).to.deep.equal(GONE);
    expect(await sessionAt(first)).to.equal(session);
    const thirdAgain = await startAgain(third);
    // The leader, told twice.
    first.child.kill('SIGTERM');
    first.child.kill('SIGTERM');
    expect(await first.end()).to.deep.equal(GONE);
    const firstAgain = await startAgain(first);
    // The leader, while it hands over by order.
    const leader = (await cluster.leader()) === second.id ? second : thirdAgain;
    const answered = stepDown(leader, first.id).catch(() => null);
    expect(await leader.end()).to.deep.equal(GONE);
    await answered;
    await eventually('somebody leads', async () => (await cluster.leader([firstAgain])) !== null);
    await startAgain(leader);
    // A job, which gives back what it holds, and a worker without leases.
    const job = cluster.jobMaster('by-hand', 2);
    await eventually(
      'it has its slots',
      () => job.log.filter(({ event }) => event === 'granted').length === 2,
    );
    expect(await job.end()).to.deep.equal(GONE);
    const worker = cluster.taskExecutor(2, 1);
    await cluster.registered(3);
    expect(await worker.end()).to.deep.equal(GONE);
    await cluster.registered(2);
    await load.end();
    expect(load.troubles).to.deep.equal([]);
  });

  it('go all at once, and leave neither candidates nor a leader behind', async () => {
    const ends = await Promise.all((await three()).map((process) => process.end('SIGTERM')));
    expect(ends).to.deep.equal([GONE, GONE, GONE]);
    expect([...cluster.keys('election/'), ...cluster.keys('leader')]).to.deep.equal([]);
  });
});
