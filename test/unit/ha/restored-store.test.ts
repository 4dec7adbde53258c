import { expect } from 'chai';
import { SimulatedElection, TTL_MS } from '../../support/simulated-election.ts';

describe('a leader over a store that was restored from before its term', () => {
  it('takes its candidate key away and leaves the record and the history of the terms before alone', async () => {
    const simulated = new SimulatedElection();
    const { scene, etcd, clock } = simulated;
    const { participant: first, leadership } = await simulated.leader('rm-1');
    const second = await scene.join('rm-2');
    const backup = etcd.snapshot();
    await scene.answer(first.election.resign({ reason: 'asked' }));
    await scene.until('the second one leads', () => second.contender.leadership !== null);
    etcd.shutDown();
    etcd.startWith(backup);
    expect(simulated.recordedLeader()).to.equal('rm-1');
    const before = await scene.history();
    await scene.answer(second.election.stop('SIGTERM'));
    const inLine = etcd.state.range({ type: 'range', key: scene.keys.election, prefix: true }).keyValues;
    expect(inLine.map(({ createRevision }) => createRevision)).to.deep.equal([leadership.token.epoch]);
    expect(simulated.recordedLeader()).to.equal('rm-1');
    expect(await scene.history()).to.deep.equal(before);
    expect(before.map(({ epoch, ended }) => ({ epoch, ended }))).to.deep.equal([
      { epoch: leadership.token.epoch, ended: null },
    ]);
    await clock.advance(TTL_MS);
    await scene.end();
  });
});
