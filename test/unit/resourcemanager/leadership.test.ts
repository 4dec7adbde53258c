import { expect } from 'chai';
import type { FencingToken } from '../../../src/core/fencing-token.ts';
import type { ClusterId, LeaderSessionId, ResourceManagerId } from '../../../src/core/ids.ts';
import { DEFAULT_TIMING } from '../../../src/core/timing.ts';
import { Watched } from '../../support/testing-job-cluster.ts';
import { problemOf } from '../../support/problem-of.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import { candidate } from '../../support/testing-leader-election.ts';
import { TestingTaskExecutor, TestingWorker } from '../../support/testing-worker.ts';

const OTHER: FencingToken = { generation: 1, epoch: 4_000n, leaderSessionId: 'other' as LeaderSessionId };

describe('a standby', () => {
  it('answers introductions and pings, and everything else with NOT_LEADER and the leader', async () => {
    const bench = new ResourceManagerBench();
    bench.election.setCandidates([candidate('rm-2', 'rm-2:1'), candidate('rm-1', 'rm-1:1')]);
    bench.election.setLeader({
      resourceManagerId: 'rm-2' as ResourceManagerId,
      address: 'rm-2:1',
      token: OTHER,
      confirmedAt: '',
    });
    const taskExecutor = await bench.taskExecutor('te-1');
    const view = await taskExecutor.introduce();
    expect(view.candidates.map(({ address }) => address)).to.deep.equal(['rm-2:1', 'rm-1:1']);
    expect(view.leader).to.deep.equal({ resourceManagerId: 'rm-2', address: 'rm-2:1', token: OTHER });
    const pong = await taskExecutor.worker.call('ping', {});
    expect(pong).to.deep.equal({ state: 'standby', epoch: null });
    expect(await problemOf(taskExecutor.register(OTHER))).to.deep.include({
      code: 'NOT_LEADER',
      leader: { resourceManagerId: 'rm-2', address: 'rm-2:1' },
    });
    expect((await problemOf(taskExecutor.heartbeat(OTHER))).code).to.equal('NOT_LEADER');
    expect(taskExecutor.worker.heard('notifyOfNewResourceManagerLeader')).to.have.length(0);
  });

  it('tells every connection each change of the view, once', async () => {
    const bench = new ResourceManagerBench();
    const taskExecutor = await bench.taskExecutor('te-1');
    const jobMaster = await bench.jobMaster('job');
    bench.election.setCandidates([candidate('rm-1', 'rm-1:1')]);
    bench.election.setCandidates([candidate('rm-1', 'rm-1:1')]);
    await bench.clock.advance(200);
    for (const { worker } of [taskExecutor, jobMaster]) {
      expect(worker.heard('clusterViewChanged')).to.have.length(1);
    }
  });

  it('tells one that came between two changes of the view, though the others had heard of neither', async () => {
    const bench = new ResourceManagerBench();
    const [one, two] = [candidate('rm-1', 'rm-1:1'), candidate('rm-2', 'rm-2:1')];
    bench.election.setCandidates([one]);
    await bench.clock.advance(200);
    bench.election.setCandidates([one, two]);
    const { worker } = await bench.taskExecutor('te-1');
    bench.election.setCandidates([one]);
    await bench.clock.advance(200);
    const told = worker.heard('clusterViewChanged').at(-1);
    expect(told?.candidates.map(({ address }) => address)).to.deep.equal(['rm-1:1']);
  });

  it('does not answer what is for task executors', async () => {
    const bench = new ResourceManagerBench();
    bench.election.lead();
    const jobMaster = await bench.jobMaster('job');
    const problem = await problemOf(
      jobMaster.worker.call('releaseLeases', {
        jobId: jobMaster.jobId,
        jobMasterId: jobMaster.jobMasterId,
        leases: [],
      }),
    );
    expect(problem.code).to.equal('INVALID');
  });
});

