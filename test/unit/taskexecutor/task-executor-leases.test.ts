import { expect } from 'chai';
import type { InstanceId } from '../../../src/core/ids.ts';
import type { LogFields } from '../../../src/runtime/logger.ts';
import { InMemoryStateStore } from '../../../src/taskexecutor/in-memory-state-store.ts';
import type { TaskExecutorOptions } from '../../../src/taskexecutor/task-executor-options.ts';
import type { TaskExecutor } from '../../../src/taskexecutor/task-executor.ts';
import type { TestingJobMaster } from '../../support/taskexecutor/testing-job-master.ts';
import {
  codeOf,
  leaseKey,
  requestSlot,
  TaskExecutorFixture,
} from '../../support/taskexecutor/task-executor-fixture.ts';
import { tokenOf } from '../../support/taskexecutor/testing-resource-manager.ts';

const I1 = 'instance-1' as InstanceId;
const A1 = leaseKey(0, 'a1', I1, 1);

/** With slot 0 in the hand of `jm-1`. Grant numbers start at 1 because the state is durable. */
async function withClaim(
  changes: Partial<TaskExecutorOptions> = {},
  f = new TaskExecutorFixture(),
): Promise<{ f: TaskExecutorFixture; taskExecutor: TaskExecutor; jm: TestingJobMaster; told: string[] }> {
  const told: string[] = [];
  const taskExecutor = await f.startRegistered({
    stateStore: new InMemoryStateStore(f.clock),
    onLeaseGranted: (slot) => told.push(`granted ${slot.allocationId} ${slot.grantNumber} ${slot.restored}`),
    onLeaseEnded: (slot, reason) => told.push(`ended ${slot.allocationId} ${slot.grantNumber} ${reason}`),
    ...changes,
  });
  f.rm.command(tokenOf(1), I1, [requestSlot(0, 'a1')]);
  await f.clock.advance(10);
  const jm = await f.jobMaster();
  const claim = jm.claim(A1);
  await f.clock.advance(10);
  expect(codeOf(claim)).to.equal('ok');
  return { f, taskExecutor, jm, told };
}

