import { expect } from 'chai';
import { problemOf } from '../../support/problem-of.ts';
import { candidate } from '../../support/testing-leader-election.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';

/** Two resource managers on one network, as the first one sees the second. */
function pair(): { bench: ResourceManagerBench; crash: () => void; restart: () => void } {
  const bench = new ResourceManagerBench();
  const start = (nonce: string): ResourceManagerBench => new ResourceManagerBench({}, bench, 'rm-2', nonce);
  start('rm-2-boot');
  bench.election.setCandidates([candidate('rm-2', 'rm-2:1'), candidate('rm-1', 'rm-1:1')]);
  return {
    bench,
    crash: () => bench.network.crash('rm-2:1'),
    restart: () => void start('rm-2-again'),
  };
}

describe('what a resource manager tells the election of its peers', () => {
  it('begins with the watch, then whom it reaches and what is answered to pings', async () => {
    const { bench } = pair();
    await bench.clock.advance(350);
    const [first, second, ...rest] = bench.election.sightings;
    expect(first).to.deep.equal({ type: 'watching' });
    expect(second).to.deep.equal({ type: 'reached', address: 'rm-2:1', bootNonce: 'rm-2-boot' });
    expect(rest).to.have.length(3);
    const pong = { type: 'answered', bootNonce: 'rm-2-boot', state: 'standby', epoch: null };
    expect(rest).to.deep.equal([pong, pong, pong]);
  });

  it('is a break and, within milliseconds, a refusal after a crash', async () => {
    const { bench, crash } = pair();
    await bench.clock.advance(1_500);
    bench.election.sightings.length = 0;
    crash();
    await bench.clock.advance(5);
    expect(bench.election.sightings).to.deep.equal([
      { type: 'broken', address: 'rm-2:1', bootNonce: 'rm-2-boot' },
      { type: 'refused', address: 'rm-2:1' },
    ]);
  });

  it('is another boot nonce after a restart', async () => {
    const { bench, crash, restart } = pair();
    await bench.clock.advance(1_500);
    bench.election.sightings.length = 0;
    crash();
    restart();
    await bench.clock.advance(5);
    expect(bench.election.sightings).to.deep.equal([
      { type: 'broken', address: 'rm-2:1', bootNonce: 'rm-2-boot' },
      { type: 'reached', address: 'rm-2:1', bootNonce: 'rm-2-again' },
    ]);
  });

  it('is neither a refusal nor a process while the network is silent', async () => {
    const { bench } = pair();
    await bench.clock.advance(1_500);
    bench.election.sightings.length = 0;
    bench.network.behaviour = () => ({ kind: 'stall' });
    await bench.clock.advance(30_000);
    const told = new Set(bench.election.sightings.map(({ type }) => type));
    expect([...told]).to.deep.equal(['broken']);
  });

  it('is said to serve while it hands over, so that nobody challenges it', async () => {
    const { bench } = pair();
    await bench.clock.advance(1_500);
    const { token } = bench.election.lead();
    const taskExecutor = await bench.taskExecutor('te-1');
    await taskExecutor.register(token);
    const job = await bench.jobMaster('job-1');
    await job.register(token);
    // A grant that is never answered: work under way.
    taskExecutor.worker.onRequest = () => {};
    await job.requestSlots(token, ['a-1']);
    await bench.clock.advance(10);
    void bench.resourceManager.view.stepDown({ to: null, reason: 'a test' });
    await bench.clock.advance(200);
    expect(bench.election.resignations, 'what is under way comes to its end first').to.deep.equal([]);
    const pong = await job.worker.call('ping', {});
    expect(pong).to.deep.equal({ state: 'serving', epoch: token.epoch });
    expect((await problemOf(job.requestSlots(token, ['a-2']))).code).to.equal('SUSPENDED');
  });

  it('counts the task executors that have introduced themselves, on a standby too', async () => {
    const { bench } = pair();
    expect(bench.resourceManager.reachableTaskExecutors()).to.equal(0);
    await bench.taskExecutor('te-1');
    const { worker } = await bench.taskExecutor('te-2');
    expect(bench.resourceManager.reachableTaskExecutors()).to.equal(2);
    worker.close();
    await bench.clock.advance(10);
    expect(bench.resourceManager.reachableTaskExecutors()).to.equal(1);
  });
});
