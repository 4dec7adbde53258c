import { expect } from 'chai';
import { SimulatedElection, TTL_MS } from '../../support/simulated-election.ts';

describe('election over a store that loses calls and answers', () => {
  let simulated: SimulatedElection;

  beforeEach(() => {
    simulated = new SimulatedElection();
  });

  afterEach(() => simulated.scene.end());

  for (const fault of ['loseAnswer', 'loseCall'] as const) {
    it(`holds one lease and one key when a grant and a put are hit by ${fault}`, async () => {
      const { etcd, scene } = simulated;
      etcd[fault]({ client: 'rm-1', method: 'grantLease' });
      etcd[fault]({ client: 'rm-1', where: simulated.joins() });
      const { leadership } = await simulated.leader();
      expect(simulated.clock.monotonicMs(), 'not by a second attempt').to.be.below(500);
      expect(etcd.state.leaseIds).to.have.length(1);
      const [own, ...others] = await scene.line();
      expect(others).to.deep.equal([]);
      expect(own?.createRevision).to.equal(leadership.token.epoch);
    });

    it(`confirms once when a confirm is hit by ${fault}`, async () => {
      const { etcd, scene, clock } = simulated;
      etcd[fault]({ client: 'rm-1', where: simulated.writes(scene.keys.leader) });
      const { participant, leadership } = await simulated.leader();
      expect(clock.monotonicMs()).to.be.below(500);
      expect(participant.contender.calls).to.deep.equal(['grant', 'confirmed']);
      expect(leadership.mayServe()).to.equal(true);
      const [record] = await scene.range(scene.keys.leader);
      expect(record?.version).to.equal(1n);
      expect(JSON.parse(record!.value).leaderSessionId).to.equal(leadership.token.leaderSessionId);
      expect(await scene.history()).to.have.length(1);
    });
  }

  it('knows its own confirm by either trace of it, the record or the row of history', async () => {
    for (const spoil of ['leader', 'history'] as const) {
      const { etcd, scene, clock } = (simulated = new SimulatedElection());
      etcd.loseAnswer({ client: 'rm-1', where: simulated.writes(scene.keys.leader) });
      const { contender } = await scene.join('rm-1');
      await scene.until('it has committed', () => simulated.recordedLeader() === 'rm-1');
      const { key } = (await scene.range(scene.keys.history, true))[0]!;
      if (spoil === 'leader') etcd.deleteKey(scene.keys.leader);
      else etcd.putKey(key, 'spoilt');
      await scene.until('it knows', () => contender.leadership !== null);
      expect(clock.monotonicMs()).to.be.below(500);
      expect(contender.calls).to.deep.equal(['grant', 'confirmed']);
      if (spoil === 'leader') await scene.end();
    }
  });

  it('confirms under the same session when the row of its predecessor is written under its hands', async () => {
    const { etcd, scene } = simulated;
    const { leadership } = await simulated.leader();
    const standby = await scene.join('rm-2');
    const row = scene.keys.historyRow(1, leadership.token.epoch);
    let written = false;
    etcd.loseCall({
      client: 'rm-2',
      where: (request) => {
        if (!written && simulated.writes(scene.keys.leader)(request)) {
          written = true;
          etcd.putKey(row, simulated.value(row)!);
        }
        return false;
      },
    });
    etcd.deleteKey((await scene.line())[0]!.key);
    await scene.untilLeads(standby);
    expect(written).to.equal(true);
    expect(standby.contender.calls).to.deep.equal(['grant', 'confirmed']);
    expect((await scene.history())[0]?.ended).to.deep.include({ by: 'rm-2' });
  });

  it('is not confirmed twice by a copy that arrives seconds later', async () => {
    const { etcd, scene, clock } = simulated;
    etcd.delayCall(5_000, { client: 'rm-1', where: simulated.writes(scene.keys.leader) });
    const { participant } = await simulated.leader();
    await clock.advance(6_000);
    const [record] = await scene.range(scene.keys.leader);
    expect(record?.version).to.equal(1n);
    expect(participant.contender.calls).to.deep.equal(['grant', 'confirmed']);
  });

  it('neither leads nor gives up while the confirm is unanswered, though the record is absent', async () => {
    const { etcd, scene, clock } = simulated;
    const held = Array.from({ length: 5 }, () =>
      etcd.holdBack({ client: 'rm-1', where: simulated.writes(scene.keys.leader) }),
    );
    const { contender } = await scene.join('rm-1');
    await scene.until('copies were sent', () => held.slice(0, 3).every(({ arrived }) => arrived));
    expect(await scene.range(scene.keys.leader)).to.deep.equal([]);
    expect(contender.calls).to.deep.equal(['grant']);
    held[0]!.commit();
    await scene.until('the next copy says that it is done', () => contender.leadership !== null);
    expect(contender.calls).to.deep.equal(['grant', 'confirmed']);
    for (const copy of held) copy.commit();
    await clock.advance(2_000);
    const [record] = await scene.range(scene.keys.leader);
    expect(record?.version).to.equal(1n);
  });

  it('goes on asking when copies of the confirm have run into their deadline and the record is absent', async () => {
    const { etcd, scene, clock } = simulated;
    const held = Array.from({ length: 30 }, () =>
      etcd.holdBack({ client: 'rm-1', where: simulated.writes(scene.keys.leader) }),
    );
    const { contender } = await scene.join('rm-1');
    await scene.until('copies were sent', () => held[20]!.arrived);
    expect(clock.monotonicMs(), 'the first has run into its deadline').to.be.above(1_000);
    expect(await scene.range(scene.keys.leader)).to.deep.equal([]);
    expect(contender.calls).to.deep.equal(['grant']);
    held[0]!.commit();
    await scene.until('a later copy says that it is done', () => contender.leadership !== null);
    expect(contender.calls[1]).to.equal('confirmed');
    expect(contender.grants).to.have.length(1);
    for (const copy of held) copy.commit();
    const [record] = await scene.range(scene.keys.leader);
    expect(record?.version).to.equal(1n);
  });

  it('never overwrites the record of a later leader by a confirm that was held back', async () => {
    const { etcd, scene, clock } = simulated;
    const held = Array.from({ length: 40 }, () =>
      etcd.holdBack({ client: 'rm-1', where: simulated.writes(scene.keys.leader) }),
    );
    const first = await scene.join('rm-1');
    const second = await scene.join('rm-2');
    await scene.until('copies were sent', () => held.slice(0, 3).every(({ arrived }) => arrived));
    etcd.deleteKey((await scene.line())[0]!.key);
    await scene.untilLeads(second);
    expect(first.contender.calls).to.deep.equal(['grant', 'revoke: candidate key gone']);
    for (const copy of held) copy.commit();
    await clock.advance(1_000);
    expect(simulated.recordedLeader()).to.equal('rm-2');
    expect(second.contender.leadership?.mayServe()).to.equal(true);
    expect((await scene.history()).map(({ resourceManagerId }) => resourceManagerId)).to.deep.equal(['rm-2']);
  });

  it('puts no ghost into the line by a put that commits after its key was deleted', async () => {
    const { etcd, scene, clock } = simulated;
    const held = etcd.holdBack({ client: 'rm-1', where: simulated.joins() });
    const { participant } = await simulated.leader();
    const [own] = await scene.line();
    etcd.deleteKey(own!.key);
    await scene.until('it leads under another key', () => participant.contender.terms.length === 2);
    held.commit();
    await clock.advance(100);
    const line = await scene.line();
    expect(line).to.have.length(1);
    expect(line[0]?.key).not.to.equal(own?.key);
  });

  it('creates one identity when several begin at once', async () => {
    const { scene } = simulated;
    const participants = ['rm-1', 'rm-2', 'rm-3'].map((name) => simulated.begin(name));
    const led = (): boolean => participants.some(({ contender }) => contender.leadership !== null);
    await scene.until('one leads', led);
    await scene.until('all are in line', () => scene.lineOf(participants[0]!).length === 3);
    const [identity] = await scene.range(scene.keys.identity);
    expect(identity?.version).to.equal(1n);
    const { clusterId } = JSON.parse(identity!.value);
    for (const { election } of participants) expect(election.view.clusterId).to.equal(clusterId);
  });

  it('resigns once when the answer is lost, and never leads again in that term', async () => {
    const { etcd, scene } = simulated;
    const { participant, leadership } = await simulated.leader();
    const second = await scene.join('rm-2');
    etcd.loseAnswer({ client: 'rm-1', where: simulated.deletes(scene.keys.leader) });
    await scene.answer(participant.election.resign({ reason: 'asked' }));
    await scene.untilLeads(second);
    expect(leadership.current).to.equal(false);
    const [ended] = await scene.history();
    expect(ended?.ended).to.deep.include({ reason: 'asked', by: 'rm-1' });
  });

  it('leads no more once a resignation has begun, though etcd is not there', async () => {
    const { etcd, scene, clock } = simulated;
    const { participant, leadership } = await simulated.leader();
    etcd.block('rm-1');
    let resigned = false;
    void participant.election.resign({ reason: 'asked' }).then(() => {
      resigned = true;
    });
    expect(leadership.mayServe()).to.equal(false);
    await clock.advance(1_000);
    expect(resigned).to.equal(false);
    etcd.unblock('rm-1');
    await scene.until('it is known to be done', () => resigned);
    expect(participant.contender.calls.slice(0, 3)).to.deep.equal(['grant', 'confirmed', 'revoke: asked']);
    expect(leadership.current).to.equal(false);
  });

  it('hands over to the successor also when somebody joins the line between them meanwhile', async () => {
    const { etcd, scene } = simulated;
    const { participant } = await simulated.leader();
    const second = await scene.join('rm-2');
    const third = await scene.join('rm-3');
    etcd.deleteKey((await scene.line())[1]!.key);
    await scene.answer(participant.election.resign({ reason: 'moving', to: third.id }));
    await scene.untilLeads(third);
    expect(second.contender.calls).to.deep.equal([]);
  });

  it('goes all the same when the successor is gone', async () => {
    const { etcd, scene } = simulated;
    const { participant } = await simulated.leader();
    const second = await scene.join('rm-2');
    const third = await scene.join('rm-3');
    etcd.deleteKey((await scene.line())[2]!.key);
    await scene.answer(participant.election.resign({ reason: 'moving', to: third.id }));
    await scene.untilLeads(second);
  });

  it('stops within the lease when etcd is not there', async () => {
    const { etcd, scene, clock } = simulated;
    const { participant } = await simulated.leader();
    etcd.block('rm-1');
    const beganMs = clock.monotonicMs();
    await scene.answer(participant.election.stop('SIGTERM'));
    expect(clock.monotonicMs() - beganMs).to.be.within(1, TTL_MS + 1);
    expect(participant.contender.calls.at(-1)).to.equal('revoke: SIGTERM');
  });
});