describe('a new leader', () => {
  it('announces itself after the confirm, to every connection there is and to each that comes', async () => {
    const bench = new ResourceManagerBench();
    const taskExecutor = await bench.taskExecutor('te-1');
    const jobMaster = await bench.jobMaster('job');
    bench.election.grant();
    await bench.clock.advance(1);
    expect(taskExecutor.worker.heard('notifyOfNewResourceManagerLeader')).to.have.length(0);
    const { token } = bench.election.confirm();
    const later = await bench.taskExecutor('te-2');
    await bench.clock.advance(1);
    for (const { worker } of [taskExecutor, jobMaster, later]) {
      expect(worker.heard('notifyOfNewResourceManagerLeader')).to.deep.equal([
        { token, resourceManagerId: 'rm-1', address: 'rm-1:1', clusterId: 'cluster-id' },
      ]);
    }
    const pong = await taskExecutor.worker.call('ping', {});
    expect(pong).to.deep.equal({ state: 'serving', epoch: token.epoch });
  });

  it('answers as leader only for its own token', async () => {
    const bench = new ResourceManagerBench();
    const first = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    bench.election.revoke();
    const second = bench.election.lead();
    const problem = await problemOf(taskExecutor.register(first.token));
    expect(problem.code).to.equal('FENCED');
    expect(problem.token).to.deep.equal(second.token);
  });

  it('passes the probe through its mailbox and its slot manager', async () => {
    const bench = new ResourceManagerBench();
    bench.election.lead();
    let probes = 0;
    bench.election.contender?.probe(() => {
      probes += 1;
    });
    await bench.clock.advance(1);
    expect(probes).to.equal(1);
  });

  it('expects the task executors of the term before and rewrites nothing that is unchanged', async () => {
    const bench = new ResourceManagerBench();
    const first = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1', { slots: 2 });
    await taskExecutor.register(first.token);
    const jobMaster = await bench.jobMaster('job');
    const { order } = await jobMaster.register(first.token);
    bench.election.revoke();
    const before = bench.modRevision(bench.keys.taskExecutor('te-1'));

    const second = bench.election.lead();
    await bench.clock.advance(5);
    const { view } = bench.resourceManager;
    expect((await view.overview()).recovery).to.include({ expectedTaskExecutors: 1, silentTaskExecutors: 1 });
    expect((await view.taskExecutors({ limit: 10, after: null })).rows[0]).to.include({
      resourceId: 'te-1',
      state: 'expected',
      slots: 2,
    });
    expect((await view.jobMasters({ limit: 10, after: null })).rows[0]).to.include({
      jobId: 'job',
      state: 'expected',
    });
    expect(await taskExecutor.register(second.token)).to.deep.equal({ knownBefore: false });
    expect((await jobMaster.register(second.token)).order, 'the order of a job master stays').to.deep.equal(
      order,
    );
    expect(bench.modRevision(bench.keys.taskExecutor('te-1'))).to.equal(before);
    expect(second.writes).to.have.length(0);
    expect((await view.overview()).slots.free).to.equal(2);
  });

  it('declares nobody failed before the grace is over', async () => {
    const bench = new ResourceManagerBench();
    const first = bench.election.lead();
    for (const name of ['te-1', 'te-2', 'te-3']) {
      const taskExecutor = await bench.taskExecutor(name);
      await taskExecutor.register(first.token);
      if (name !== 'te-1') taskExecutor.worker.close();
    }
    bench.election.revoke();
    bench.election.lead();
    const { graceMs, heartbeatTimeoutMs, slotLeaseMs } = DEFAULT_TIMING;
    await bench.clock.advance(graceMs + heartbeatTimeoutMs + slotLeaseMs - 1_000);
    expect(bench.taskExecutorRecord('te-2')).not.to.equal(null);
  });

  it('reads the records page by page, also when an endpoint fails in between', async () => {
    const bench = new ResourceManagerBench();
    bench.etcd.delayCall(0, { method: 'range' });
    bench.etcd.loseAnswer({ method: 'range' });
    const written = { leaderSessionId: 's', generation: 1, epoch: '1' };
    for (let index = 0; index < 1_203; index += 1) {
      const record = { instanceId: `i-${index}`, address: 'a:1', slots: 1, provider: null };
      bench.putRecord(bench.keys.taskExecutor(`te-${index}`), { ...record, ...written });
    }
    bench.putRecord(bench.keys.taskExecutor('te-broken'), 'no record');
    bench.election.lead();
    await bench.clock.until(() => bench.logger.of('registrations-read').length > 0);
    expect(bench.logger.of('registrations-read')[0]).to.include({ taskExecutors: 1_203 });
    expect(bench.logger.of('record-unreadable')).to.have.length(1);
  });

  it('reads on behind what its confirm has read along', async () => {
    const bench = new ResourceManagerBench();
    const written = { leaderSessionId: 's', generation: 1, epoch: '1' };
    for (let index = 0; index < 7; index += 1) {
      const record = { instanceId: `i-${index}`, address: 'a:1', slots: 1, provider: null };
      bench.putRecord(bench.keys.taskExecutor(`te-${index}`), { ...record, ...written });
    }
    const range = { type: 'range', key: bench.keys.taskExecutors, prefix: true, limit: 4 } as const;
    const read = new Watched(bench.store.endpoints[0].range(range, 100));
    await bench.clock.until(() => read.settled);
    const { keyValues } = read.value!;
    bench.election.registrations = {
      taskExecutors: { keyValues, more: true },
      jobMasters: { keyValues: [], more: false },
    };
    bench.election.lead();
    await bench.clock.until(() => bench.logger.of('registrations-read').length > 0);
    expect(bench.logger.of('registrations-read')[0]).to.include({ taskExecutors: 7, jobMasters: 0 });
  });

  it('lets registrations wait until the records have been read', async () => {
    const bench = new ResourceManagerBench();
    const written = { leaderSessionId: 's', generation: 1, epoch: '1' };
    const record = { instanceId: 'former', address: 'te-1:1', slots: 1, provider: null };
    bench.putRecord(bench.keys.taskExecutor('te-1'), { ...record, ...written });
    const taskExecutor = await bench.taskExecutor('te-1');
    const { token } = bench.election.lead();
    expect(await taskExecutor.register(token)).to.deep.equal({ knownBefore: true });
  });
});

