import { expect } from 'chai';
import type {
  SlotManagerEffect,
  SlotManagerEvent,
} from '../../../src/core/slotmanager/slot-manager-events.ts';
import { createSlotManager } from '../../../src/core/slotmanager/create-slot-manager.ts';
import { DEFAULT_TIMING } from '../../../src/core/timing.ts';
import type { SlotManagerFactory } from '../../../src/resourcemanager/resource-manager-options.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import { SMALL } from '../../support/testing-worker.ts';
import { problemOf } from '../../support/problem-of.ts';

/** The real slot manager, with a record of what it was told and what it wanted. */
function watchedSlotManager(
  events: SlotManagerEvent[],
  effects: SlotManagerEffect[],
): { slotManagerFactory: SlotManagerFactory } {
  return {
    slotManagerFactory: (options) => {
      const slotManager = createSlotManager(options);
      const handle = slotManager.handle.bind(slotManager);
      slotManager.handle = (event, nowMs) => {
        events.push(event);
        const wanted = handle(event, nowMs);
        effects.push(...wanted);
        return wanted;
      };
      return slotManager;
    },
  };
}

describe('the 2016 protocol at the resource manager', () => {
  it('row 18: acknowledges a request without a slot, asks for a container, then asks the task executor with allocation id, leader id and timeout', async () => {
    const effects: SlotManagerEffect[] = [];
    const bench = new ResourceManagerBench(watchedSlotManager([], effects));
    const { token } = bench.election.lead();
    const jobMaster = await bench.jobMaster('job');
    await jobMaster.register(token);

    const { results } = await jobMaster.requestSlots(token, ['a-1']);
    expect(results).to.deep.equal([{ allocationId: 'a-1', problem: null }]);
    const containers = effects.filter((effect) => effect.type === 'allocateContainer');
    expect(containers).to.deep.equal([{ type: 'allocateContainer', allocationId: 'a-1', profile: SMALL }]);

    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    await bench.clock.until(() => taskExecutor.commands.length > 0);
    const [call] = taskExecutor.commands;
    expect(call?.body.token).to.deep.equal(token);
    expect(call?.body.instanceId).to.equal('te-1-1');
    const [command] = call?.body.commands ?? [];
    expect(command).to.include({
      kind: 'requestSlot',
      slotNumber: 0,
      allocationId: 'a-1',
      jobId: 'job',
      jobMasterId: 'job-1',
      unclaimedMs: DEFAULT_TIMING.unclaimedMs,
    });
  });

  it('row 19: acknowledges a request with a free slot, records slot and allocation, asks the task executor with the leader id', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    taskExecutor.grants();
    await taskExecutor.register(token);
    const jobMaster = await bench.jobMaster('job');
    const { order } = await jobMaster.register(token);

    const { results } = await jobMaster.requestSlots(token, ['a-1']);
    expect(results).to.deep.equal([{ allocationId: 'a-1', problem: null }]);
    await bench.clock.until(() => jobMaster.worker.heard('notifySlotsAllocated').length > 0);
    const [call] = taskExecutor.commands;
    expect(call?.body.token.leaderSessionId).to.equal(token.leaderSessionId);
    expect(call?.body.commands[0]).to.deep.include({ kind: 'requestSlot', allocationId: 'a-1', order });
    const [told] = jobMaster.worker.heard('notifySlotsAllocated');
    expect(told?.grants[0]).to.include({ allocationId: 'a-1', instanceId: 'te-1-1', address: 'te-1:1' });
    const { rows } = await bench.resourceManager.view.slots({ limit: 10, after: null });
    expect(rows[0]).to.include({
      resourceId: 'te-1',
      slotNumber: 0,
      state: 'allocated',
      allocationId: 'a-1',
    });
  });

  it('row 20: the session id is null, then the UUID, then null', () => {
    const bench = new ResourceManagerBench();
    const seen: (string | null)[] = [bench.resourceManager.leaderSessionId];
    bench.resourceManager.watchLeaderSessionId((leaderSessionId) => seen.push(leaderSessionId));
    const granted = bench.election.grant();
    expect(bench.resourceManager.leaderSessionId, 'before the confirm').to.equal(null);
    expect(bench.election.confirms).to.deep.equal([granted]);
    bench.election.confirm();
    expect(bench.resourceManager.leaderSessionId).to.equal(granted);
    bench.election.revoke();
    expect(seen).to.deep.equal([null, granted, null]);
  });

  it('row 21: rejects a request for a job that is not registered', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const jobMaster = await bench.jobMaster('job');
    const problem = await problemOf(jobMaster.requestSlots(token, ['a-1']));
    expect(problem.code).to.equal('UNKNOWN_JOB_MASTER');
    expect((await bench.resourceManager.view.overview()).pendingRequests).to.equal(0);
  });

  it('row 22: another process of the job replaces the gateway, it is logged, the old one gets SUPERSEDED', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const older = await bench.jobMaster('job', 'job-older');
    const { order: lower } = await older.register(token);
    const newer = await bench.jobMaster('job', 'job-newer');
    const { order: higher } = await newer.register(token);

    expect(higher.revision > lower.revision).to.equal(true);
    await bench.clock.advance(1);
    expect(older.worker.heard('problem').map(({ code }) => code)).to.deep.equal(['SUPERSEDED']);
    expect(bench.logger.of('job-master-replaced')[0]).to.include({
      jobId: 'job',
      jobMasterId: 'job-newer',
      replaced: 'job-older',
      epoch: token.epoch,
      leaderSessionId: token.leaderSessionId,
    });
    const refused = await problemOf(older.requestSlots(token, ['a-1']));
    expect(refused.code).to.equal('SUPERSEDED');
    const { results } = await newer.requestSlots(token, ['a-2']);
    expect(results[0]?.problem).to.equal(null);
  });

  it('row 23: an error of the election ends the term and the process', () => {
    const bench = new ResourceManagerBench();
    bench.election.lead();
    const error = new Error('etcd says no');
    bench.election.contender?.handleError(error);
    bench.election.contender?.handleError(new Error('once more'));
    expect(bench.fatal).to.deep.equal([error]);
    expect(bench.resourceManager.leaderSessionId).to.equal(null);
    expect(bench.logger.of('term-ended')[0]?.['reason']).to.equal('failed: etcd says no');
    expect(bench.resourceManager.state).to.equal('stopping');
  });
});

