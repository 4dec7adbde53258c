import { expect } from 'chai';
import type { FencingToken } from '../../../src/core/fencing-token.ts';
import type { LeaderSessionId } from '../../../src/core/ids.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import { TestingTaskExecutor, TestingWorker } from '../../support/testing-worker.ts';

function above(token: FencingToken, by = 1_000n): FencingToken {
  return { ...token, epoch: token.epoch + by, leaderSessionId: 'above' as LeaderSessionId };
}

describe('a receiver that insists in vain on a token above the leader', () => {
  /** A leader, a task executor of it, and what state the leader is in whenever it asks etcd about itself. */
  async function doubted() {
    const bench = new ResourceManagerBench();
    const leadership = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(leadership.token);
    const states: string[] = [];
    leadership.beforeWrite = () => states.push(bench.resourceManager.state);
    return { bench, leadership, token: leadership.token, taskExecutor, states };
  }

  async function connect(bench: ResourceManagerBench, name: string, instance: string) {
    const worker = await TestingWorker.dial(bench.clock, bench.network, 'task-executor', instance, 'rm-1:1');
    return new TestingTaskExecutor(worker, name, instance, 1);
  }

  it('is known again when it connects anew: nothing is suspended or asked', async () => {
    const { bench, token, taskExecutor, states } = await doubted();
    taskExecutor.worker.channel.notify('fenced', { token: above(token) });
    await bench.clock.advance(10);
    for (let connection = 0; connection < 3; connection += 1) {
      const again = await connect(bench, 'te-1', 'te-1-1');
      await again.introduce(above(token));
      expect(bench.resourceManager.state).to.equal('serving');
      await bench.clock.advance(10);
      expect(again.worker.heard('notifyOfNewResourceManagerLeader')).to.have.length(0);
    }
    expect(states).to.deep.equal(['suspended']);
  });

  it('cannot keep the leader suspended by one higher token after the other', async () => {
    const { bench, token, taskExecutor, states } = await doubted();
    for (let by = 1n; by <= 5n; by += 1n) {
      taskExecutor.worker.channel.notify('fenced', { token: above(token, by) });
      await bench.clock.advance(10);
    }
    expect(states, 'asked each time, suspended once').to.deep.equal([
      'suspended',
      'serving',
      'serving',
      'serving',
      'serving',
    ]);
  });

  it('is told from the others by its session too: one that obeys another term of the same epoch obeys this one never', async () => {
    const { bench, token, states } = await doubted();
    const other = await connect(bench, 'te-2', 'te-2-1');
    await other.introduce({ ...token, leaderSessionId: 'of-lost-etcd' as LeaderSessionId });
    await bench.clock.advance(10);
    expect(states, 'asked once').to.deep.equal(['suspended']);
    expect(bench.resourceManager.state).to.equal('serving');
    expect(bench.logger.of('receiver-ahead')).to.have.length(1);
  });

  it('cannot keep it suspended by registering in between', async () => {
    const { bench, token, taskExecutor, states } = await doubted();
    for (let round = 0; round < 3; round += 1) {
      taskExecutor.worker.channel.notify('fenced', { token: above(token) });
      await bench.clock.advance(10);
      await taskExecutor.register(token);
    }
    expect(states).to.deep.equal(['suspended']);
    const { rows } = await bench.resourceManager.view.taskExecutors({ limit: 10, after: null });
    expect(rows[0]?.state).to.equal('registered');
  });

  it('is heard all the same when it is right at last: the leader finds its key gone', async () => {
    const { bench, leadership, token, taskExecutor } = await doubted();
    taskExecutor.worker.channel.notify('fenced', { token: above(token, 1n) });
    await bench.clock.advance(10);
    bench.election.depose();
    const outcomes: string[] = [];
    const write = leadership.write.bind(leadership);
    leadership.write = async (what) => {
      const outcome = await write(what);
      outcomes.push(outcome.kind);
      return outcome;
    };
    taskExecutor.worker.channel.notify('fenced', { token: above(token, 2n) });
    await bench.clock.advance(10);
    expect(outcomes).to.deep.equal(['deposed']);
    expect(bench.resourceManager.state).to.equal('suspended');
  });

  it('does not take the slots of another process of its name out of use', async () => {
    const { bench, token } = await doubted();
    const impostor = await connect(bench, 'te-1', 'te-1-2');
    await impostor.introduce(above(token));
    await bench.clock.advance(10);
    const { rows } = await bench.resourceManager.view.taskExecutors({ limit: 10, after: null });
    expect(rows[0]?.state).to.equal('registered');
    expect((await bench.resourceManager.view.overview()).slots.free).to.equal(1);
  });

  it('is named again in each later term that it is ahead of', async () => {
    const { bench, token, taskExecutor } = await doubted();
    taskExecutor.worker.channel.notify('fenced', { token: above(token) });
    await bench.clock.advance(10);
    bench.election.revoke();
    const next = bench.election.lead();
    await bench.clock.advance(10);
    expect(next.token.epoch < above(token).epoch).to.equal(true);
    expect(bench.logger.of('receiver-ahead')).to.have.length(2);
    expect(taskExecutor.worker.heard('notifyOfNewResourceManagerLeader').at(-1)?.token).to.deep.equal(token);
  });

  it('is told of a later term whose token is above the one it insisted on', async () => {
    const { bench, token, taskExecutor } = await doubted();
    taskExecutor.worker.channel.notify('fenced', { token: above(token, 3n) });
    await bench.clock.advance(10);
    bench.election.revoke();
    for (let write = 0; write < 10; write += 1) bench.putRecord(bench.keys.challenge(0, 0n), {});
    const next = bench.election.lead();
    await bench.clock.advance(10);
    expect(next.token.epoch > token.epoch + 3n).to.equal(true);
    const tokens = taskExecutor.worker.heard('notifyOfNewResourceManagerLeader').map((body) => body.token);
    expect(tokens.at(-1)).to.deep.equal(next.token);
    await taskExecutor.register(next.token);
    const { rows } = await bench.resourceManager.view.taskExecutors({ limit: 10, after: null });
    expect(rows[0]?.state).to.equal('registered');
  });
});
