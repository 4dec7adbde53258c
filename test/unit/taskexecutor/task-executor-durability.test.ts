import { expect } from 'chai';
import type { InstanceId, ResourceId } from '../../../src/core/ids.ts';
import type { TaskExecutorState } from '../../../src/core/taskexecutor/task-executor-state.ts';
import { InMemoryStateStore } from '../../../src/taskexecutor/in-memory-state-store.ts';
import type { OpenState, TaskExecutorStateStore } from '../../../src/taskexecutor/state-store.ts';
import {
  codeOf,
  leaseKey,
  requestSlot,
  resultsOf,
  TaskExecutorFixture,
} from '../../support/taskexecutor/task-executor-fixture.ts';
import { tokenOf } from '../../support/taskexecutor/testing-resource-manager.ts';

const I1 = 'instance-1' as InstanceId;

/** A store that can be told to fail. */
class TestingStateStore implements TaskExecutorStateStore {
  failing = false;
  saves = 0;
  closed = 0;

  open(): Promise<OpenState> {
    return Promise.resolve({
      state: null,
      save: (_state: TaskExecutorState) => {
        this.saves += 1;
        return this.failing ? Promise.reject(new Error('disk full')) : Promise.resolve();
      },
      close: () => {
        this.closed += 1;
        return Promise.resolve();
      },
    });
  }
}