describe('defects of the 2016 resource manager', () => {
  it('accepts no registration while it does not lead', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    const jobMaster = await bench.jobMaster('job');
    bench.election.revoke();
    expect((await problemOf(taskExecutor.register(token))).code).to.equal('NOT_LEADER');
    expect((await problemOf(jobMaster.register(token))).code).to.equal('NOT_LEADER');
    bench.election.grant();
    expect((await problemOf(taskExecutor.register(token))).code, 'granted only').to.equal('NOT_LEADER');
    expect(bench.taskExecutorRecord('te-1')).to.equal(null);
    expect(bench.jobMasterRecord('job')).to.equal(null);
  });

  it('keeps neither books nor leader id after a revocation', async () => {
    const bench = new ResourceManagerBench();
    const first = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1', { slots: 3 });
    await taskExecutor.register(first.token);
    const jobMaster = await bench.jobMaster('job');
    await jobMaster.register(first.token);
    await jobMaster.requestSlots(first.token, ['a-1']);
    bench.election.revoke();
    expect(bench.resourceManager.leaderSessionId).to.equal(null);

    const second = bench.election.lead();
    await bench.clock.advance(10);
    const overview = await bench.resourceManager.view.overview();
    expect(overview.leader.leaderSessionId).to.equal(second.token.leaderSessionId);
    // What etcd says of it is all that the new term knows.
    expect(overview.slots).to.include({ free: 0, requested: 0, allocated: 0, unknown: 3 });
    expect(overview.pendingRequests).to.equal(0);
  });

  it('acts on the refusal of a task executor', async () => {
    const events: SlotManagerEvent[] = [];
    const bench = new ResourceManagerBench(watchedSlotManager(events, []));
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    taskExecutor.worker.onRequest = (request) => {
      if (request.type === 'executeSlotCommands') request.fail({ code: 'STALE', detail: 'seen a later one' });
    };
    await taskExecutor.register(token);
    const jobMaster = await bench.jobMaster('job');
    await jobMaster.register(token);
    await jobMaster.requestSlots(token, ['a-1']);
    const answers = () => events.filter((event) => event.type === 'slotCommandsAnswered');
    await bench.clock.until(() => answers().length > 0);
    expect(answers()[0]?.outcome).to.deep.equal({
      kind: 'problem',
      problem: { code: 'STALE', detail: 'seen a later one' },
    });
  });

  it('acts on a task executor that does not answer in time', async () => {
    const events: SlotManagerEvent[] = [];
    const bench = new ResourceManagerBench(watchedSlotManager(events, []));
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    const jobMaster = await bench.jobMaster('job');
    await jobMaster.register(token);
    await jobMaster.requestSlots(token, ['a-1']);
    const sentMs = bench.clock.monotonicMs();
    const answers = () => events.filter((event) => event.type === 'slotCommandsAnswered');
    await bench.clock.until(() => answers().length > 0);
    expect(answers()[0]?.outcome.kind).to.equal('noAnswer');
    expect(bench.clock.monotonicMs() - sentMs).to.be.closeTo(DEFAULT_TIMING.taskExecutorCallMs, 50);
  });

  it('answers a report before the registration with a problem', async () => {
    const bench = new ResourceManagerBench();
    const { token } = bench.election.lead();
    await bench.clock.advance(10);
    const taskExecutor = await bench.taskExecutor('te-1');
    const { resourceId, instanceId } = taskExecutor;
    const { report } = taskExecutor.registration(token);
    taskExecutor.worker.channel.notify('reportSlots', { token, resourceId, instanceId, report });
    await bench.clock.advance(1);
    expect(taskExecutor.worker.heard('problem')[0]?.code).to.equal('UNKNOWN_TASK_EXECUTOR');
  });
});
