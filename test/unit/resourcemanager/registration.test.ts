import { expect } from 'chai';
import type { AllocationId } from '../../../src/core/ids.ts';
import { DEFAULT_TIMING } from '../../../src/core/timing.ts';
import { withClaimedSlot } from '../../support/claimed-slot.ts';
import { problemOf } from '../../support/problem-of.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import { driven, TestingTaskExecutor, TestingWorker } from '../../support/testing-worker.ts';

describe('the registration of task executors', () => {
  it('is acknowledged only after the guarded write has committed', async () => {
    const bench = new ResourceManagerBench();
    const leadership = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    let recordAtWrite: unknown = 'not written';
    leadership.beforeWrite = () => {
      recordAtWrite = bench.taskExecutorRecord('te-1');
    };
    const { knownBefore } = await taskExecutor.register(leadership.token);
    expect(knownBefore).to.equal(false);
    expect(recordAtWrite).to.equal(null);
    expect(bench.taskExecutorRecord('te-1')).to.deep.include({
      instanceId: 'te-1-1',
      address: 'te-1:1',
      slots: 1,
      provider: null,
      leaderSessionId: leadership.token.leaderSessionId,
      generation: 1,
      epoch: leadership.token.epoch.toString(),
    });
    const [write] = leadership.writes;
    expect(write?.alsoIf, 'the guard of the written key').to.deep.equal([
      { key: bench.keys.taskExecutor('te-1'), target: 'mod', result: '==', operand: 0n },
    ]);
  });

  it('is not acknowledged when the leader was deposed between the question and the write', async () => {
    const bench = new ResourceManagerBench();
    const leadership = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    leadership.beforeWrite = () => bench.election.depose();
    expect((await problemOf(taskExecutor.register(leadership.token))).code).to.equal('NOT_LEADER');
    expect(bench.taskExecutorRecord('te-1')).to.equal(null);
    expect((await bench.resourceManager.view.overview()).taskExecutors).to.equal(0);
  });

  it('is not acknowledged when the term was revoked while the write was under way', async () => {
    const bench = new ResourceManagerBench();
    const leadership = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    leadership.beforeWrite = () => bench.clock.schedule(0, () => bench.election.revoke());
    expect((await problemOf(taskExecutor.register(leadership.token))).code).to.equal('NOT_LEADER');
  });

  it('recognises an earlier copy of its own write', async () => {
    const bench = new ResourceManagerBench();
    const leadership = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    // The first copy commits, its answer is lost, the second one finds its guard broken.
    leadership.beforeWrite = () => {
      leadership.beforeWrite = () => {};
      const [write] = leadership.writes;
      bench.etcd.state.transact({ compare: [], success: write?.operations ?? [], failure: [] });
    };
    expect(await taskExecutor.register(leadership.token)).to.deep.equal({ knownBefore: false });
  });

  it('is judged again when the key turns out to hold something else', async () => {
    const bench = new ResourceManagerBench();
    const leadership = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await bench.clock.advance(5);
    leadership.beforeWrite = () => {
      leadership.beforeWrite = () => {};
      const record = { instanceId: 'other', address: 'te-1:1', slots: 1, provider: null };
      const written = { leaderSessionId: 's', generation: 1, epoch: '1' };
      bench.putRecord(bench.keys.taskExecutor('te-1'), { ...record, ...written });
    };
    expect(await taskExecutor.register(leadership.token)).to.deep.equal({ knownBefore: true });
    expect(bench.taskExecutorRecord('te-1')).to.deep.include({
      instanceId: 'te-1-1',
      superseded: ['other'],
    });
  });

  it('puts many into one transaction, at most 100', async () => {
    const bench = new ResourceManagerBench();
    const leadership = bench.election.lead();
    await bench.clock.advance(5);
    const taskExecutors = [];
    for (let index = 0; index < 150; index += 1) taskExecutors.push(await bench.taskExecutor(`te-${index}`));
    const replies = taskExecutors.map((taskExecutor) =>
      taskExecutor.worker.channel.call(
        'registerTaskExecutor',
        taskExecutor.registration(leadership.token),
        5_000,
      ),
    );
    await driven(bench.clock, Promise.all(replies));
    expect(leadership.writes.length).to.be.at.most(4);
    for (const write of leadership.writes) expect(write.operations.length).to.be.at.most(100);
  });

  it('tells a new instance that the resource id was known before, also when it asks again', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const older = await bench.taskExecutor('te-1', { instance: 'older' });
    expect(await older.register(token)).to.deep.equal({ knownBefore: false });
    older.worker.close();
    const newer = await bench.taskExecutor('te-1', { instance: 'newer' });
    expect(await newer.register(token)).to.deep.equal({ knownBefore: true });
    expect(await newer.register(token), 'the answer was lost').to.deep.equal({ knownBefore: true });
  });

  it('tells one of which etcd has no record that it was known before, once etcd has lost something', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead(2);
    const taskExecutor = await bench.taskExecutor('te-1');
    expect(await taskExecutor.register(token)).to.deep.equal({ knownBefore: true });
    expect(await taskExecutor.register(token), 'the answer was lost').to.deep.equal({ knownBefore: true });
  });

  it('keeps the newer of two processes with one id, answers the older with SUPERSEDED and raises an alarm', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const older = await bench.taskExecutor('te-1', { instance: 'older' });
    await older.register(token);
    const newer = await bench.taskExecutor('te-1', { instance: 'newer' });
    await newer.register(token);
    await bench.clock.advance(1);
    expect(older.worker.heard('problem')[0]?.code).to.equal('SUPERSEDED');
    const replaced = bench.logger.lines.find((line) => line.event === 'task-executor-replaced');
    expect(replaced?.level).to.equal('error');
    expect((await problemOf(older.heartbeat(token))).code).to.equal('SUPERSEDED');
    expect((await problemOf(older.register(token))).code).to.equal('SUPERSEDED');
    expect(bench.logger.of('task-executor-id-used-twice')).to.have.length(1);
    await newer.heartbeat(token);

    bench.election.revoke();
    const next = bench.election.lead();
    expect((await problemOf(older.register(next.token))).code, 'at the next leader').to.equal('SUPERSEDED');
    await newer.register(next.token);
  });

  it('refuses a message in the name of another process, and a report that cannot be', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    const { channel } = taskExecutor.worker;
    const good = taskExecutor.registration(token);
    const ask = (body: typeof good) =>
      problemOf(driven(bench.clock, channel.call('registerTaskExecutor', body, 500)));
    expect(await ask({ ...good, resourceId: 'te-2' as never })).to.deep.include({
      code: 'INVALID',
      fields: [{ field: 'resourceId', detail: 'is not the one introduced here' }],
    });
    expect((await ask({ ...good, report: { ...good.report, full: false } })).code).to.equal('INVALID');
    const [slot] = good.report.slots;
    const twice = { ...good.report, slots: slot === undefined ? [] : [slot, slot] };
    expect((await ask({ ...good, report: twice })).code).to.equal('INVALID');
    expect(bench.taskExecutorRecord('te-1')).to.equal(null);
  });

  it('remembers what is reported while it is under way', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    const { resourceId, instanceId, worker } = taskExecutor;
    const registered = worker.channel.call('registerTaskExecutor', taskExecutor.registration(token), 5_000);
    const { report } = taskExecutor.registration(token);
    worker.channel.notify('reportSlots', { token, resourceId, instanceId, report });
    await driven(bench.clock, registered);
    await bench.clock.advance(10);
    expect(worker.heard('problem')).to.have.length(0);
    expect(worker.heard('requestSlotReport').length, 'the later report is asked for again').to.be.greaterThan(
      0,
    );
  });

  it('needs an introduction first', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    const worker = await TestingWorker.dial(bench.clock, bench.network, 'task-executor', 'te-9', 'rm-1:1');
    const stranger = new TestingTaskExecutor(worker, 'te-9', 'te-9-1', 1);
    expect((await problemOf(stranger.register(token))).code).to.equal('UNAUTHORIZED');
    await taskExecutor.register(token);
  });

  it('ends with the goodbye: the record goes, then the slots', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    const { resourceId, instanceId } = taskExecutor;
    const goodbye = { token, resourceId, instanceId, reason: 'done' };
    await taskExecutor.worker.call('disconnectTaskExecutor', goodbye);
    expect(bench.taskExecutorRecord('te-1')).to.equal(null);
    expect((await bench.resourceManager.view.overview()).slots.total).to.equal(0);
  });
});

