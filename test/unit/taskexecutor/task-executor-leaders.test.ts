import { expect } from 'chai';
import type { ClusterId, InstanceId } from '../../../src/core/ids.ts';
import {
  codeOf,
  requestSlot,
  resultsOf,
  TaskExecutorFixture,
} from '../../support/taskexecutor/task-executor-fixture.ts';
import { tokenOf, type TestingResourceManager } from '../../support/taskexecutor/testing-resource-manager.ts';

const I1 = 'instance-1' as InstanceId;

function second(f: TaskExecutorFixture): TestingResourceManager {
  const [, rm] = f.resourceManagers;
  if (rm === undefined) throw new Error('there is no second resource manager');
  return rm;
}

describe('a task executor and its leaders', () => {
  it('introduces itself to every resource manager, with the highest token that it has accepted', async () => {
    const f = new TaskExecutorFixture(2);
    await f.startRegistered();
    second(f).crash();
    second(f).listen();
    await f.clock.advance(5_000);
    expect(f.rm.introductions[0]).to.deep.include({ highestToken: null, clusterId: null });
    expect(second(f).introductions.at(-1)).to.deep.include({
      resourceId: 'te-1',
      instanceId: I1,
      highestToken: tokenOf(1),
      clusterId: 'cluster-1',
    });
  });

  it('connects to the candidates that a resource manager names', async () => {
    const f = new TaskExecutorFixture(2);
    const other = second(f);
    const candidates = [{ resourceManagerId: other.id, address: other.address }];
    f.rm.view = { ...f.rm.view, candidates };
    await f.start({ seeds: [f.rm.address] });
    expect(other.introductions).to.have.length(1);
  });

  it('registers with a leader whose view says that it leads itself', async () => {
    const f = new TaskExecutorFixture();
    f.rm.view = {
      ...f.rm.view,
      leader: { resourceManagerId: f.rm.id, address: f.rm.address, token: tokenOf(3) },
    };
    await f.start();
    expect(f.rm.registrations.map((registration) => registration.token)).to.deep.equal([tokenOf(3)]);
    f.rm.announce(tokenOf(3));
    await f.clock.advance(10);
    expect(f.rm.registrations).to.have.length(1);
  });

  it('only raises its token by what a standby says, and registers once the leader is on the line', async () => {
    const f = new TaskExecutorFixture(2);
    const standby = second(f);
    standby.view = {
      ...standby.view,
      leader: { resourceManagerId: f.rm.id, address: f.rm.address, token: tokenOf(3) },
    };
    const taskExecutor = await f.start();
    expect(taskExecutor.status().highestToken).to.deep.equal(tokenOf(3));
    expect([...f.rm.registrations, ...standby.registrations]).to.deep.equal([]);
    await f.lead(3);
    expect(f.rm.registrations).to.have.length(1);
    expect(taskExecutor.status().registeredWith).to.equal('rm-1');
  });

  it('tells a leader of old which token it has seen, and does not register with it', async () => {
    const f = new TaskExecutorFixture(2);
    await f.start();
    await f.lead(5);
    await f.lead(4, second(f));
    expect(second(f).fenced).to.deep.equal([tokenOf(5)]);
    expect(second(f).registrations).to.deep.equal([]);
  });

  it('changes over to the next leader, in one step with a full report', async () => {
    const f = new TaskExecutorFixture(2);
    await f.startRegistered();
    f.rm.command(tokenOf(1), I1, [requestSlot(0, 'a1')]);
    await f.lead(2, second(f));
    const [registration] = second(f).registrations;
    expect(registration?.report.full).to.equal(true);
    expect(registration?.report.slots.map((slot) => slot.state)).to.deep.equal(['granted', 'free']);
    const late = f.rm.command(tokenOf(1), I1, [requestSlot(1, 'a2')]);
    await f.clock.advance(10);
    expect(codeOf(late)).to.equal('FENCED');
  });

  it('registers again, with back-off, while the leader is not able to take it', async () => {
    const f = new TaskExecutorFixture();
    f.rm.onRegister = () => ({ code: 'SUSPENDED', detail: 'checking' });
    const taskExecutor = await f.startRegistered();
    await f.clock.advance(1_000);
    const tries = f.rm.registrations.length;
    expect(tries).to.be.within(3, 10);
    await f.clock.advance(10_000);
    expect(f.rm.registrations.length - tries).to.be.within(4, 11);
    f.rm.onRegister = () => ({ knownBefore: false });
    await f.clock.advance(2_000);
    expect(taskExecutor.status().registeredWith).to.equal('rm-1');
  });

  it('registers again when no answer came', async () => {
    const f = new TaskExecutorFixture();
    f.rm.onRegister = () => null;
    await f.startRegistered();
    await f.clock.advance(6_000);
    expect(f.rm.registrations.length).to.be.greaterThan(1);
    const numbers = f.rm.registrations.map(({ report }) => report.reportNumber);
    expect(numbers).to.deep.equal(numbers.toSorted((a, b) => a - b));
  });

  it('asks no more of a leader that has been followed by another', async () => {
    const f = new TaskExecutorFixture(2);
    f.rm.onRegister = () => ({ code: 'NOT_LEADER', detail: 'no more' });
    await f.startRegistered();
    await f.lead(2, second(f));
    const before = f.rm.registrations.length;
    await f.clock.advance(20_000);
    expect(f.rm.registrations).to.have.length(before);
  });

  it('registers again over a new connection to the same leader', async () => {
    const f = new TaskExecutorFixture();
    await f.startRegistered();
    f.rm.crash();
    await f.clock.advance(1_000);
    f.rm.listen();
    await f.clock.advance(3_000);
    await f.lead(1);
    expect(f.rm.registrations).to.have.length(2);
  });

  it('sends heartbeats that name its last report', async () => {
    const f = new TaskExecutorFixture();
    await f.startRegistered();
    f.rm.command(tokenOf(1), I1, [requestSlot(0, 'a1')]);
    await f.clock.advance(16_000);
    expect(f.rm.heartbeats.map((heartbeat) => heartbeat.reportNumber)).to.deep.equal([3, 3, 4]);
    expect(f.rm.reports.map(({ report }) => report.reportNumber)).to.deep.equal([2, 3, 4]);
  });

  it('registers again when the leader does not know it', async () => {
    const f = new TaskExecutorFixture();
    await f.startRegistered();
    f.rm.onHeartbeat = () => ({ code: 'UNKNOWN_TASK_EXECUTOR', detail: 'who?' });
    await f.clock.advance(5_100);
    expect(f.rm.registrations).to.have.length(2);
  });

  it('sends a full report on request', async () => {
    const f = new TaskExecutorFixture();
    await f.startRegistered();
    f.rm.channel?.notify('requestSlotReport', { token: tokenOf(1), instanceId: I1 });
    await f.clock.advance(10);
    expect(f.rm.reports.at(-1)?.report).to.deep.include({ full: true });
  });

  it('refuses a leader of another cluster and tells it so', async () => {
    const f = new TaskExecutorFixture(2);
    await f.startRegistered();
    second(f).announce(tokenOf(9), 'cluster-2' as ClusterId);
    await f.clock.advance(10);
    expect(second(f).registrations).to.deep.equal([]);
    expect(second(f).problems.map((problem) => problem.code)).to.deep.equal(['WRONG_CLUSTER']);
    expect(f.logged.join('\n')).to.match(/error wrong-cluster .*cluster-1.*cluster-2/);
  });

  it('goes on when the leader takes it for one of another cluster, and says so in its log', async () => {
    const f = new TaskExecutorFixture();
    f.rm.onRegister = () => ({ code: 'WRONG_CLUSTER', detail: 'not one of ours' });
    await f.startRegistered();
    await f.clock.advance(60_000);
    expect(f.fatal).to.deep.equal([]);
    expect(f.rm.registrations.length).to.be.within(2, 12);
    expect(f.logged.join('\n')).to.contain('error registration-refused not one of ours');
  });

  const superseded = { code: 'SUPERSEDED' as const, detail: 'a newer process has taken over' };

  it('ends with an error when its registration is answered SUPERSEDED', async () => {
    const f = new TaskExecutorFixture();
    f.rm.onRegister = () => superseded;
    const taskExecutor = await f.startRegistered();
    expect(f.fatal.map(String)).to.deep.equal([`QuartermasterError: SUPERSEDED: ${superseded.detail}`]);
    expect(taskExecutor.status().phase).to.equal('closed');
    await f.clock.advance(60_000);
    expect(f.rm.registrations).to.have.length(1);
    expect(f.fatal).to.have.length(1);
  });

  it('ends with an error when its heartbeat is answered SUPERSEDED', async () => {
    const f = new TaskExecutorFixture();
    await f.startRegistered();
    f.rm.onHeartbeat = () => superseded;
    await f.clock.advance(6_000);
    expect(f.fatal).to.have.length(1);
  });

  it('ends when its leader tells it SUPERSEDED, not when another resource manager does', async () => {
    const f = new TaskExecutorFixture(2);
    await f.startRegistered();
    second(f).channel?.notify('problem', superseded);
    await f.clock.advance(10);
    expect(f.fatal).to.have.length(0);
    f.rm.channel?.notify('problem', superseded);
    await f.clock.advance(10);
    expect(f.fatal).to.have.length(1);
  });

  it('obeys no other request of a resource manager than commands', async () => {
    const f = new TaskExecutorFixture();
    await f.startRegistered();
    let code = '';
    f.rm.channel?.request(
      'releaseLeases',
      { jobId: 'j' as never, jobMasterId: 'm' as never, leases: [] },
      1_000,
      (outcome) => {
        code = outcome.ok ? 'ok' : outcome.problem.code;
      },
    );
    await f.clock.advance(10);
    expect(code).to.equal('FORBIDDEN');
  });

  it('executes a call once, however often it comes', async () => {
    const f = new TaskExecutorFixture();
    await f.startRegistered();
    const first = f.rm.command(tokenOf(1), I1, [requestSlot(0, 'a1')], 7);
    const second = f.rm.command(tokenOf(1), I1, [requestSlot(1, 'a2')], 7);
    await f.clock.advance(10);
    expect(resultsOf(first)[0]?.outcome).to.equal('done');
    expect(codeOf(second)).to.equal('STALE');
  });
});
