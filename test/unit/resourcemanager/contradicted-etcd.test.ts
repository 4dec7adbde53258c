import { expect } from 'chai';
import type { FencingToken } from '../../../src/core/fencing-token.ts';
import type { ClusterId, LeaderSessionId } from '../../../src/core/ids.ts';
import type { ClusterEvent } from '../../../src/resourcemanager/operator-view.ts';
import { problemOf } from '../../support/problem-of.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import { candidate } from '../../support/testing-leader-election.ts';

const OTHER = 'another-cluster' as ClusterId;
const TOKEN: FencingToken = { generation: 1, epoch: 900n, leaderSessionId: 'session' as LeaderSessionId };

function eventsOf(bench: ResourceManagerBench): ClusterEvent[] {
  const events: ClusterEvent[] = [];
  bench.resourceManager.view.watchEvents(0, (event) => events.push(event)).cancel();
  return events;
}

describe('what workers know of their cluster', () => {
  it('is passed on from introduction and ping, leading or not, and withdrawn with the connection', async () => {
    const bench = new ResourceManagerBench();
    const { heard } = bench.election;
    const taskExecutor = await bench.taskExecutor('te-1');
    const { resourceId, instanceId } = taskExecutor;
    const address = 'te-1:1';
    expect(heard.size, 'one that knows nothing says nothing').to.equal(0);
    const first = { clusterId: OTHER, highestToken: null };
    await taskExecutor.worker.call('introduceTaskExecutor', { resourceId, instanceId, address, ...first });
    expect([...heard.values()]).to.deep.equal([first]);
    const later = { clusterId: OTHER, highestToken: TOKEN };
    await taskExecutor.worker.call('ping', later);
    expect([...heard.values()]).to.deep.equal([later]);
    await taskExecutor.worker.call('ping', {});
    expect([...heard.values()], 'an older version pings without').to.deep.equal([later]);
    taskExecutor.worker.channel.close();
    await bench.clock.advance(10);
    expect(heard.size).to.equal(0);
  });

  it("is the leader's own once they have registered with it", async () => {
    const bench = new ResourceManagerBench();
    const { token, clusterId } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    const jobMaster = await bench.jobMaster('job');
    expect(bench.election.heard.size).to.equal(0);
    await taskExecutor.register(token);
    await jobMaster.register(token);
    const own = { clusterId, highestToken: token };
    expect([...bench.election.heard.values()]).to.deep.equal([own, own]);
  });

  it('raises an alarm when one belongs to another cluster, and its slots are given to nobody', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    const { resourceId, instanceId } = taskExecutor;
    const introduction = { resourceId, instanceId, address: 'te-1:1', clusterId: OTHER, highestToken: null };
    await taskExecutor.worker.call('introduceTaskExecutor', introduction);
    const alarm = eventsOf(bench).find(({ event }) => event === 'receiver-of-another-cluster');
    expect(alarm?.kind).to.equal('failure');
    expect(alarm?.fields).to.deep.include({ resourceId: 'te-1', clusterId: OTHER });
    const { rows } = await bench.resourceManager.view.taskExecutors({ limit: 10, after: null });
    expect(rows.map(({ state }) => state)).to.deep.equal(['ahead']);
    expect(bench.resourceManager.state, 'leading goes on').to.equal('serving');
  });
});

describe('a resource manager that does not believe etcd', () => {
  it('says so in its status, in each refusal and in an event, and is not ready', async () => {
    const bench = new ResourceManagerBench();
    const { view } = bench.resourceManager;
    bench.election.setCandidates([candidate('rm-1', 'rm-1:1')]);
    expect(view.status()).to.include({ ready: true, contradiction: null });
    bench.election.contradict('its revision fell from 9 to 2');
    const { ready, contradiction } = view.status();
    expect(ready).to.equal(false);
    expect(contradiction).to.include('wiped or restored').and.include('fell from 9 to 2');
    const problem = await problemOf(view.overview());
    expect(problem).to.deep.include({ code: 'NO_LEADER', detail: contradiction });
    expect(eventsOf(bench).find(({ event }) => event === 'etcd-contradicted')?.kind).to.equal('failure');
    bench.election.contradict(null);
    expect(view.status()).to.include({ ready: true, contradiction: null });
    expect(eventsOf(bench).at(-1)?.event).to.equal('etcd-believed');
  });

  it('plans and declares a new generation without leading, and not when it is going away', async () => {
    const bench = new ResourceManagerBench();
    const { view } = bench.resourceManager;
    expect((await view.planGeneration()).identity.generation).to.equal(2);
    await view.newGeneration(2);
    expect(bench.election.declared).to.deep.equal([2]);
    await bench.resourceManager.stop('SIGTERM');
    expect((await problemOf(view.newGeneration(3))).code).to.equal('UNAVAILABLE');
    expect(bench.election.declared).to.deep.equal([2]);
  });
});
