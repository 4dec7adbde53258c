import { expect } from 'chai';
import type { ResourceId } from '../../../src/core/ids.ts';
import {
  createSlotManager,
  type SlotManagerOptions,
} from '../../../src/core/slotmanager/create-slot-manager.ts';
import type { SlotManager, SlotManagerEvent } from '../../../src/core/slotmanager/slot-manager-events.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import type { TestingTaskExecutor } from '../../support/testing-worker.ts';

const TASK_EXECUTORS = 10_000;
/** The mailbox allows 512 events in one turn; the rest of one turn and the first part of the next page may meet. */
const MOST_IN_A_TURN = 2 * 512;

/** A leader whose slot manager counts what it is given. */
class CountingBench {
  readonly given: SlotManagerEvent['type'][] = [];
  readonly bench = new ResourceManagerBench({
    slotManagerFactory: (options: SlotManagerOptions): SlotManager => {
      const slotManager = createSlotManager(options);
      const handle = slotManager.handle.bind(slotManager);
      slotManager.handle = (event, nowMs) => {
        this.given.push(event.type);
        return handle(event, nowMs);
      };
      return slotManager;
    },
  });

  count(type: SlotManagerEvent['type']): number {
    return this.given.filter((each) => each === type).length;
  }

  /** Turn by turn until that holds; returns the most that the slot manager was given in one of them. */
  async most(until: () => boolean): Promise<number> {
    let most = 0;
    while (!until()) {
      const before = this.given.length;
      if (!(await this.bench.clock.step())) throw new Error('nothing more happens');
      most = Math.max(most, this.given.length - before);
    }
    return most;
  }
}

function nameOf(n: number): string {
  return `te-${String(n).padStart(5, '0')}`;
}

describe('the recovery of 10,000 task executors', function () {
  this.timeout(20_000);
  const counting = new CountingBench();
  const { bench } = counting;
  const speakers: TestingTaskExecutor[] = [];
  /** Each speaks for many: over its connection it is the message that costs, not the socket. */
  const CONNECTED = 1_200;

  before(async () => {
    const written = { leaderSessionId: 's', generation: 1, epoch: '1' };
    for (let n = 0; n < TASK_EXECUTORS; n += 1) {
      const name = nameOf(n);
      const record = { instanceId: `${name}-1`, address: `${name}:1`, slots: 1, provider: null };
      bench.putRecord(bench.keys.taskExecutor(name as ResourceId), { ...record, ...written });
    }
    for (let n = 0; n < CONNECTED; n += 1) speakers.push(await bench.taskExecutor(nameOf(n)));
  });

  it('takes what etcd holds of them into the books in turns of a bounded number of records', async () => {
    const { token } = bench.election.lead();
    // All of them at once, and before the leader knows whom to expect: they wait for the records.
    for (const each of speakers)
      each.worker.channel.request('registerTaskExecutor', each.registration(token), 60_000, () => {});
    const most = await counting.most(() => counting.count('taskExecutorExpected') === TASK_EXECUTORS);
    expect(most).to.be.at.least(2).and.at.most(MOST_IN_A_TURN);
  });

  it('hears reports that come all at once in turns of a bounded number, and passes a probe in the next one', async () => {
    const half = (): boolean => counting.count('taskExecutorRegistered') >= CONNECTED / 3;
    const most = await counting.most(half);
    expect(counting.count('taskExecutorRegistered')).to.be.below(CONNECTED);
    let passed = false;
    bench.election.contender?.probe(() => (passed = true));
    const before = counting.count('taskExecutorRegistered');
    await counting.most(() => passed);
    expect(counting.count('taskExecutorRegistered') - before).to.be.at.most(MOST_IN_A_TURN);
    const rest = await counting.most(() => counting.count('taskExecutorRegistered') === CONNECTED);
    expect(Math.max(most, rest)).to.be.at.least(2).and.at.most(MOST_IN_A_TURN);
  });
});
