import { expect } from 'chai';
import type { FencingToken } from '../../../src/core/fencing-token.ts';
import { DEFAULT_TIMING } from '../../../src/core/timing.ts';
import { problemOf } from '../../support/problem-of.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import { driven, type TestingTaskExecutor, type TestingWorker } from '../../support/testing-worker.ts';

describe('a registration in the place of another process', () => {
  let bench: ResourceManagerBench;
  let token: FencingToken;
  let late: TestingTaskExecutor;

  beforeEach(async () => {
    bench = new ResourceManagerBench();
    ({ token } = bench.election.lead());
    late = await bench.taskExecutor('te-1', { instance: 'late' });
    late.worker.answersPings = false;
  });

  it('is refused while its process does not answer, and puts nobody out', async () => {
    const living = await bench.taskExecutor('te-1', { instance: 'living' });
    await living.register(token);
    expect((await problemOf(late.register(token))).code).to.equal('UNAVAILABLE');
    expect(bench.taskExecutorRecord('te-1')).to.deep.include({ instanceId: 'living', superseded: [] });
    expect(living.worker.heard('problem')).to.deep.equal([]);
    await living.heartbeat(token);
    late.worker.answersPings = true;
    await late.register(token);
    expect(bench.taskExecutorRecord('te-1')).to.deep.include({ instanceId: 'late' });
  });

  it('is refused also while the record of the other one is being written', async () => {
    const living = await bench.taskExecutor('te-1', { instance: 'living' });
    const registered = living.worker.channel.call('registerTaskExecutor', living.registration(token), 5_000);
    const refused = problemOf(
      late.worker.channel.call('registerTaskExecutor', late.registration(token), 5_000),
    );
    await driven(bench.clock, Promise.all([registered, refused]));
    expect((await refused).code).to.equal('UNAVAILABLE');
    expect(bench.taskExecutorRecord('te-1')).to.deep.include({ instanceId: 'living', superseded: [] });
  });

  it('is refused at once when the term ends', async () => {
    const living = await bench.taskExecutor('te-1', { instance: 'living' });
    await living.register(token);
    const startMs = bench.clock.monotonicMs();
    const refused = problemOf(
      late.worker.channel.call('registerTaskExecutor', late.registration(token), 5_000),
    );
    bench.clock.schedule(10, () => bench.election.revoke());
    await driven(bench.clock, refused);
    expect((await refused).code).to.equal('NOT_LEADER');
    expect(bench.clock.monotonicMs() - startMs).to.be.below(DEFAULT_TIMING.taskExecutorCallMs);
  });

  it('needs no proof when nobody else is known, nor when it is the one that is known', async () => {
    await late.register(token);
    await late.register(token);
    expect(bench.taskExecutorRecord('te-1')).to.deep.include({ instanceId: 'late' });
  });

  it('is refused to a job master alike', async () => {
    const older = await bench.jobMaster('job', 'older');
    older.worker.answersPings = false;
    const living = await bench.jobMaster('job', 'living');
    await living.register(token);
    expect((await problemOf(older.register(token))).code).to.equal('UNAVAILABLE');
    expect(bench.jobMasterRecord('job')).to.deep.include({ jobMasterId: 'living', superseded: [] });
    expect(living.worker.heard('problem')).to.deep.equal([]);
  });

  describe('whose proof was on its way while a third one registered', () => {
    /** It answers the first question late, and is dead by then. */
    async function dies(worker: TestingWorker): Promise<void> {
      worker.answersPings = true;
      worker.pingDelayMs = 500;
      await bench.clock.advance(100);
      worker.answersPings = false;
    }

    it('does not put out that one', async () => {
      await (await bench.taskExecutor('te-1', { instance: 'first' })).register(token);
      const refused = problemOf(
        late.worker.channel.call('registerTaskExecutor', late.registration(token), 5_000),
      );
      await dies(late.worker);
      const third = await bench.taskExecutor('te-1', { instance: 'third' });
      await third.register(token);
      expect((await driven(bench.clock, refused)).code).to.equal('UNAVAILABLE');
      expect(bench.taskExecutorRecord('te-1')).to.deep.include({
        instanceId: 'third',
        superseded: ['first'],
      });
      expect(third.worker.heard('problem')).to.deep.equal([]);
    });

    it('does not end that job master', async () => {
      await (await bench.jobMaster('job', 'first')).register(token);
      const second = await bench.jobMaster('job', 'second');
      const { jobId, jobMasterId } = second;
      const body = { token, jobId, jobMasterId, order: null };
      const refused = problemOf(second.worker.channel.call('registerJobMaster', body, 5_000));
      await dies(second.worker);
      const third = await bench.jobMaster('job', 'third');
      await third.register(token);
      expect((await driven(bench.clock, refused)).code).to.equal('UNAVAILABLE');
      expect(bench.jobMasterRecord('job')).to.deep.include({ jobMasterId: 'third', superseded: ['first'] });
      expect(third.worker.heard('problem')).to.deep.equal([]);
    });
  });
});