describe('a task executor and its leases', () => {
  it('tells its program of a lease when it is claimed, and once of its end', async () => {
    const { f, jm, told } = await withClaim();
    jm.claim(A1);
    await f.clock.advance(10);
    jm.release([A1]);
    jm.release([A1]);
    await f.clock.advance(10);
    expect(told).to.deep.equal(['granted a1 1 false', 'ended a1 1 released']);
  });

  it('tells its program of a lease that lapses', async () => {
    const { f, told } = await withClaim();
    await f.clock.advance(30_000);
    expect(told).to.deep.equal(['granted a1 1 false', 'ended a1 1 lapsed']);
  });

  it('survives a callback that throws', async () => {
    const { f, jm } = await withClaim({
      onLeaseGranted: () => {
        throw new Error('the program is broken');
      },
    });
    const renewed = jm.renew([A1]);
    await f.clock.advance(10);
    expect(codeOf(renewed)).to.equal('ok');
    expect(f.logged.join('\n')).to.contain('error lease-callback-threw');
  });

  it('that crashes tells its program nothing; the next process tells of the lease that it has read', async () => {
    const f = new TaskExecutorFixture();
    const stateStore = new InMemoryStateStore(f.clock);
    const told: string[] = [];
    const { taskExecutor } = await withClaim({ stateStore, onLeaseEnded: () => told.push('ended') }, f);
    f.crash(taskExecutor);
    await f.start({
      stateStore,
      onLeaseGranted: (slot) => told.push(`granted ${slot.slotNumber} ${slot.grantNumber} ${slot.restored}`),
      onLeaseEnded: (slot, reason) => told.push(`ended ${slot.slotNumber} ${reason}`),
    });
    expect(told).to.deep.equal(['granted 0 1 true']);
    await f.clock.advance(30_000);
    expect(told).to.deep.equal(['granted 0 1 true', 'ended 0 lapsed']);
  });

  it('ends all leases towards its program when it closes, though they still run', async () => {
    const { taskExecutor, told } = await withClaim();
    await taskExecutor.stop();
    expect(told.at(-1)).to.equal('ended a1 1 closed');
  });

  it('renews with no resource manager left', async () => {
    const { f, jm } = await withClaim();
    f.rm.crash();
    for (let n = 0; n < 12; n++) {
      const renewed = jm.renew([A1]);
      await f.clock.advance(10_000);
      expect(renewed.outcome).to.deep.equal({
        ok: true,
        reply: { durationMs: 30_000, results: [{ allocationId: 'a1', problem: null }] },
      });
    }
  });

  it('that was paused ends what ran out before it judges what has come meanwhile', async () => {
    const { f, jm, told } = await withClaim();
    f.clock.freeze(30_001);
    const renewed = jm.renew([A1]);
    await f.clock.advance(10);
    const outcome = renewed.outcome;
    expect(outcome?.ok === true && outcome.reply.results[0]?.problem?.code).to.equal('UNKNOWN_ALLOCATION');
    expect(told.at(-1)).to.equal('ended a1 1 lapsed');
  });

  it('writes its journal', async () => {
    const lines: { event: string; fields: LogFields }[] = [];
    const { f, jm } = await withClaim({
      journal: { record: (event, fields) => lines.push({ event, fields }) },
    });
    jm.renew([A1]);
    f.rm.command(tokenOf(1), I1, [requestSlot(0, 'a2')]);
    await f.clock.advance(10);
    jm.release([A1]);
    await f.clock.advance(10);
    expect(lines.map(({ event }) => event)).to.deep.equal([
      'started',
      'token-adopted',
      'grant',
      'claim',
      'renew',
      'command-refused',
      'end',
    ]);
    expect(lines[0]?.fields).to.include({ process: I1, remembers: false, epoch: null });
    const last = lines.at(-1)?.fields;
    expect(last).to.include({ resourceId: 'te-1', process: I1, slotNumber: 0, allocationId: 'a1' });
    expect(last).to.include({ grantNumber: 1, reason: 'released', epoch: 1n, jobMasterId: 'jm-1' });
    expect(last?.['atMs']).to.be.a('number');
  });

  it('takes no commands from whoever dials it', async () => {
    const { f, jm } = await withClaim();
    const sent = jm.ask('executeSlotCommands', {
      token: tokenOf(9),
      instanceId: I1,
      number: { generation: 1, epoch: 9n, n: 1 },
      commands: [{ kind: 'noOperation' }],
    });
    await f.clock.advance(10);
    expect(codeOf(sent)).to.equal('FORBIDDEN');
  });

  it('answers OVERLOADED when more ask than it can keep, and goes on with the others', async () => {
    const f = new TaskExecutorFixture();
    const stateStore = new InMemoryStateStore(f.clock, 1_000);
    const starting = f.make({ stateStore }).start();
    await f.clock.advance(1_010);
    await starting;
    f.rm.announce(tokenOf(1));
    await f.clock.advance(10);
    // The token is being written: whatever is asked now waits behind it.
    const [one, two] = [await f.jobMaster(), await f.jobMaster(10, 'jm-2', 'job-2')];
    const first = Array.from({ length: 9_000 }, () => one.renew([A1]));
    const second = Array.from({ length: 2_000 }, () => two.renew([A1]));
    await f.clock.advance(100);
    expect(second.filter((sent) => codeOf(sent) === 'OVERLOADED')).to.have.length(1_000);
    await f.clock.advance(2_000);
    expect(first.filter((sent) => codeOf(sent) === 'ok')).to.have.length(9_000);
  });

  it('answers pings as a worker', async () => {
    const { f, jm } = await withClaim();
    const ping = jm.ask('ping', {});
    await f.clock.advance(10);
    expect(ping.outcome).to.deep.equal({ ok: true, reply: { state: 'worker', epoch: null } });
  });

  it('hangs up on who is silent for long, not on who renews', async () => {
    const { f, jm } = await withClaim();
    const silent = await f.jobMaster(10, 'jm-silent');
    for (let n = 0; n < 30; n++) {
      jm.renew([A1]);
      await f.clock.advance(10_000);
    }
    expect(silent.closed?.kind).to.equal('closed');
    expect(jm.closed).to.equal(null);
  });
});

