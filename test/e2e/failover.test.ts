import { expect } from 'chai';
import { DevRun, QUICK_CLUSTER } from '../support/dev-run.ts';
import { eventually } from '../support/eventually.ts';

interface Leader {
  readonly resourceManagerId: string;
  readonly address: string;
  readonly leaderSessionId: string;
  readonly generation: number;
  readonly epoch: string;
}

interface SlotRow {
  readonly resourceId: string;
  readonly slotNumber: number;
  readonly state: string;
  readonly allocationId: string | null;
  readonly jobId: string | null;
  readonly grantNumber: number | null;
}

interface Overview {
  readonly leader: Leader;
  readonly standbys: readonly { ready: boolean }[];
  readonly taskExecutors: number;
  readonly pendingRequests: number;
  readonly slots: Readonly<Record<string, number>>;
}

describe('failover of a cluster of dev', function () {
  this.timeout(60_000);
  let dev: DevRun;

  before(async () => {
    dev = await DevRun.up(...QUICK_CLUSTER);
  });
  after(() => dev.end());

  const pidOf = (id: string): number => {
    // A process that was started again has another number than in the line that dev printed.
    const [pid] = dev.children(`--id=${id} `);
    if (pid === undefined) throw new Error(`${id} does not run`);
    return pid;
  };

  async function leader(): Promise<Leader> {
    const now = await dev.ask<Leader>('/v1/leader');
    if (now === null) throw new Error('nobody leads');
    return now;
  }

  const overview = (): Promise<Overview | null> => dev.ask<Overview>('/v1/overview?relay=true');

  /** Slot, allocation and grant of everything that the job holds, in order; empty while nobody can tell. */
  async function held(jobId = 'demo'): Promise<string[]> {
    const answer = await dev.ask<{ slots: SlotRow[] }>('/v1/slots?relay=true');
    return (answer?.slots ?? [])
      .filter((slot) => slot.jobId === jobId && slot.state === 'allocated')
      .map((slot) => `${slot.resourceId}/${slot.slotNumber} ${slot.allocationId} ${slot.grantNumber}`)
      .toSorted();
  }

  async function leaderAfter(before: Leader): Promise<Leader> {
    let after: Leader | null = null;
    await eventually(
      'somebody else leads',
      async () => {
        after = await dev.ask<Leader>('/v1/leader');
        return after !== null && after.leaderSessionId !== before.leaderSessionId;
      },
      20_000,
    );
    const next = await leader();
    expect(BigInt(next.epoch) > BigInt(before.epoch), `${next.epoch} > ${before.epoch}`).to.equal(true);
    return next;
  }

  async function holdsAgain(expected: readonly string[]): Promise<void> {
    let now: string[] = [];
    await eventually(
      'the books show the leases of before',
      async () => {
        now = await held();
        return now.length >= expected.length;
      },
      20_000,
    );
    expect(now).to.deep.equal(expected);
  }

  async function standbysReady(): Promise<void> {
    await eventually(
      'two standbys are ready',
      async () => (await overview())?.standbys.filter((each) => each.ready).length === 2,
      20_000,
    );
  }

  it('shows one and the same thing in etcdctl, status, slots and leader', async () => {
    const now = await dev.json<Leader>('leader');
    const candidates = dev.etcdctl('get', '--prefix', '/quartermaster/dev/election/', '--print-value-only');
    expect(candidates.trim().split('\n')).to.have.length(3);
    const record = JSON.parse(
      dev.etcdctl('get', '/quartermaster/dev/leader', '--print-value-only'),
    ) as Leader;
    expect(record).to.include({
      resourceManagerId: now.resourceManagerId,
      leaderSessionId: now.leaderSessionId,
      epoch: now.epoch,
    });
    const head = dev.etcdctl(
      'get',
      '--prefix',
      '--sort-by=CREATE',
      // Without an order etcd cuts to the limit before it sorts.
      '--order=ASCEND',
      '--limit=1',
      '/quartermaster/dev/election/',
      '-w',
      'json',
    );
    const [first] = (JSON.parse(head) as { kvs: { create_revision: number; lease: number }[] }).kvs;
    expect(String(first!.create_revision)).to.equal(now.epoch);
    const status = await dev.json<{ leader: Leader; slots: Record<string, number>; taskExecutors: number }>(
      'status',
    );
    expect(status.leader).to.deep.equal(now);
    expect(status.slots).to.include({ total: 8, free: 3, allocated: 5 });
    const { slots } = await dev.json<{ slots: SlotRow[] }>('slots');
    expect(slots.filter((slot) => slot.jobId === 'demo' && slot.state === 'allocated')).to.have.length(5);
    const watch = dev.start('leader', '--watch', '--json');
    await eventually('the watch has told it', () => watch.jsonLines.length === 1);
    expect(watch.jsonLines[0]).to.deep.equal(now);
    expect((await watch.end()).code).to.equal(0);
  });

  it('has a new leader with a higher epoch after kill -9, and the job keeps its 5 leases', async () => {
    const [before, leases] = [await leader(), await held()];
    process.kill(pidOf(before.resourceManagerId), 'SIGKILL');
    await leaderAfter(before);
    await holdsAgain(leases);
    await eventually('the killed one is started again', () => dev.resourceManagerPids().length === 3);
  });

  it('has a new leader at once after SIGTERM, and the job keeps its 5 leases', async () => {
    await standbysReady();
    const [before, leases] = [await leader(), await held()];
    const watch = dev.start('leader', '--watch', '--json');
    await eventually('the watch has told the leader', () => watch.jsonLines.length === 1);
    const startMs = performance.now();
    process.kill(pidOf(before.resourceManagerId), 'SIGTERM');
    await eventually('the watch has told the next one', () =>
      watch.jsonLines.some((line) => line !== null && line['epoch'] !== before.epoch),
    );
    // A lease that has to run out takes 2 seconds at least, counted from its last renewal.
    expect(performance.now() - startMs).to.be.lessThan(1_900);
    await watch.end();
    await leaderAfter(before);
    await holdsAgain(leases);
  });

  it('hands leadership to the one that step-down names, and writes down why', async () => {
    const before = await leader();
    const to = ['rm-1', 'rm-2', 'rm-3'].find((id) => id !== before.resourceManagerId)!;
    await standbysReady();
    expect(await dev.run('step-down', '--to', to, '--reason', 'a test')).to.include({ code: 0, stderr: '' });
    const after = await leaderAfter(before);
    expect(after.resourceManagerId).to.equal(to);
    const { history } = await dev.json<{ history: { epoch: string; ended: { reason: string } | null }[] }>(
      'history',
    );
    expect(history[0]).to.include({ epoch: after.epoch, ended: null });
    expect(history.find((row) => row.epoch === before.epoch)?.ended?.reason).to.contain('a test');
    expect((await dev.run('step-down', '--to', 'nobody')).code).to.equal(1);
  });

  it('lets a task executor and a job join by hand, and frees the slots on SIGINT', async () => {
    const executor = dev.start(
      'task-executor',
      '--id',
      'te-by-hand',
      '--slots',
      '1',
      '--cpu',
      '8',
      '--slots-die-with-process',
    );
    await eventually('it has registered', async () => (await overview())?.taskExecutors === 3);
    const job = dev.start('job-master', '--job', 'by-hand', '--slots', '1', '--cpu', '8');
    await eventually('it has its slot', () => job.jsonLines.length === 1);
    expect(job.jsonLines[0]).to.include({
      event: 'granted',
      jobId: 'by-hand',
      resourceId: 'te-by-hand',
      slotNumber: 0,
    });
    const others = dev.start('job-master', '--job', 'three-more', '--slots', '3');
    await eventually('three more have come', () => others.jsonLines.length === 3);
    expect((await held('three-more')).length).to.equal(3);
    for (const each of [job, others]) expect((await each.end('SIGINT')).code).to.equal(0);
    expect([await held('by-hand'), await held('three-more')]).to.deep.equal([[], []]);
    const { code } = await executor.end('SIGINT');
    expect(code).to.equal(0);
    await eventually('it has said goodbye', async () => (await overview())?.taskExecutors === 2);
  });

  it('gives no slots of a drained task executor, until it is undrained', async () => {
    expect((await overview())?.slots['free']).to.equal(3);
    const each = async (verb: string): Promise<(number | null)[]> =>
      (await Promise.all(['te-1', 'te-2'].map((id) => dev.run(verb, id)))).map(({ code }) => code);
    expect(await each('drain')).to.deep.equal([0, 0]);
    const job = dev.start('job-master', '--job', 'waits', '--slots', '1');
    await eventually('it waits', async () => (await overview())?.pendingRequests === 1);
    expect(await each('undrain')).to.deep.equal([0, 0]);
    await eventually('it has its slot', () => job.jsonLines.length === 1);
    await job.end();
    expect((await dev.run('drain', 'nobody')).code).to.equal(1);
  });

  it('goes on holding its leases while every resource manager and etcd stand still for two lease times', async () => {
    const leases = await held();
    const stopped = [...dev.resourceManagerPids(), ...dev.children('--listen-client-urls')];
    expect(stopped).to.have.length(4);
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 7_000));
    for (const pid of stopped) process.kill(pid, 'SIGCONT');
    await holdsAgain(leases);
    expect(dev.command.stderr).not.to.contain('has no longer slot');
  });
});