describe('a suspended leader', () => {
  it('answers SUSPENDED and begins no effect', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    taskExecutor.grants();
    const jobMaster = await bench.jobMaster('job');
    await jobMaster.register(token);
    await jobMaster.requestSlots(token, ['a-1']);
    await taskExecutor.register(token);
    bench.election.suspend();
    await bench.clock.advance(100);
    const before = taskExecutor.commands.length;
    expect((await problemOf(jobMaster.requestSlots(token, ['a-2']))).code).to.equal('SUSPENDED');
    expect((await problemOf(taskExecutor.register(token))).code).to.equal('SUSPENDED');
    expect(await taskExecutor.worker.call('ping', {})).to.deep.equal({
      state: 'suspended',
      epoch: token.epoch,
    });
    expect((await problemOf(bench.resourceManager.view.overview())).code).to.equal('SUSPENDED');
    await bench.clock.advance(1_000);
    expect(taskExecutor.commands).to.have.length(before);
    bench.election.resume();
    await jobMaster.requestSlots(token, ['a-3']);
  });

  it('announces itself later to those who came meanwhile', async () => {
    const bench = new ResourceManagerBench();
    bench.election.lead();
    bench.election.suspend();
    const taskExecutor = await bench.taskExecutor('te-1');
    await bench.clock.advance(1);
    expect(taskExecutor.worker.heard('notifyOfNewResourceManagerLeader')).to.have.length(0);
    bench.election.resume();
    await bench.clock.advance(1);
    expect(taskExecutor.worker.heard('notifyOfNewResourceManagerLeader')).to.have.length(1);
  });

  it('looks at its deadline for each effect, not once for a batch', async () => {
    const bench = new ResourceManagerBench();
    const leadership = bench.election.lead();
    const { token } = leadership;
    const jobMaster = await bench.jobMaster('job');
    await jobMaster.register(token);
    await jobMaster.requestSlots(token, ['a-1']);
    const taskExecutor = await bench.taskExecutor('te-1');
    taskExecutor.grants();
    // It may serve up to the acknowledgement of the registration, and no longer for the command that follows.
    let questions = 3;
    const mayServe = leadership.mayServe.bind(leadership);
    leadership.mayServe = () => mayServe() && questions-- > 0;
    await taskExecutor.register(token);
    await bench.clock.advance(50);
    expect(taskExecutor.commands).to.have.length(0);
    leadership.mayServe = mayServe;
    await bench.clock.until(() => jobMaster.worker.heard('notifySlotsAllocated').length > 0);
    expect(taskExecutor.commands.length).to.be.greaterThan(0);
  });
});