describe('a draining task executor', () => {
  it('waits for its leases, says goodbye and closes', async () => {
    const { f, taskExecutor, jm } = await withClaim();
    let leasesLeft: number | null = null;
    void taskExecutor.drain({ deadlineMs: 60_000 }).then((result) => {
      leasesLeft = result.leasesLeft;
    });
    await f.clock.advance(5_000);
    expect(f.rm.reports.at(-1)?.report.draining).to.equal(true);
    expect(leasesLeft).to.equal(null);
    const refused = f.rm.command(tokenOf(1), I1, [requestSlot(1, 'a2')]);
    jm.release([A1]);
    await f.clock.advance(10);
    expect(refused.outcome).to.deep.include({ ok: true });
    expect(leasesLeft).to.equal(0);
    expect(f.rm.goodbyes).to.have.length(1);
    expect(f.rm.order.at(-1)).to.equal('disconnectTaskExecutor');
    expect(taskExecutor.status().phase).to.equal('closed');
    expect(f.rm.channel).to.equal(null);
  });

  it('says no goodbye before it refuses leases: a command that came before the order may begin one', async () => {
    const f = new TaskExecutorFixture();
    // A turn that takes long lets what comes meanwhile wait for the next one.
    const { taskExecutor, jm } = await withClaim(
      { stateStore: null, onLeaseEnded: () => f.clock.freeze(15) },
      f,
    );
    f.rm.command(tokenOf(1), I1, [requestSlot(1, 'a2')]);
    await f.clock.advance(10);
    jm.release([A1]);
    f.clock.schedule(3, () => {
      jm.release([leaseKey(1, 'a2', I1, 1)]);
      f.rm.command(tokenOf(1), I1, [requestSlot(0, 'a3')]);
      // When both have arrived, and wait for the next turn of the mailbox.
      f.clock.schedule(0, () => f.clock.schedule(0, () => void taskExecutor.drain({ deadlineMs: null })));
    });
    await f.clock.advance(200);
    expect(taskExecutor.status().slots[0]).to.deep.include({ state: 'granted' });
    expect(f.rm.goodbyes).to.have.length(0);
  });

  it('closes at its deadline without goodbye, and its leases stay for the next process', async () => {
    const f = new TaskExecutorFixture();
    const stateStore = new InMemoryStateStore(f.clock);
    const { taskExecutor } = await withClaim({ stateStore }, f);
    const drained = taskExecutor.drain({ deadlineMs: 5_000 });
    await f.clock.advance(5_010);
    expect((await drained).leasesLeft).to.equal(1);
    expect(f.rm.goodbyes).to.have.length(0);
    await f.start({ stateStore });
    const again = await f.jobMaster();
    const renewed = again.renew([A1]);
    await f.clock.advance(10);
    expect(codeOf(renewed)).to.equal('ok');
  });

  it('without leases is gone at once', async () => {
    const f = new TaskExecutorFixture();
    const taskExecutor = await f.startRegistered();
    const drained = taskExecutor.drain({ deadlineMs: null });
    await f.clock.advance(5);
    expect(await drained).to.deep.equal({ leasesLeft: 0 });
    expect(f.rm.goodbyes).to.have.length(1);
  });

  it('does not wait for a leader that does not answer its goodbye', async () => {
    const f = new TaskExecutorFixture();
    const taskExecutor = await f.startRegistered();
    f.network.behaviour = () => ({ kind: 'stall' });
    const drained = taskExecutor.drain({ deadlineMs: null });
    await f.clock.advance(2_010);
    expect(await drained).to.deep.equal({ leasesLeft: 0 });
  });

  it('says no goodbye while its slots are quarantined, because that would lift it for a successor', async () => {
    const f = new TaskExecutorFixture();
    f.rm.onRegister = () => ({ knownBefore: true });
    const taskExecutor = await f.startRegistered();
    const drained = taskExecutor.drain({ deadlineMs: null });
    await f.clock.advance(5);
    expect(await drained).to.deep.equal({ leasesLeft: 0 });
    expect(f.rm.goodbyes).to.have.length(0);
  });

  it('asked twice, keeps the earlier deadline', async () => {
    const { f, taskExecutor } = await withClaim();
    const first = taskExecutor.drain({ deadlineMs: null });
    const second = taskExecutor.drain({ deadlineMs: 1_000 });
    await f.clock.advance(1_010);
    expect(await first).to.deep.equal({ leasesLeft: 1 });
    expect(await second).to.deep.equal({ leasesLeft: 1 });
  });

  it('by order of its leader ends by itself', async () => {
    let stopped = 0;
    const { f, jm } = await withClaim({ onStopped: () => (stopped += 1) });
    const sent = f.rm.command(tokenOf(1), I1, [{ kind: 'stop' }]);
    await f.clock.advance(10);
    expect(codeOf(sent)).to.equal('ok');
    expect(stopped).to.equal(0);
    jm.release([A1]);
    await f.clock.advance(10);
    expect(stopped).to.equal(1);
    expect(f.rm.goodbyes).to.have.length(1);
  });

  it('before it has started is over at once', async () => {
    const f = new TaskExecutorFixture();
    const taskExecutor = f.make();
    expect(await taskExecutor.drain({ deadlineMs: null })).to.deep.equal({ leasesLeft: 0 });
    await taskExecutor.start();
    expect(taskExecutor.status().phase).to.equal('closed');
  });
});