describe('a task executor and its state', () => {
  it('lets no registration out before its token is durable', async () => {
    const f = new TaskExecutorFixture();
    const stateStore = new InMemoryStateStore(f.clock, 100);
    const starting = f.make({ stateStore }).start();
    await f.clock.advance(110);
    await starting;
    f.rm.announce(tokenOf(5));
    await f.clock.advance(90);
    expect(f.rm.registrations).to.have.length(0);
    await f.clock.advance(20);
    expect(f.rm.registrations).to.have.length(1);
    expect(stateStore.saved?.highestToken).to.deep.equal(tokenOf(5));
  });

  it('answers and reports a grant only when it is durable', async () => {
    const f = new TaskExecutorFixture();
    const stateStore = new InMemoryStateStore(f.clock, 50);
    const starting = f.make({ stateStore }).start();
    await f.clock.advance(60);
    await starting;
    f.rm.announce(tokenOf(1));
    await f.clock.advance(200);
    const before = f.rm.reports.length;
    const sent = f.rm.command(tokenOf(1), I1, [requestSlot(0, 'a1')]);
    await f.clock.advance(40);
    expect(codeOf(sent)).to.equal('no answer yet');
    expect(f.rm.reports).to.have.length(before);
    await f.clock.advance(20);
    expect(resultsOf(sent)[0]?.outcome).to.equal('done');
    expect(f.rm.reports).to.have.length(before + 1);
    expect(stateStore.saved?.slots[0]?.lease?.allocationId).to.equal('a1');
  });

  it('that dies before a claim is durable has not acknowledged it', async () => {
    const f = new TaskExecutorFixture();
    const stateStore = new InMemoryStateStore(f.clock, 50);
    const first = f.make({ stateStore });
    const starting = first.start();
    await f.clock.advance(60);
    await starting;
    f.rm.announce(tokenOf(1));
    await f.clock.advance(200);
    f.rm.command(tokenOf(1), I1, [requestSlot(0, 'a1')]);
    await f.clock.advance(100);
    const jm = await f.jobMaster();
    const claim = jm.claim(leaseKey(0, 'a1', I1, 1));
    await f.clock.advance(20);
    f.crash(first);
    await f.clock.advance(5);
    expect(codeOf(claim)).to.equal('NO_ANSWER');
    const restarting = f.make({ stateStore }).start();
    await f.clock.advance(60);
    await restarting;
    expect(stateStore.saved?.slots[0]?.lease).to.include({ allocationId: 'a1', claimed: false });
    const again = await f.jobMaster();
    const second = again.claim(leaseKey(0, 'a1', I1, 1));
    await f.clock.advance(60);
    expect(codeOf(second)).to.equal('ok');
  });

  it('gathers the changes that come during one save into the next', async () => {
    const f = new TaskExecutorFixture();
    const stateStore = new TestingStateStore();
    await f.startRegistered({ stateStore });
    const before = stateStore.saves;
    for (let n = 1; n <= 20; n++) f.rm.command(tokenOf(1), I1, [{ kind: 'noOperation' }]);
    await f.clock.advance(10);
    expect(stateStore.saves - before).to.be.within(1, 4);
  });

  it('ends when its state cannot be written, and acknowledges nothing that is not', async () => {
    const f = new TaskExecutorFixture();
    const stateStore = new TestingStateStore();
    const taskExecutor = await f.startRegistered({ stateStore });
    stateStore.failing = true;
    const sent = f.rm.command(tokenOf(1), I1, [requestSlot(0, 'a1')]);
    await f.clock.advance(10);
    expect(codeOf(sent)).to.not.equal('ok');
    expect(f.fatal.map(String)).to.deep.equal(['Error: disk full']);
    expect(taskExecutor.status().phase).to.equal('closed');
    expect(stateStore.closed).to.equal(1);
  });

  it('does not start when its state cannot be written', async () => {
    const f = new TaskExecutorFixture();
    const stateStore = new TestingStateStore();
    stateStore.failing = true;
    let message = '';
    await f
      .make({ stateStore })
      .start()
      .catch((error: unknown) => {
        message = String(error);
      });
    expect(message).to.equal('Error: disk full');
    expect(stateStore.closed).to.equal(1);
    await f.clock.advance(1_000);
    expect(f.rm.introductions).to.have.length(0);
  });

  it('does not start on the state of another task executor', async () => {
    const f = new TaskExecutorFixture();
    const stateStore = new InMemoryStateStore(f.clock);
    const first = await f.start({ stateStore });
    await first.stop();
    let message = '';
    await f
      .make({ stateStore, identity: { cluster: 'test', resourceId: 'te-2' as ResourceId } })
      .start()
      .catch((error: unknown) => {
        message = String(error);
      });
    expect(message).to.contain('CONFLICT: The state in memory belongs to task executor te-1');
  });

  it('refuses the leader of another cluster after a restart too', async () => {
    const f = new TaskExecutorFixture();
    const stateStore = new InMemoryStateStore(f.clock);
    const first = await f.startRegistered({ stateStore });
    f.crash(first);
    await f.start({ stateStore });
    expect(f.rm.introductions.at(-1)).to.deep.include({ clusterId: 'cluster-1', highestToken: tokenOf(1) });
    f.rm.announce(tokenOf(7), 'cluster-2' as never);
    await f.clock.advance(10);
    expect(f.rm.registrations).to.have.length(1);
  });

  it('that lost its state is quarantined for one lease duration from its start when etcd knew it', async () => {
    const f = new TaskExecutorFixture();
    const stateStore = new InMemoryStateStore(f.clock);
    const first = await f.startRegistered({ stateStore });
    f.crash(first);
    stateStore.erase();
    f.rm.onRegister = () => ({ knownBefore: true });
    const startMs = f.clock.monotonicMs();
    const next = await f.start({ stateStore });
    await f.lead(1);
    const states = (): string[] => next.status().slots.map((slot) => slot.state);
    expect(states()).to.deep.equal(['quarantined', 'quarantined']);
    await f.clock.advance(startMs + 29_999 - f.clock.monotonicMs());
    expect(states()).to.deep.equal(['quarantined', 'quarantined']);
    await f.clock.advance(2);
    expect(states()).to.deep.equal(['free', 'free']);
    expect(f.rm.reports.at(-1)?.report.slots.map((slot) => slot.state)).to.deep.equal(['free', 'free']);
  });
});
