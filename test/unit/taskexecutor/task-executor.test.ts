import { expect } from 'chai';
import type { InstanceId } from '../../../src/core/ids.ts';
import { InMemoryStateStore } from '../../../src/taskexecutor/in-memory-state-store.ts';
import {
  codeOf,
  leaseKey,
  requestSlot,
  resultsOf,
  TaskExecutorFixture,
} from '../../support/taskexecutor/task-executor-fixture.ts';
import { tokenOf } from '../../support/taskexecutor/testing-resource-manager.ts';

const I1 = 'instance-1' as InstanceId;

describe('TaskExecutor', () => {
  it('registers with the leader that announces itself, with a full report', async () => {
    const f = new TaskExecutorFixture();
    await f.startRegistered();
    const [registration] = f.rm.registrations;
    expect(registration).to.include({ resourceId: 'te-1', instanceId: I1, address: 'te-1:7000' });
    expect(registration?.report).to.deep.include({ full: true, lastSeen: null, draining: false });
    expect(registration?.report.slots.map((slot) => slot.slotNumber)).to.deep.equal([0, 1]);
  });

  it('grants a slot by command, lets it be claimed, and reports both', async () => {
    const f = new TaskExecutorFixture();
    await f.startRegistered();
    const sent = f.rm.command(tokenOf(1), I1, [requestSlot(0, 'a1')]);
    await f.clock.advance(10);
    const [result] = resultsOf(sent);
    const grantNumber = result?.outcome === 'done' ? (result.grantNumber ?? 0) : 0;
    expect(grantNumber).to.be.greaterThan(0);
    const jm = await f.jobMaster();
    const claimed = jm.claim(leaseKey(0, 'a1', I1, grantNumber));
    await f.clock.advance(10);
    expect(claimed.outcome).to.deep.equal({ ok: true, reply: { durationMs: 30_000 } });
    expect(f.rm.reports.map(({ report }) => report.slots.map((slot) => slot.state))).to.deep.equal([
      ['free', 'free'],
      ['granted'],
      ['claimed'],
    ]);
  });

  it('keeps its leases over a restart with its state', async () => {
    const f = new TaskExecutorFixture();
    const stateStore = new InMemoryStateStore(f.clock, 1);
    const first = await f.startRegistered({ stateStore });
    f.rm.command(tokenOf(1), I1, [requestSlot(0, 'a1')]);
    await f.clock.advance(10);
    const jm = await f.jobMaster();
    const claim = jm.claim(leaseKey(0, 'a1', I1, 1));
    await f.clock.advance(10);
    expect(codeOf(claim)).to.equal('ok');
    f.crash(first);
    await f.clock.advance(20_000);
    await f.start({ stateStore });
    await f.clock.advance(25_000);
    const again = await f.jobMaster();
    const renewed = again.renew([leaseKey(0, 'a1', I1, 1)]);
    await f.clock.advance(10);
    expect(renewed.outcome).to.deep.equal({
      ok: true,
      reply: { durationMs: 30_000, results: [{ allocationId: 'a1', problem: null }] },
    });
  });
});