describe("a token above the leader's", () => {
  const above = (token: FencingToken): FencingToken => ({
    ...token,
    epoch: token.epoch + 1_000n,
    leaderSessionId: 'above' as LeaderSessionId,
  });

  it('is ignored at or below the own token', async () => {
    const bench = new ResourceManagerBench();
    const leadership = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    taskExecutor.worker.channel.notify('fenced', { token: leadership.token });
    taskExecutor.worker.channel.notify('fenced', { token: { ...leadership.token, epoch: 0n } });
    await bench.clock.advance(10);
    expect(leadership.writes).to.have.length(0);
    expect(bench.resourceManager.state).to.equal('serving');
  });

  it('suspends the leader until a guarded transaction has shown that its key stands, then marks the receiver', async () => {
    const bench = new ResourceManagerBench();
    const leadership = bench.election.lead();
    const { token } = leadership;
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    const states: string[] = [];
    leadership.beforeWrite = () => states.push(bench.resourceManager.state);
    taskExecutor.worker.channel.notify('fenced', { token: above(token) });
    await bench.clock.advance(10);
    expect(states).to.deep.equal(['suspended']);
    expect(bench.resourceManager.state).to.equal('serving');
    const alarm = bench.logger.lines.find((line) => line.event === 'receiver-ahead');
    expect(alarm?.level).to.equal('error');
    const { rows } = await bench.resourceManager.view.taskExecutors({ limit: 10, after: null });
    expect(rows[0]?.state).to.equal('ahead');
    // Once more changes nothing: it is known to be wrong about this token.
    taskExecutor.worker.channel.notify('fenced', { token: above(token) });
    await bench.clock.advance(10);
    expect(states).to.have.length(1);
  });

  it('keeps the leader suspended when its key is gone', async () => {
    const bench = new ResourceManagerBench();
    const leadership = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(leadership.token);
    bench.election.depose();
    taskExecutor.worker.channel.notify('fenced', { token: above(leadership.token) });
    await bench.clock.advance(1_000);
    expect(bench.resourceManager.state).to.equal('suspended');
    expect((await problemOf(taskExecutor.heartbeat(leadership.token))).code).to.equal('SUSPENDED');
  });

  it('is learned from an introduction too, and the others are announced to afterwards', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const worker = await TestingWorker.dial(bench.clock, bench.network, 'task-executor', 'te-1-1', 'rm-1:1');
    const ahead = new TestingTaskExecutor(worker, 'te-1', 'te-1-1', 1);
    await ahead.introduce(above(token));
    const other = await bench.taskExecutor('te-2');
    await bench.clock.advance(10);
    expect(worker.heard('notifyOfNewResourceManagerLeader')).to.have.length(0);
    expect(other.worker.heard('notifyOfNewResourceManagerLeader')).to.have.length(1);
  });

  it('refuses the registration of another cluster', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const worker = await TestingWorker.dial(bench.clock, bench.network, 'task-executor', 'te-1-1', 'rm-1:1');
    const taskExecutor = new TestingTaskExecutor(worker, 'te-1', 'te-1-1', 1);
    const { resourceId, instanceId, address } = taskExecutor;
    const clusterId = 'elsewhere' as ClusterId;
    await worker.call('introduceTaskExecutor', {
      resourceId,
      instanceId,
      address,
      clusterId,
      highestToken: null,
    });
    expect((await problemOf(taskExecutor.register(token))).code).to.equal('WRONG_CLUSTER');
    expect(bench.logger.of('worker-of-another-cluster')[0]).to.include({ name: 'te-1', theirs: 'elsewhere' });
    expect(bench.taskExecutorRecord('te-1')).to.equal(null);
  });
});
