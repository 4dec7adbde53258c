import { expect } from 'chai';
import type { JobId, LeaderSessionId, ResourceId, ResourceManagerId } from '../../../src/core/ids.ts';
import { QuartermasterError } from '../../../src/core/problem.ts';
import type { ClusterEvent, LeaderView } from '../../../src/resourcemanager/operator-view.ts';
import { problemOf } from '../../support/problem-of.ts';
import { readyStandby } from '../../support/ready-standby.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import { candidate } from '../../support/testing-leader-election.ts';
import { TestingStandby } from '../../support/testing-standby.ts';
import { driven, freeSlot } from '../../support/testing-worker.ts';

const ALL = { limit: 100, after: null };
const own = candidate('rm-1', 'rm-1:1');

describe('what an operator sees', () => {
  it('is NO_LEADER, NOT_LEADER with the leader, SUSPENDED or the books', async () => {
    const bench = new ResourceManagerBench();
    const { view } = bench.resourceManager;
    const reads = [
      () => view.overview(),
      () => view.slots(ALL),
      () => view.taskExecutors(ALL),
      () => view.jobMasters(ALL),
    ];
    for (const read of reads) expect((await problemOf(read())).code).to.equal('NO_LEADER');
    const token = { generation: 1, epoch: 7n, leaderSessionId: 's' as LeaderSessionId };
    const resourceManagerId = 'rm-2' as ResourceManagerId;
    bench.election.setLeader({ resourceManagerId, address: 'rm-2:1', token, confirmedAt: '' });
    for (const read of [...reads, () => view.history(ALL)]) {
      const problem = await problemOf(read());
      expect(problem.code).to.equal('NOT_LEADER');
      expect(problem.leader).to.deep.equal({ resourceManagerId: 'rm-2', address: 'rm-2:1' });
    }
    expect(view.leader()).to.deep.equal({ resourceManagerId: 'rm-2', address: 'rm-2:1', ...token });
    bench.election.lead();
    for (const read of reads) await read();
    bench.election.suspend();
    for (const read of reads) expect((await problemOf(read())).code).to.equal('SUSPENDED');
  });

  it('says where the process stands', () => {
    const bench = new ResourceManagerBench();
    const { view } = bench.resourceManager;
    expect(view.status()).to.include({ state: 'starting', ready: false, serving: false, epoch: null });
    bench.election.setCandidates([own]);
    expect(view.status()).to.include({ state: 'standby', ready: true, serving: false });
    bench.election.grant();
    expect(view.status()).to.include({ state: 'confirming', ready: true, serving: false });
    const { token } = bench.election.confirm();
    expect(view.status()).to.include({ state: 'serving', serving: true, epoch: token.epoch });
    bench.election.suspend();
    expect(view.status()).to.include({ state: 'suspended', ready: true, serving: false });
  });

  it('follows the leader: the present one at once, then each change', () => {
    const bench = new ResourceManagerBench();
    const seen: (LeaderView | null)[] = [];
    const subscription = bench.resourceManager.view.watchLeader((leader) => seen.push(leader));
    const { token } = bench.election.lead();
    bench.election.revoke();
    subscription.cancel();
    bench.election.lead();
    expect(seen).to.deep.equal([null, { resourceManagerId: 'rm-1', address: 'rm-1:1', ...token }, null]);
  });

  it('comes in pages, in the order of the keys', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    for (const name of ['te-b', 'te-a', 'te-c']) {
      await (await bench.taskExecutor(name, { slots: 11 })).register(token);
    }
    const { view } = bench.resourceManager;
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof view.slots>> = await view.slots({ limit: 7, after });
      seen.push(...page.rows.map((row) => `${row.resourceId}/${row.slotNumber}`));
      after = page.next;
    } while (after !== null);
    expect(seen).to.have.length(33);
    expect(seen.slice(0, 12)).to.deep.equal([...Array.from({ length: 11 }, (_, n) => `te-a/${n}`), 'te-b/0']);
    const first = await view.taskExecutors({ limit: 2, after: null });
    expect(first.rows.map((row) => row.resourceId)).to.deep.equal(['te-a', 'te-b']);
    const second = await view.taskExecutors({ limit: 2, after: first.next });
    expect(second.rows.map((row) => row.resourceId)).to.deep.equal(['te-c']);
    expect(second.next).to.equal(null);
  });

  it('includes history, newest first, also while nobody leads', async () => {
    const bench = new ResourceManagerBench();
    for (const epoch of [9n, 10n, 200n]) {
      bench.putRecord(bench.keys.historyRow(1, epoch), { resourceManagerId: `rm-${epoch}` });
    }
    const { view } = bench.resourceManager;
    const first = await driven(bench.clock, view.history({ limit: 2, after: null }));
    expect(first.rows.map((row) => row.epoch)).to.deep.equal([200n, 10n]);
    expect(first.rows[0]?.record).to.deep.equal({ resourceManagerId: 'rm-200' });
    const second = await driven(bench.clock, view.history({ limit: 2, after: first.next }));
    expect(second.rows.map((row) => row.epoch)).to.deep.equal([9n]);
    expect(second.next).to.equal(null);
  });

  it('includes events: those kept after an id, then each as it happens', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const early: ClusterEvent[] = [];
    bench.resourceManager.view.watchEvents(0, (event) => early.push(event));
    const names = early.map(({ event }) => event);
    expect(names).to.include.members(['leadership-granted', 'leadership-confirmed', 'leader-changed']);
    await (await bench.taskExecutor('te-1')).register(token);
    expect(early.at(-1)).to.include({ kind: 'registration', event: 'task-executor-registered' });
    const late: ClusterEvent[] = [];
    bench.resourceManager.view.watchEvents(early.at(-2)?.id ?? 0, (event) => late.push(event));
    expect(late).to.deep.equal([early.at(-1)]);
  });
});

