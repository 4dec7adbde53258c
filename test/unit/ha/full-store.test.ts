import { expect } from 'chai';
import type { GuardedWrite } from '../../../src/ha/leader-election.ts';
import { lookForSpace } from '../../../src/ha/space-watch.ts';
import type { Participant } from '../../contract/high-availability-under-test.ts';
import { SimulatedElection, TTL_MS } from '../../support/simulated-election.ts';

const SPACE_IS_NOTICED_MS = 11_000;

function put(key: string): GuardedWrite {
  return { alsoIf: [], operations: [{ type: 'put', key, value: 'x' }], readBack: [{ type: 'range', key }] };
}

/** As the second one sees a crash of the leader, true or not. */
function seeCrash(by: Participant, of: Participant): void {
  const found = by.election.view.candidates.find(({ resourceManagerId }) => resourceManagerId === of.id);
  if (found === undefined) throw new Error(`${of.id} is not in line`);
  const { address, bootNonce } = found;
  by.election.peerSighted({ type: 'reached', address, bootNonce });
  by.election.peerSighted({ type: 'broken', address, bootNonce });
  by.election.peerSighted({ type: 'refused', address });
}

describe('an election over a store that is full', () => {
  let simulated: SimulatedElection;
  let leader: Participant;
  let second: Participant;
  let third: Participant;

  const setFull = (full: boolean): void => {
    simulated.etcd.state.noSpace = full;
  };

  beforeEach(async () => {
    simulated = new SimulatedElection();
    ({ participant: leader } = await simulated.leader());
    second = await simulated.scene.join('rm-2');
    third = await simulated.scene.join('rm-3');
    await simulated.clock.advance(500);
  });

  it('keeps its leader, whose writes are refused at once and are carried out when there is space', async () => {
    const { clock, scene } = simulated;
    const { leadership } = leader.contender;
    setFull(true);
    const key = `${scene.keys.taskExecutors}te-1`;
    expect(await scene.answer(leadership!.write(put(key)))).to.deep.equal({
      kind: 'full',
      isCertain: true,
    });
    await clock.advance(3 * TTL_MS);
    expect(leader.contender.calls).to.deep.equal(['grant', 'confirmed']);
    expect(leadership!.mayServe()).to.equal(true);
    setFull(false);
    expect((await scene.answer(leadership!.write(put(key)))).kind).to.equal('committed');
  });

  it('says that a write may be done all the same of which an earlier copy was not answered', async () => {
    const { etcd, scene, clock } = simulated;
    const { leadership } = leader.contender;
    const key = `${scene.keys.taskExecutors}te-1`;
    const held = etcd.holdBack({ client: 'rm-1', where: simulated.writes(key) });
    const written = leadership!.write(put(key));
    await clock.until(() => held.arrived);
    setFull(true);
    expect(await scene.answer(written)).to.deep.equal({ kind: 'full', isCertain: false });
  });

  it('is noticed by everybody without a write, and so is its end; both are said once', async () => {
    const { clock } = simulated;
    const all = [leader, second, third];
    const { revision } = simulated.etcd.state.mvcc;
    setFull(true);
    await clock.advance(SPACE_IS_NOTICED_MS);
    expect(all.map(({ election }) => election.storeFull)).to.deep.equal([true, true, true]);
    setFull(false);
    await clock.advance(1_500);
    expect(all.map(({ election }) => election.storeFull)).to.deep.equal([false, false, false]);
    for (const { logger } of all) {
      expect(logger.of('etcd-full')).to.have.length(1);
      expect(logger.of('etcd-takes-writes-again')).to.have.length(1);
    }
    expect(simulated.etcd.state.mvcc.revision, 'asking has written nothing').to.equal(revision);
  });

  it('lets no proof of death depose a leader that lives, and deposes it when there is space', async () => {
    const { clock } = simulated;
    setFull(true);
    seeCrash(second, leader);
    await clock.advance(2 * TTL_MS);
    expect(leader.contender.calls).to.deep.equal(['grant', 'confirmed']);
    expect(second.contender.leadership).to.equal(null);
    setFull(false);
    await simulated.scene.until('the second leads', () => second.contender.leadership !== null, 1_000);
  });

  it('confirms nobody after a crash, and the next in line within a second of there being space', async () => {
    const { clock, scene } = simulated;
    setFull(true);
    simulated.etcd.block('rm-1');
    seeCrash(second, leader);
    await clock.advance(3 * TTL_MS);
    expect(await scene.line()).to.have.length(2);
    expect([second, third].map(({ contender }) => contender.leadership)).to.deep.equal([null, null]);
    setFull(false);
    await scene.until('the second leads', () => second.contender.leadership !== null, 1_000);
    expect(second.contender.grants, 'one key, one grant').to.have.length(1);
    expect(third.contender.grants).to.deep.equal([]);
  });

  it('does not blame the head of the line for a confirm that finds no space', async () => {
    const { clock, scene } = simulated;
    third.election.peerSighted({ type: 'watching' });
    setFull(true);
    simulated.etcd.block('rm-1');
    await clock.advance(30_000);
    const challenges = third.logger.lines.filter(
      ({ level, event }) => level === 'warn' && event === 'challenging the head of the line',
    );
    expect(challenges.length, 'said while it was not known').to.be.below(3);
    // Ten times a second for 30 s were 300.
    expect(third.logger.of('challenging the head of the line').length).to.be.below(100);
    setFull(false);
    await scene.until('the second leads', () => second.contender.leadership !== null, 1_000);
    await clock.advance(5_000);
    expect(second.contender.calls).to.deep.equal(['grant', 'confirmed']);
  });

  it('has a leader refuse to go while nobody could follow it', async () => {
    const { scene } = simulated;
    expect(await scene.answer(leader.election.whyNotResign())).to.equal(null);
    setFull(true);
    expect(await scene.answer(leader.election.whyNotResign())).to.include({ code: 'STORE_FULL' });
    for (const name of ['etcd-1', 'etcd-2']) simulated.etcd.setCondition(name, 'silent');
    expect(await scene.answer(leader.election.whyNotResign())).to.include({ code: 'UNAVAILABLE' });
  });

  it('shows by a put in a branch that is not taken', () => {
    const { etcd, scene } = simulated;
    const looking = lookForSpace(scene.keys);
    const { revision } = etcd.state.mvcc;
    expect(etcd.state.transact(looking)).to.include({ succeeded: false, revision });
    setFull(true);
    expect(() => etcd.state.transact(looking)).to.throw('space exceeded');
  });
});
