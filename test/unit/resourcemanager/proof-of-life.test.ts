import { expect } from 'chai';
import type { FencingToken } from '../../../src/core/fencing-token.ts';
import { DEFAULT_TIMING } from '../../../src/core/timing.ts';
import { problemOf } from '../../support/problem-of.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import { driven, type TestingTaskExecutor } from '../../support/testing-worker.ts';

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
});
