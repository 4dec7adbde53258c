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

describe('a confirm that is sent again until the store is restored', () => {
  it('leaves no term open of one who stood ahead and was confirmed in the restored store', async () => {
    const simulated = new SimulatedElection();
    const { scene, etcd, clock } = simulated;
    const { participant: first, leadership } = await simulated.leader('rm-1');
    for (const name of ['rm-2', 'rm-3']) await scene.join(name);
    const [, head, third] = await scene.line();
    etcd.block('rm-2');
    await scene.answer(first.election.resign({ reason: 'asked' }));
    const backup = etcd.snapshot();
    etcd.setFull(true);
    etcd.deleteKey(head!.key);
    await clock.advance(300);
    etcd.shutDown();
    etcd.startWith(backup);
    etcd.setFull(false);
    // The second one is confirmed and its lease ends; the first one's row is not the one that was read either.
    const row = {
      resourceManagerId: 'rm-2',
      leaderSessionId: 'late',
      confirmedAt: '',
      neverConfirmed: false,
    };
    const epoch = String(head!.createRevision);
    etcd.putKey(
      scene.keys.historyRow(1, head!.createRevision),
      JSON.stringify({ ...row, generation: 1, epoch, ended: null }),
    );
    const closed = scene.keys.historyRow(1, leadership.token.epoch);
    etcd.putKey(closed, simulated.value(closed)!);
    etcd.deleteKey(head!.key);
    // Nobody is told by a revision that falls.
    for (let write = 0; write < 20; write++) etcd.putKey('/others', String(write));
    await scene.until('another one is confirmed', async () => (await scene.history()).length === 3);
    const ends = (await scene.history()).map((term) => [term.epoch, term.ended?.reason]);
    expect(ends).to.deep.equal([
      [leadership.token.epoch, 'asked'],
      [head!.createRevision, 'lost'],
      [third!.createRevision, undefined],
    ]);
    etcd.unblock('rm-2');
    await scene.end();
  });
});
