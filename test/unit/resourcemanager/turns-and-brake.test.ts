import { expect } from 'chai';
import type { ResourceId } from '../../../src/core/ids.ts';
import { DEFAULT_TIMING } from '../../../src/core/timing.ts';
import { problemOf } from '../../support/problem-of.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';

describe('a probe of the leader', () => {
  it('waits for its turn in the mailbox', async () => {
    const bench = new ResourceManagerBench();
    const leadership = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    let probed = false;
    let passed = false;
    const passedInThatTurn: boolean[] = [];
    leadership.mayServe = () => {
      if (!probed) {
        probed = true;
        bench.election.contender?.probe(() => {
          passed = true;
        });
        passedInThatTurn.push(passed);
      }
      return true;
    };
    await taskExecutor.register(leadership.token);
    expect(passedInThatTurn).to.deep.equal([false]);
    expect(passed).to.equal(true);
  });
});

describe('the brake after a take-over', () => {
  it('keeps silent task executors in the books while more than half of them are silent', async () => {
    const bench = new ResourceManagerBench();
    const written = { leaderSessionId: 's', generation: 1, epoch: '1' };
    for (const name of ['te-1', 'te-2']) {
      const record = { instanceId: `${name}-0`, address: `${name}:1`, slots: 1, provider: null };
      bench.putRecord(bench.keys.taskExecutor(name as ResourceId), { ...record, ...written });
    }
    bench.election.lead();
    const { graceMs, heartbeatTimeoutMs, slotLeaseMs } = DEFAULT_TIMING;
    await bench.clock.advance(graceMs + heartbeatTimeoutMs + slotLeaseMs + 10_000);
    expect(bench.taskExecutorRecord('te-1')?.['gone'] ?? false).to.equal(false);
    await bench.clock.advance(300_000);
    expect(bench.taskExecutorRecord('te-1')?.['gone'], 'the brake holds for five minutes at most').to.equal(
      true,
    );
  });
});

describe('a job master whose record is written while the leader is suspended', () => {
  it('is not told that it is registered', async () => {
    const bench = new ResourceManagerBench();
    const leadership = bench.election.lead();
    const jobMaster = await bench.jobMaster('job');
    leadership.beforeWrite = () => {
      leadership.serving = false;
    };
    expect((await problemOf(jobMaster.register(leadership.token))).code).to.equal('SUSPENDED');
  });
});
