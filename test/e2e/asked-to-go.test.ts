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
  let managers: RunningProcess[];

  beforeEach(async () => {
    cluster = await UpgradeCluster.start();
    managers = [cluster.resourceManager(0)];
    await cluster.settled(0);
  });
  afterEach(() => cluster.end());

  async function three(): Promise<void> {
    for (const n of [1, 2]) managers.push(cluster.resourceManager(n));
    for (const n of [0, 1]) cluster.taskExecutor(n, 6);
    await cluster.settled(2);
    await cluster.registered(2);
  }

  it('go alone: step-down is refused and changes nothing, SIGTERM leaves no key behind', async () => {
    const [only] = managers;
    const session = await sessionAt(only!);
    const { status, code, detail } = await stepDown(only!);
    expect([status, code]).to.deep.equal([409, 'CONFLICT']);
    expect(detail).to.contain('nobody else is in line');
    expect((await stepDown(only!, 'rm-2')).code).to.equal('CONFLICT');
    expect(await sessionAt(only!)).to.equal(session);
    expect(await only!.end('SIGTERM')).to.deep.equal(GONE);
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
    await three();
    const [leader] = managers;
    const session = await sessionAt(leader!);
    for (const pid of cluster.etcdPids) process.kill(pid, 'SIGSTOP');
    try {
      await eventually('it is suspended', async () => (await ask(leader!.address, '/leaderz')) === null);
      expect(await stepDown(leader!)).to.include({ status: 503, code: 'SUSPENDED' });
    } finally {
      for (const pid of cluster.etcdPids) process.kill(pid, 'SIGCONT');
    }
    await eventually('somebody serves', async () => (await ask(leader!.address, '/v1/leader')) !== null);
    if ((await sessionAt(leader!)) !== session) expect(leader!.text).to.contain('lease deadline passed');
  });

  it('go in their roles under load: standby, leader told twice, leader during a step-down, worker, job', async () => {
    await three();
    const load = await cluster.load('load', { held: 3, workers: 3 });
    const [first, second, third] = managers as [RunningProcess, RunningProcess, RunningProcess];
    // A standby.
    const session = await sessionAt(first);
    expect(await third.end()).to.deep.equal(GONE);
    expect(await sessionAt(first)).to.equal(session);
    const thirdAgain = cluster.resourceManager(2);
    await cluster.ready(thirdAgain);
    await cluster.settled(2);
    // The leader, told twice.
    first.child.kill('SIGTERM');
    first.child.kill('SIGTERM');
    expect(await first.end()).to.deep.equal(GONE);
    const firstAgain = cluster.resourceManager(0);
    await cluster.ready(firstAgain);
    await cluster.settled(2);
    // The leader, while it hands over by order.
    const leader = (await cluster.leader()) === 'rm-2' ? second : thirdAgain;
    const answered = stepDown(leader, 'rm-1').catch(() => null);
    expect(await leader.end()).to.deep.equal(GONE);
    await answered;
    await eventually('somebody leads', async () => (await cluster.leader([firstAgain])) !== null);
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
    await three();
    const ends = await Promise.all(managers.map((process) => process.end('SIGTERM')));
    expect(ends).to.deep.equal([GONE, GONE, GONE]);
    expect([...cluster.keys('election/'), ...cluster.keys('leader')]).to.deep.equal([]);
  });
});