describe('what an operator orders', () => {
  it('drains and undrains a task executor, which is told by a command', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const { view } = bench.resourceManager;
    const resourceId = 'te-1' as ResourceId;
    expect((await problemOf(view.drain(resourceId, true))).code).to.equal('UNKNOWN_TASK_EXECUTOR');
    const taskExecutor = await bench.taskExecutor('te-1');
    taskExecutor.grants();
    await taskExecutor.register(token);
    await view.drain(resourceId, true);
    await bench.clock.until(() => taskExecutor.commands.length > 0);
    expect(taskExecutor.commands[0]?.body.commands).to.deep.equal([{ kind: 'drain', draining: true }]);
    expect((await view.taskExecutors(ALL)).rows[0]?.draining).to.equal(true);
  });

  it('forgets a task executor and a job master; they may register again', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const { view } = bench.resourceManager;
    const taskExecutor = await bench.taskExecutor('te-1');
    const jobMaster = await bench.jobMaster('job');
    await taskExecutor.register(token);
    await jobMaster.register(token);
    await driven(bench.clock, view.forgetTaskExecutor('te-1' as ResourceId));
    await driven(bench.clock, view.forgetJobMaster('job' as JobId));
    expect(bench.taskExecutorRecord('te-1')).to.include({ gone: true });
    expect(bench.jobMasterRecord('job')).to.equal(null);
    expect(await view.overview()).to.deep.include({ taskExecutors: 0, jobMasters: 0 });
    expect((await problemOf(view.forgetTaskExecutor('te-1' as ResourceId))).code).to.equal(
      'UNKNOWN_TASK_EXECUTOR',
    );
    expect((await problemOf(view.forgetJobMaster('job' as JobId))).code).to.equal('UNKNOWN_JOB_MASTER');
    expect((await problemOf(taskExecutor.heartbeat(token))).code).to.equal('UNKNOWN_TASK_EXECUTOR');
    await taskExecutor.register(token);
    await jobMaster.register(token);
    expect(bench.taskExecutorRecord('te-1')).to.include({ gone: false });
    expect(await view.overview()).to.deep.include({ taskExecutors: 1, jobMasters: 1 });
  });

  it('hands leadership over', async () => {
    const bench = new ResourceManagerBench();
    bench.election.lead();
    await readyStandby(bench, 'rm-2');
    await driven(bench.clock, bench.resourceManager.view.stepDown({ to: null, reason: 'maintenance' }));
    expect(bench.election.resignations).to.deep.equal([{ reason: 'maintenance' }]);
    expect(bench.resourceManager.leaderSessionId).to.equal(null);
    expect(
      (await problemOf(bench.resourceManager.view.stepDown({ to: null, reason: 'again' }))).code,
    ).to.equal('NO_LEADER');
  });

  it('hands leadership to the first that can take it, and to nobody when there is none, with the reasons', async () => {
    const bench = new ResourceManagerBench();
    const { view } = bench.resourceManager;
    bench.election.lead();
    const refused = await problemOf(view.stepDown({ to: null, reason: 'test' }));
    expect(refused).to.deep.equal({
      code: 'CONFLICT',
      detail: 'Nobody could take over: nobody else is in line.',
    });
    const [second, third] = [await readyStandby(bench, 'rm-2'), await readyStandby(bench, 'rm-2', 'rm-3')];
    second.answersPings = third.answersPings = false;
    await bench.clock.advance(6_000);
    const { code, detail } = await problemOf(view.stepDown({ to: null, reason: 'test' }));
    expect([code, detail.match(/rm-\d/g)]).to.deep.equal(['CONFLICT', ['rm-2', 'rm-3']]);
    expect(bench.election.resignations).to.deep.equal([]);
    expect(bench.resourceManager.view.status().serving).to.equal(true);
    third.answersPings = true;
    await bench.clock.advance(6_000);
    await driven(bench.clock, view.stepDown({ to: null, reason: 'test' }));
    expect(bench.election.resignations).to.deep.equal([{ reason: 'test', to: 'rm-3' }]);
  });

  it('begins no command meanwhile, though slots are freed, and goes on when the hand-over is refused', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    await readyStandby(bench, 'rm-2');
    const [slow, quick] = [await bench.taskExecutor('te-1'), await bench.taskExecutor('te-2', { slots: 0 })];
    await slow.register(token);
    await quick.register(token);
    const jobMaster = await bench.jobMaster('job');
    await jobMaster.register(token);
    await jobMaster.requestSlots(token, ['a-1', 'a-2']);
    await bench.clock.until(() => slow.commands.length === 1);
    bench.election.resignProblem = new QuartermasterError({ code: 'CONFLICT', detail: 'not in line' });
    const asked = problemOf(bench.resourceManager.view.stepDown({ to: null, reason: 'x' }));
    await bench.clock.advance(10);
    quick.slots = [freeSlot(0)];
    quick.grants();
    const { resourceId, instanceId, report } = quick.registration(token);
    quick.worker.channel.notify('reportSlots', { token, resourceId, instanceId, report });
    await bench.clock.advance(100);
    expect(quick.commands).to.have.length(0);
    const [{ respond }] = slow.commands as [(typeof slow.commands)[0]];
    respond({ results: [{ outcome: 'done', grantNumber: 1 }] });
    expect((await driven(bench.clock, asked)).code).to.equal('CONFLICT');
    await bench.clock.until(() => quick.commands.length > 0);
  });

  it('changes nothing when etcd falls silent before the resignation', async () => {
    const bench = new ResourceManagerBench();
    bench.election.lead();
    await readyStandby(bench, 'rm-2');
    const asked = problemOf(bench.resourceManager.view.stepDown({ to: null, reason: 'x' }));
    bench.election.suspend();
    expect((await driven(bench.clock, asked)).code).to.equal('SUSPENDED');
    expect(bench.election.resignations).to.deep.equal([]);
  });

  it('refuses to hand over to one that is not in line, connected, ready and of a version that fits', async () => {
    const bench = new ResourceManagerBench();
    const { view } = bench.resourceManager;
    bench.election.lead();
    const to = 'rm-2' as ResourceManagerId;
    const refusal = async (code = 'CONFLICT'): Promise<string> => {
      const problem = await problemOf(view.stepDown({ to, reason: 'test' }));
      expect(problem.code).to.equal(code);
      return problem.detail;
    };
    expect(await refusal()).to.contain('not in line');
    bench.election.setCandidates([own, candidate('rm-2', 'rm-2:1')]);
    await bench.clock.advance(3_000);
    expect(await refusal()).to.contain('no connection');
    const standby = new TestingStandby(bench.clock, bench.network, 'rm-2', 'rm-2:1', 'rm-2-boot');
    standby.answersPings = false;
    await bench.clock.until(() => standby.introductions > 0);
    await bench.clock.advance(10);
    expect(await refusal()).to.contain('has not answered');
    standby.answersPings = true;
    await bench.clock.advance(6_000);
    expect((await view.overview()).standbys).to.deep.equal([
      { resourceManagerId: 'rm-2', address: 'rm-2:1', version: '0.1.0', connected: true, ready: true },
    ]);
    const tooFar = { protocolVersion: 9, oldestProtocolVersion: 8 };
    bench.election.setCandidates([own, candidate('rm-2', 'rm-2:1', 'rm-2-boot', tooFar)]);
    expect(await refusal('UNSUPPORTED_VERSION')).to.contain('8 to 9');
    bench.election.setCandidates([own, candidate('rm-2', 'rm-2:1', 'another process')]);
    expect(await refusal(), 'another process answers there').to.contain('has not answered');
    expect(bench.resourceManager.leaderSessionId).not.to.equal(null);
    const next = { protocolVersion: 2, oldestProtocolVersion: 1 };
    bench.election.setCandidates([own, candidate('rm-2', 'rm-2:1', 'rm-2-boot', next)]);
    await driven(bench.clock, view.stepDown({ to, reason: 'test' }));
    expect(bench.election.resignations).to.deep.equal([{ reason: 'test', to }]);
  });

  it('goes on leading when the resignation is refused', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    await readyStandby(bench, 'rm-2');
    bench.election.resignProblem = new QuartermasterError({ code: 'CONFLICT', detail: 'not in line' });
    const { view } = bench.resourceManager;
    expect((await problemOf(driven(bench.clock, view.stepDown({ to: null, reason: 'x' })))).code).to.equal(
      'CONFLICT',
    );
    await (await bench.jobMaster('job')).register(token);
  });
});

