import { expect } from 'chai';
import type { PeerSighting } from '../../../src/core/election/peer-sighting.ts';
import type { Participant } from '../../contract/high-availability-under-test.ts';
import { SimulatedElection } from '../../support/simulated-election.ts';

/** What one of them sees of another. */
function see(by: Participant, sighting: PeerSighting): void {
  by.election.peerSighted(sighting);
}

/** Where and who a participant is, as its candidate key says. */
function placeOf(of: Participant, by: Participant): { address: string; bootNonce: string } {
  const found = by.election.view.candidates.find((each) => each.resourceManagerId === of.id);
  if (found === undefined) throw new Error(`${of.id} is not in line`);
  return { address: found.address, bootNonce: found.bootNonce };
}

/** As the others see a crash of it. */
function seeCrash(by: Participant, of: Participant): void {
  const place = placeOf(of, by);
  see(by, { type: 'reached', ...place });
  see(by, { type: 'broken', ...place });
  see(by, { type: 'refused', address: place.address });
}

describe('the deposition over the store', () => {
  let simulated: SimulatedElection;
  let leader: Participant;
  let second: Participant;
  let third: Participant;

  const takesOver = (who: Participant, limitMs = 2_000): Promise<void> =>
    simulated.scene.until(`${who.id} leads`, () => who.contender.leadership !== null, limitMs);

  beforeEach(async () => {
    simulated = new SimulatedElection();
    ({ participant: leader } = await simulated.leader());
    second = await simulated.scene.join('rm-2');
    third = await simulated.scene.join('rm-3');
    await simulated.clock.advance(500);
  });

  it('brings the next one to leadership within milliseconds of the proof', async () => {
    const { clock, scene } = simulated;
    const beforeMs = clock.monotonicMs();
    simulated.etcd.block('rm-1');
    seeCrash(second, leader);
    await takesOver(second);
    expect(clock.monotonicMs() - beforeMs).to.be.below(20);
    const [ended] = await scene.history();
    expect(ended?.ended).to.deep.include({ reason: 'deposed', by: 'rm-2' });
    expect(simulated.recordedLeader()).to.equal('rm-2');
    expect(second.contender.grants).to.have.length(1);
  });

  it('tells when the deposed one was last seen to serve', async () => {
    const { clock, scene, etcd } = simulated;
    const { bootNonce } = placeOf(leader, second);
    etcd.block('rm-1');
    see(second, { type: 'answered', bootNonce, state: 'serving', epoch: 3n });
    const seenAt = new Date(clock.wallMs()).toISOString();
    await clock.advance(40);
    see(second, { type: 'answered', bootNonce, state: 'suspended', epoch: 3n });
    seeCrash(second, leader);
    await takesOver(second);
    expect((await scene.history())[0]?.ended?.lastServingAt).to.equal(seenAt);
  });

  /** The confirm of rm-3 deposes a dead one, and a restore brings back the key of that place in line, gone meanwhile. */
  async function restoreUnderConfirm(dead: typeof leader, place: number): Promise<void> {
    const { etcd, clock, scene } = simulated;
    for (const away of ['rm-1', 'rm-2']) etcd.block(away);
    const snapshot = etcd.snapshot();
    const epoch = leader.contender.leadership?.token.epoch;
    const stood = etcd.state.range({ type: 'range', key: scene.keys.election, prefix: true }).keyValues;
    const inLine = stood.toSorted((a, b) => (a.createRevision < b.createRevision ? -1 : 1));
    etcd.deleteKey(inLine[place]?.key ?? '');
    const held = etcd.holdBack({ client: 'rm-3', where: simulated.writes(scene.keys.leader) });
    seeCrash(third, dead);
    await scene.until('the confirm is under way', () => held.arrived);
    etcd.shutDown();
    etcd.startWith(snapshot);
    await clock.advance(2_000);
    expect(simulated.recordedLeader()).to.equal('rm-1');
    const open = (await scene.history()).filter(({ ended }) => ended === null);
    expect(open.map((row) => row.epoch)).to.deep.equal([epoch]);
  }

  it('does not commit past a key that a backup has brought back in front of the dead one', () =>
    restoreUnderConfirm(second, 0));

  it('does not commit past a key that a backup has brought back between the dead one and its own', () =>
    restoreUnderConfirm(leader, 1));

  it('commits once though answers are lost, and though copies come late', async () => {
    const { etcd, clock, scene } = simulated;
    const confirms = simulated.writes(scene.keys.leader);
    etcd.loseAnswer({ client: 'rm-2', where: confirms });
    etcd.delayCall(800, { client: 'rm-2', where: confirms });
    etcd.block('rm-1');
    seeCrash(second, leader);
    await takesOver(second);
    await clock.advance(2_000);
    expect(second.contender.grants).to.have.length(1);
    expect(second.contender.terms).to.have.length(1);
    expect(second.contender.leadership).not.to.equal(null);
  });

  it('is made by one who stands further back when the nearer one has seen nothing', async () => {
    simulated.etcd.block('rm-1');
    seeCrash(third, leader);
    await takesOver(second);
    expect((await simulated.scene.history())[0]?.ended).to.deep.include({ reason: 'deposed', by: 'rm-3' });
    expect(third.contender.grants).to.deep.equal([]);
  });

  it('comes past two that are dead at once', async () => {
    simulated.etcd.block('rm-1');
    simulated.etcd.block('rm-2');
    seeCrash(third, second);
    seeCrash(third, leader);
    await takesOver(third);
    expect(await simulated.scene.line()).to.have.length(1);
  });

  it('leaves no two that serve for longer than the serving deadline when the proof was false', async () => {
    const { clock } = simulated;
    seeCrash(second, leader);
    await takesOver(second);
    const atMs = clock.monotonicMs();
    await simulated.scene.until('the old one knows', () => leader.contender.leadership === null);
    expect(clock.monotonicMs() - atMs).to.be.below(400);
  });

  it('is made three times in 10 s, and then only by the lease', async () => {
    const { scene, clock } = simulated;
    let head = leader;
    let next = second;
    for (let round = 0; round < 3; round++) {
      const [dead, heir] = [head, next];
      await scene.until('both are in line', () => scene.lineOf(heir)[0] === dead.id);
      seeCrash(heir, dead);
      await takesOver(heir);
      head = heir;
      await scene.until('the next one is known', () => scene.lineOf(third).length === 3);
      const nextId = scene.lineOf(third)[1];
      next = scene.participants.find(({ id }) => id === nextId)!;
    }
    const before = clock.monotonicMs();
    simulated.etcd.block(head.id);
    seeCrash(next, head);
    await takesOver(next, 8_000);
    expect(clock.monotonicMs() - before).to.be.greaterThan(2_000);
  });

  it('leaves no challenge behind when the head that was asked leaves without a confirm, or is gone', async () => {
    const { scene, clock } = simulated;
    const challenge = (of: bigint): Promise<void> =>
      scene.put(scene.keys.challenge(1, of), JSON.stringify({ resourceManagerId: 'rm-3', taskExecutors: 0 }));
    const standing = async (): Promise<number> => (await scene.range(scene.keys.challenges, true)).length;
    second.contender.confirms = false;
    await scene.answer(leader.election.resign({ reason: 'a test' }));
    await scene.until('the second heads the line', () => second.contender.grants.length === 1);
    await challenge((await scene.line())[0]!.createRevision);
    await scene.answer(second.services.close());
    await scene.until('it has left', async () => (await scene.line()).length === 2);
    await takesOver(third);
    expect(await standing()).to.equal(0);
    await challenge(third.contender.leadership!.token.epoch - 1n);
    simulated.etcd.block('rm-3');
    await clock.advance(100);
    seeCrash(leader, third);
    await scene.until('the first leads again', () => leader.contender.leadership !== null);
    expect(await standing(), 'an old one goes with the next confirm').to.equal(0);
  });

  describe('of a silent head', () => {
    beforeEach(() => {
      for (const by of [second, third]) see(by, { type: 'watching' });
    });

    it('is made when it leaves the challenge unanswered', async () => {
      const { clock } = simulated;
      const beforeMs = clock.monotonicMs();
      leader.contender.onProbe = () => {};
      await takesOver(second, 3_000);
      expect(clock.monotonicMs() - beforeMs).to.be.within(750, 1_000);
      expect((await simulated.scene.history())[0]?.ended?.evidence).to.include('challenge');
    });

    it('is not made when it answers, and it is left in peace for a while', async () => {
      const { clock } = simulated;
      await clock.advance(4_000);
      expect(leader.contender.calls).to.deep.equal(['grant', 'confirmed']);
      expect(
        simulated.value(simulated.scene.keys.challenge(1, leader.contender.terms[0]!.token.epoch)),
      ).to.equal(undefined);
      expect(second.contender.calls).to.deep.equal([]);
    });

    it('ends by its own resignation when it reaches too few task executors', async () => {
      second.contender.taskExecutors = 5;
      third.contender.taskExecutors = 5;
      leader.contender.taskExecutors = 2;
      await takesOver(second);
      expect((await simulated.scene.history())[0]?.ended).to.deep.include({
        reason: 'reaches too few task executors',
        by: 'rm-1',
      });
    });

    it('is made of one that does not confirm', async () => {
      const { scene } = simulated;
      second.contender.confirms = false;
      simulated.etcd.block('rm-1');
      const beforeMs = simulated.clock.monotonicMs();
      await takesOver(third, 5_000);
      expect(simulated.clock.monotonicMs() - beforeMs).to.be.below(3_000);
      const rows = await scene.history();
      expect(rows.map(({ neverConfirmed }) => neverConfirmed)).to.deep.equal([false, true, false]);
    });

    it('is not made while etcd does not answer', async () => {
      const { etcd, clock } = simulated;
      for (const name of ['etcd-1', 'etcd-2']) etcd.setCondition(name, 'down');
      await clock.advance(1_500);
      for (const name of ['etcd-1', 'etcd-2']) etcd.setCondition(name, 'up');
      await clock.advance(4_000);
      expect(leader.contender.calls).to.deep.equal(['grant', 'confirmed', 'suspended', 'serving']);
      expect(leader.contender.leadership?.mayServe()).to.equal(true);
    });
  });
});
