import { expect } from 'chai';
import type { FencingToken } from '../../../src/core/fencing-token.ts';
import { problemOf } from '../../support/problem-of.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import { driven, type TestingTaskExecutor } from '../../support/testing-worker.ts';
import { readyStandby } from '../../support/ready-standby.ts';

describe('a leader whose store is full', () => {
  let bench: ResourceManagerBench;

  const setFull = (full: boolean): void => {
    bench.etcd.state.noSpace = full;
  };

  beforeEach(() => {
    bench = new ResourceManagerBench();
  });

  it('refuses a registration at once, and takes it when there is space', async () => {
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    const job = await bench.jobMaster('job-1');
    setFull(true);
    expect(await problemOf(taskExecutor.register(token))).to.include({ code: 'STORE_FULL' });
    expect(await problemOf(job.register(token))).to.include({ code: 'STORE_FULL' });
    expect((await bench.resourceManager.view.overview()).taskExecutors).to.equal(0);
    setFull(false);
    await taskExecutor.register(token);
    await job.register(token);
    expect(bench.taskExecutorRecord('te-1')).not.to.equal(null);
  });

  it('takes a registration that changes nothing, after a break of the connection', async () => {
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    setFull(true);
    await taskExecutor.register(token);
  });

  it('lets a worker go at once, and removes its record when there is space', async () => {
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    setFull(true);
    const { resourceId, instanceId } = taskExecutor;
    const goodbye = { token, resourceId, instanceId, reason: 'a test' };
    await taskExecutor.worker.call('disconnectTaskExecutor', goodbye);
    expect((await bench.resourceManager.view.overview()).slots.total).to.equal(0);
    await bench.clock.advance(10_000);
    expect(bench.taskExecutorRecord('te-1')).not.to.equal(null);
    setFull(false);
    await bench.clock.advance(2_000);
    expect(bench.taskExecutorRecord('te-1')).to.equal(null);
  });

  /** It says goodbye, finds etcd full while the removal of its record is under way, and is back before that commits. */
  async function comesBack(taskExecutor: TestingTaskExecutor, token: FencingToken): Promise<void> {
    const { resourceId, instanceId } = taskExecutor;
    const goodbye = { token, resourceId, instanceId, reason: 'a test' };
    const held = bench.etcd.holdBack({ method: 'transact' });
    const gone = taskExecutor.worker.channel.call('disconnectTaskExecutor', goodbye, 5_000);
    await bench.clock.until(() => held.arrived);
    setFull(true);
    await driven(bench.clock, gone);
    setFull(false);
    await taskExecutor.register(token);
    held.commit();
  }

  it('writes the record of one that comes back when a copy of its removal may still commit', async () => {
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    await comesBack(taskExecutor, token);
    await bench.clock.advance(1_000);
    expect(bench.taskExecutorRecord('te-1')).to.include({ gone: false });
  });

  it('writes the record of an earlier leader in its own name', async () => {
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(bench.election.lead().token);
    bench.election.revoke();
    const { token } = bench.election.lead();
    await taskExecutor.register(token);
    await comesBack(taskExecutor, token);
    const { leaderSessionId } = token;
    expect(bench.taskExecutorRecord('te-1')).to.include({ gone: false, leaderSessionId });
  });

  it('keeps the record of one that has come back before there was space', async () => {
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    setFull(true);
    await driven(bench.clock, bench.resourceManager.view.forgetTaskExecutor(taskExecutor.resourceId));
    await taskExecutor.register(token);
    setFull(false);
    await bench.clock.advance(5_000);
    expect(bench.taskExecutorRecord('te-1')).to.include({ gone: false });
    expect((await bench.resourceManager.view.overview()).slots.total).to.equal(1);
  });

  it('does not step down, and says why', async () => {
    const { token } = bench.election.lead();
    await readyStandby(bench, 'rm-2');
    bench.election.storeFull = true;
    const { view } = bench.resourceManager;
    expect(await problemOf(view.stepDown({ to: null, reason: 'a test' }))).to.include({ code: 'STORE_FULL' });
    expect(bench.resourceManager.leaderSessionId).to.equal(token.leaderSessionId);
    expect((await view.overview()).storeFull).to.equal(true);
  });

  it('goes when it is told to end, says what that costs, and takes nobody out of the line who could not join again', async () => {
    bench.election.lead();
    // The first in line does not answer: over an etcd that takes writes it would be passed over.
    await readyStandby(bench, 'rm-2', 'rm-3');
    bench.election.storeFull = true;
    await driven(bench.clock, bench.resourceManager.stop('SIGTERM'));
    expect(bench.election.resignations).to.deep.equal([]);
    expect(bench.election.stopped).to.equal('SIGTERM');
    const [line] = bench.logger.lines.filter(({ event }) => event === 'leaves-nobody-to-lead');
    expect(line?.level).to.equal('error');
    expect(line?.fields['detail']).to.include('etcd is full');
  });

  it('is said to be why nobody leads', async () => {
    bench.election.storeFull = true;
    const problem = await problemOf(bench.resourceManager.view.overview());
    expect(problem.code).to.equal('NO_LEADER');
    expect(problem.detail).to.include('etcd is full');
  });
});