describe('the connections between resource managers', () => {
  it('go to every other candidate in line, and to nobody that a client names', async () => {
    const bench = new ResourceManagerBench();
    const first = new TestingStandby(bench.clock, bench.network, 'rm-2', 'rm-2:1', 'rm-2-boot');
    const second = new TestingStandby(bench.clock, bench.network, 'rm-3', 'rm-3:1', 'rm-3-boot');
    first.view = {
      ...first.view,
      candidates: [{ resourceManagerId: 'rm-3' as ResourceManagerId, address: 'rm-3:1' }],
    };
    bench.election.setCandidates([own, candidate('rm-2', 'rm-2:1')]);
    await bench.clock.advance(500);
    expect(first.introductions).to.equal(1);
    expect(second.introductions).to.equal(0);
    bench.election.setCandidates([own, candidate('rm-3', 'rm-3:1')]);
    await bench.clock.advance(500);
    expect(second.introductions).to.equal(1);
    expect(first.open).to.equal(0);
  });
});

describe('the end of a resource manager', () => {
  it('refuses work, lets what is under way finish, leaves the line and hangs up', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    const jobMaster = await bench.jobMaster('job');
    await jobMaster.register(token);
    await jobMaster.requestSlots(token, ['a-1']);
    await bench.clock.until(() => taskExecutor.commands.length > 0);
    const stopped = bench.resourceManager.stop('SIGTERM');
    await bench.clock.advance(20);
    expect(bench.election.stopped, 'a call is under way').to.equal(null);
    expect((await problemOf(jobMaster.requestSlots(token, ['a-2']))).code).to.equal('UNAVAILABLE');
    taskExecutor.commands[0]?.respond({ results: [{ outcome: 'done', grantNumber: 1 }] });
    await bench.clock.until(() => jobMaster.worker.heard('notifySlotsAllocated').length > 0);
    await driven(bench.clock, stopped);
    expect(bench.election.stopped).to.equal('SIGTERM');
    await bench.clock.advance(1);
    expect(taskExecutor.worker.closed).not.to.equal(null);
    expect(bench.resourceManager.view.status().state).to.equal('stopping');
    expect((await problemOf(bench.resourceManager.view.overview())).code).to.equal('UNAVAILABLE');
  });

  it('does not wait long for a task executor that does not answer', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    const jobMaster = await bench.jobMaster('job');
    await jobMaster.register(token);
    await jobMaster.requestSlots(token, ['a-1']);
    const startMs = bench.clock.monotonicMs();
    await driven(bench.clock, bench.resourceManager.stop('SIGTERM'));
    expect(bench.clock.monotonicMs() - startMs).to.be.at.most(600);
  });

  it('hands leadership past a next in line that does not answer', async () => {
    const bench = new ResourceManagerBench();
    bench.election.lead();
    const [second] = [await readyStandby(bench, 'rm-2'), await readyStandby(bench, 'rm-2', 'rm-3')];
    second.answersPings = false;
    await bench.clock.advance(6_000);
    await driven(bench.clock, bench.resourceManager.stop('SIGTERM'));
    expect(bench.election.resignations).to.deep.equal([{ reason: 'SIGTERM', to: 'rm-3' }]);
    expect(bench.election.stopped).to.equal('SIGTERM');
  });

  it('hangs up only when its successor has had a while to take over', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    await readyStandby(bench, 'rm-2');
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    const stopped = bench.resourceManager.stop('SIGTERM');
    await bench.clock.until(() => bench.election.stopped !== null);
    await bench.clock.advance(150);
    expect(bench.resourceManager.leaderSessionId, 'it leads no more').to.equal(null);
    expect(taskExecutor.worker.closed, 'while it stands aside').to.equal(null);
    await driven(bench.clock, stopped);
    await bench.clock.advance(1);
    expect(taskExecutor.worker.closed).not.to.equal(null);
  });
});