describe('the silence of workers', () => {
  it('makes a task executor unreachable at once when its connection breaks, and gone after its last lease', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    taskExecutor.worker.close();
    await bench.clock.advance(10);
    const { view } = bench.resourceManager;
    expect((await view.overview()).slots).to.include({ total: 1, unknown: 1, free: 0 });
    const { heartbeatTimeoutMs, slotLeaseMs } = DEFAULT_TIMING;
    await bench.clock.advance(heartbeatTimeoutMs + slotLeaseMs - 100);
    expect(bench.taskExecutorRecord('te-1')).not.to.equal(null);
    await bench.clock.advance(2_000);
    expect(bench.taskExecutorRecord('te-1')).to.equal(null);
    expect((await view.overview()).slots.total).to.equal(0);
  });

  it('hangs up on a task executor that says nothing for the heartbeat timeout', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    await bench.clock.advance(DEFAULT_TIMING.heartbeatTimeoutMs + 2_000);
    expect(taskExecutor.worker.closed).not.to.equal(null);
    expect((await bench.resourceManager.view.overview()).slots.unknown).to.equal(1);
  });

  it('lets a task executor that pings stay', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    for (let second = 0; second < 60; second += 5) {
      await taskExecutor.worker.call('ping', {});
      await bench.clock.advance(5_000);
    }
    expect((await bench.resourceManager.view.overview()).slots.free).to.equal(1);
  });

  it('keeps a task executor that its job masters still hold slots of', async () => {
    const { bench, token, taskExecutor, jobMaster } = await withClaimedSlot();
    const { jobId, jobMasterId } = jobMaster;
    taskExecutor.worker.close();
    const { heartbeatTimeoutMs, slotLeaseMs } = DEFAULT_TIMING;
    const heartbeat = { token, jobId, jobMasterId, unfinished: [], held: ['a-1' as AllocationId] };
    for (let ms = 0; ms < 2 * (heartbeatTimeoutMs + slotLeaseMs); ms += 5_000) {
      await jobMaster.worker.call('heartbeatJobMaster', heartbeat);
      await bench.clock.advance(5_000);
    }
    expect(bench.taskExecutorRecord('te-1')).not.to.equal(null);
    for (let ms = 0; ms < heartbeatTimeoutMs; ms += 5_000) {
      await jobMaster.worker.call('heartbeatJobMaster', { ...heartbeat, held: [] });
      await bench.clock.advance(5_000);
    }
    expect(bench.taskExecutorRecord('te-1')).to.equal(null);
  });

  it('tells a new instance that it was known before, though nothing was heard of the one before for long', async () => {
    const { bench, token, taskExecutor, jobMaster } = await withClaimedSlot();
    // The job master may go on to renew: it is cut off as well.
    taskExecutor.worker.close();
    jobMaster.worker.close();
    await bench.clock.advance(2 * (DEFAULT_TIMING.heartbeatTimeoutMs + DEFAULT_TIMING.slotLeaseMs));
    expect((await bench.resourceManager.view.overview()).slots.total).to.equal(0);
    expect(bench.taskExecutorRecord('te-1')).to.include({ gone: true });
    const next = await bench.taskExecutor('te-1', { instance: 'te-1-2' });
    expect(await next.register(token)).to.deep.equal({ knownBefore: true });
    expect(bench.taskExecutorRecord('te-1')).to.include({ gone: false });
  });

  it('does not take a job master that has not said yet what it holds for one that holds nothing', async () => {
    const { bench, token, taskExecutor, jobMaster } = await withClaimedSlot();
    const { heartbeatTimeoutMs, slotLeaseMs } = DEFAULT_TIMING;
    for (const { worker } of [taskExecutor, jobMaster]) worker.close();
    await bench.clock.advance(heartbeatTimeoutMs + slotLeaseMs - 1_000);
    await (await bench.jobMaster('job')).register(token);
    await bench.clock.advance(3_000);
    expect((await bench.resourceManager.view.overview()).taskExecutors).to.equal(0);
    const next = await bench.taskExecutor('te-1', { instance: 'te-1-2' });
    expect(await next.register(token)).to.deep.equal({ knownBefore: true });
  });

  it('does not wait, after a take-over, for a task executor that was silent for so long', async () => {
    const { bench, token, taskExecutor, jobMaster } = await withClaimedSlot();
    taskExecutor.worker.close();
    jobMaster.worker.close();
    await bench.clock.advance(2 * (DEFAULT_TIMING.heartbeatTimeoutMs + DEFAULT_TIMING.slotLeaseMs));
    bench.election.revoke();
    const next = bench.election.lead();
    expect(next.token.epoch > token.epoch).to.equal(true);
    await bench.clock.advance(1_000);
    expect((await bench.resourceManager.view.overview()).slots.total).to.equal(0);
    const again = await bench.taskExecutor('te-1', { instance: 'te-1-2' });
    expect(await again.register(next.token)).to.deep.equal({ knownBefore: true });
  });

  it('does not take its own standstill for the silence of others', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    bench.clock.freeze(60_000);
    await bench.clock.advance(2_000);
    expect(taskExecutor.worker.closed).to.equal(null);
    expect((await bench.resourceManager.view.overview()).slots.free).to.equal(1);
  });

  it('ends a job master after heartbeat timeout and lease', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const jobMaster = await bench.jobMaster('job');
    await jobMaster.register(token);
    await jobMaster.requestSlots(token, ['a-1']);
    const { heartbeatTimeoutMs, slotLeaseMs } = DEFAULT_TIMING;
    await bench.clock.advance(heartbeatTimeoutMs + slotLeaseMs - 1_500);
    expect(bench.jobMasterRecord('job')).not.to.equal(null);
    await bench.clock.advance(3_000);
    expect(bench.jobMasterRecord('job')).to.equal(null);
    const overview = await bench.resourceManager.view.overview();
    expect(overview).to.include({ jobMasters: 0, pendingRequests: 0 });
  });

  it('does not let a job master come back over a newer one after its record was removed', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const older = await bench.jobMaster('job', 'job-1');
    const { order } = await older.register(token);
    const { heartbeatTimeoutMs, slotLeaseMs } = DEFAULT_TIMING;
    await bench.clock.advance(heartbeatTimeoutMs + slotLeaseMs + 2_000);
    expect(bench.jobMasterRecord('job')).to.equal(null);
    const newer = await bench.jobMaster('job', 'job-2');
    await newer.register(token);
    expect((await problemOf(older.register(token, order))).code).to.equal('SUPERSEDED');
    expect(newer.worker.heard('problem')).to.deep.equal([]);
    await newer.requestSlots(token, ['a-1']);
  });

  it('takes a job master back whose record was removed while nobody else came', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const jobMaster = await bench.jobMaster('job');
    const { order } = await jobMaster.register(token);
    const { heartbeatTimeoutMs, slotLeaseMs } = DEFAULT_TIMING;
    await bench.clock.advance(heartbeatTimeoutMs + slotLeaseMs + 2_000);
    const again = await jobMaster.register(token, order);
    expect(again.order.revision > order.revision).to.equal(true);
  });

  it('gives a job master a higher order in each generation', async () => {
    const bench = new ResourceManagerBench();
    bench.putRecord(bench.keys.jobMaster('job'), {
      jobMasterId: 'job-1',
      superseded: ['job-0'],
      leaderSessionId: 'session-of-old',
      generation: 1,
      epoch: '2',
    });
    const { token } = bench.election.lead(2);
    const jobMaster = await bench.jobMaster('job');
    const { order } = await jobMaster.register(token);
    expect(order).to.deep.equal({ generation: 2, revision: bench.modRevision(bench.keys.jobMaster('job')) });
    expect(bench.jobMasterRecord('job')).to.deep.include({ generation: 2, superseded: ['job-0'] });
    const again = await jobMaster.register(token);
    expect(again.order).to.deep.equal(order);
  });
});
