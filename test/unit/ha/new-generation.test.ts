import { expect } from 'chai';
import type { FencingToken } from '../../../src/core/fencing-token.ts';
import type { ClusterId, LeaderSessionId } from '../../../src/core/ids.ts';
import { MOST_GENERATION } from '../../../src/core/messages/primitives.ts';
import type { QuartermasterError } from '../../../src/core/problem.ts';
import { parseIdentity } from '../../../src/ha/election-records.ts';
import { STORE_FULL } from '../../../src/ha/store-space.ts';
import { SimulatedElection } from '../../support/simulated-election.ts';

const OTHER = 'the-cluster-of-old' as ClusterId;

describe('a new generation', () => {
  let simulated: SimulatedElection;

  beforeEach(() => {
    simulated = new SimulatedElection();
  });

  afterEach(() => simulated.scene.end());

  function identity(): unknown {
    return parseIdentity(simulated.value(simulated.scene.keys.identity) ?? '');
  }

  function knowledge(clusterId: ClusterId, generation: number, epoch = 1n) {
    return { clusterId, highestToken: { generation, epoch, leaderSessionId: 's' as LeaderSessionId } };
  }

  it('is declared by a standby: the leader goes, the next one is confirmed under it, and history says why', async () => {
    const { scene } = simulated;
    const { participant: leader, leadership } = await simulated.leader();
    const standby = await scene.join('rm-2');
    const declared = await scene.answer(standby.election.declareGeneration(null));
    expect(declared).to.deep.equal({ clusterId: leadership.clusterId, generation: 2 });
    expect(identity()).to.deep.equal(declared);
    await scene.until('the leader of old knows', () =>
      leader.contender.calls.some((call) => call.startsWith('revoke')),
    );
    const token = (): FencingToken | undefined =>
      scene.participants.flatMap(({ contender }) => contender.leadership ?? [])[0]?.token;
    await scene.until('somebody leads', () => token() !== undefined);
    const { generation, epoch } = token()!;
    expect(generation).to.equal(2);
    const [old, now] = await scene.history();
    expect(old?.ended).to.deep.include({ reason: 'new generation', by: 'rm-2' });
    expect(now).to.deep.include({ generation: 2, epoch, ended: null });
  });

  it('fences a leader that does not know of it yet', async () => {
    const { scene, etcd } = simulated;
    const { leadership } = await simulated.leader();
    const standby = await scene.join('rm-2');
    etcd.block('rm-1');
    await scene.answer(standby.election.declareGeneration(null));
    const write = leadership.write({
      alsoIf: [],
      operations: [{ type: 'put', key: '/x', value: '1' }],
      readBack: [],
    });
    etcd.unblock('rm-1');
    expect((await scene.answer(write)).kind).to.be.oneOf(['deposed', 'abandoned']);
    expect(simulated.value('/x')).to.equal(undefined);
  });

  it('is only planned until it is ordered', async () => {
    const { scene } = simulated;
    const { participant, leadership } = await simulated.leader();
    const revision = simulated.etcd.state.mvcc.revision;
    participant.election.workerHeard('te-1', knowledge(OTHER, 4));
    participant.election.workerHeard('te-2', {
      clusterId: leadership.clusterId,
      highestToken: leadership.token,
    });
    const plan = await scene.answer(participant.election.planGeneration());
    expect(plan).to.deep.include({
      present: { clusterId: leadership.clusterId, generation: 1 },
      informedWorkers: 2,
      contradictingWorkers: 1,
      contradiction: null,
    });
    expect(plan.identity.generation).to.equal(5);
    expect(simulated.etcd.state.mvcc.revision).to.equal(revision);
    expect(leadership.mayServe()).to.equal(true);
  });

  it('is told from a cluster that is founded: it is above its generation though nothing else is known', async () => {
    const { scene } = simulated;
    const { election } = simulated.begin('rm-1');
    election.workerHeard('te-1', { clusterId: OTHER, highestToken: null });
    await scene.until('it is found out', () => election.view.contradiction !== null);
    expect(identity()).to.equal(null);
    const declared = await scene.answer(election.declareGeneration(null));
    expect(declared).to.deep.equal({ clusterId: OTHER, generation: 2 });
  });

  for (const fault of ['loseAnswer', 'loseCall'] as const) {
    it(`is declared once when its transaction is hit by ${fault}`, async () => {
      const { scene, etcd } = simulated;
      const { participant } = await simulated.leader();
      etcd[fault]({ client: 'rm-1', where: simulated.writes(scene.keys.identity) });
      const declared = await scene.answer(participant.election.declareGeneration(null));
      expect(declared.generation).to.equal(2);
      expect(identity()).to.deep.equal(declared);
    });
  }

  it('is not declared again by a copy that was held back, nor does that depose anybody', async () => {
    const { scene, etcd } = simulated;
    const { participant } = await simulated.leader();
    const held = etcd.holdBack({ client: 'rm-1', where: simulated.writes(scene.keys.identity) });
    await scene.answer(participant.election.declareGeneration(null));
    expect(held.arrived).to.equal(true);
    await scene.until(
      'a leader of generation 2',
      () => participant.contender.leadership?.token.generation === 2,
    );
    const { leadership } = participant.contender;
    held.commit();
    await scene.answer(participant.election.planGeneration());
    expect(identity()).to.deep.include({ generation: 2 });
    expect(leadership?.mayServe()).to.equal(true);
  });

  it('is not declared again by an order that names its generation and is repeated', async () => {
    const { scene } = simulated;
    const { participant } = await simulated.leader();
    await scene.answer(participant.election.declareGeneration(2));
    await scene.until(
      'a leader of generation 2',
      () => participant.contender.leadership?.token.generation === 2,
    );
    const { leadership } = participant.contender;
    const again = await scene.answer(participant.election.declareGeneration(2));
    expect(again.generation).to.equal(2);
    expect(leadership?.mayServe()).to.equal(true);
  });

  it('is one when two operators declare it at once on two resource managers', async () => {
    const { scene } = simulated;
    const { participant: leader } = await simulated.leader();
    const standby = await scene.join('rm-2');
    const [a, b] = await scene.answer(
      Promise.all([leader.election.declareGeneration(null), standby.election.declareGeneration(null)]),
    );
    expect(a).to.deep.equal(b);
    expect(identity()).to.deep.include({ generation: 2 });
  });

  it('is above the highest that any worker knows, and a lower one is refused and changes nothing', async () => {
    const { scene } = simulated;
    const { participant, leadership } = await simulated.leader();
    const { clusterId } = leadership;
    participant.election.workerHeard('a', knowledge(clusterId, 1));
    participant.election.workerHeard('b', knowledge(clusterId, 1));
    participant.election.workerHeard('c', knowledge(clusterId, 5));
    const refused = participant.election.declareGeneration(2).catch((error: unknown) => error);
    expect(await scene.answer(refused)).to.have.property('code', 'CONFLICT');
    expect(identity()).to.deep.equal({ clusterId, generation: 1 });
    expect((await scene.answer(participant.election.declareGeneration(6))).generation).to.equal(6);
  });

  it('is refused when a worker says that it knows the highest there can be, or when that is passed, and etcd stays readable', async () => {
    const { scene } = simulated;
    const { participant, leadership } = await simulated.leader();
    const { clusterId } = leadership;
    const orders = [MOST_GENERATION + 1, Number.MAX_SAFE_INTEGER];
    for (const wanted of orders) {
      const refused = participant.election.declareGeneration(wanted).catch((error: unknown) => error);
      expect(await scene.answer(refused)).to.have.property('code', 'CONFLICT');
    }
    for (const worker of ['a', 'b']) participant.election.workerHeard(worker, knowledge(clusterId, 1));
    participant.election.workerHeard('absurd', knowledge(clusterId, MOST_GENERATION));
    const refused = participant.election.declareGeneration(null).catch((error: unknown) => error);
    expect(await scene.answer(refused)).to.have.property('code', 'CONFLICT');
    expect(identity()).to.deep.equal({ clusterId, generation: 1 });
    expect(leadership.mayServe()).to.equal(true);
  });

  it('brings back the cluster id that most workers know, after a resource manager had invented another', async () => {
    const { scene } = simulated;
    const { participant } = await simulated.leader();
    participant.election.workerHeard('te-1', knowledge(OTHER, 3, 900n));
    await scene.until('it is revoked', () => participant.contender.leadership === null);
    expect(participant.election.view.contradiction).to.include(OTHER);
    await scene.until('it has left the line', async () => (await scene.line()).length === 0);
    const declared = await scene.answer(participant.election.declareGeneration(null));
    expect(declared).to.deep.equal({ clusterId: OTHER, generation: 4 });
    await scene.until('it leads again', () => participant.contender.leadership?.token.generation === 4);
    expect(participant.contender.leadership?.clusterId).to.equal(OTHER);
    expect(participant.election.view.contradiction).to.equal(null);
  });

  it('says that nothing is known when etcd does not answer, and writes nothing later', async () => {
    const { scene, etcd } = simulated;
    const { participant } = await simulated.leader();
    etcd.block('rm-1');
    const order = participant.election.declareGeneration(null).catch((error: unknown) => error);
    expect(await scene.answer(order)).to.have.property('code', 'NO_ANSWER');
    const plan = participant.election.planGeneration().catch((error: unknown) => error);
    expect(await scene.answer(plan)).to.have.property('code', 'UNAVAILABLE');
    etcd.unblock('rm-1');
    await scene.until('it leads again', () => participant.contender.leadership?.mayServe() === true);
    expect(identity()).to.deep.include({ generation: 1 });
  });

  it('is refused, by the code for it, while etcd is full, and changes nothing', async () => {
    const { scene, etcd } = simulated;
    const { participant: leader } = await simulated.leader();
    const before = identity();
    etcd.state.noSpace = true;
    const refusal = await scene.answer(
      leader.election.declareGeneration(null).catch((error: QuartermasterError) => error.problem),
    );
    expect(refusal).to.deep.equal(STORE_FULL);
    etcd.state.noSpace = false;
    await simulated.clock.advance(2_000);
    expect(identity()).to.deep.equal(before);
    expect(leader.contender.calls).to.deep.equal(['grant', 'confirmed']);
  });

  it('closes a row of history that a restored etcd shows open again, whatever had been read of it', async () => {
    const { scene, etcd, clock } = simulated;
    const { participant: first } = await simulated.leader();
    const second = await scene.join('rm-2');
    const snapshot = etcd.snapshot();
    await scene.answer(first.election.resign({ reason: 'one' }));
    await scene.untilLeads(second);
    await scene.answer(second.election.resign({ reason: 'two' }));
    await scene.untilLeads(first);
    await scene.until('the line is seen', () => scene.lineOf(second).length === 2);
    etcd.shutDown();
    etcd.startWith(snapshot);
    const blamed = (): boolean =>
      scene.participants.every(({ election }) => election.view.contradiction !== null);
    await scene.until('both say so', blamed);
    expect(first.contender.leadership ?? second.contender.leadership).to.equal(null);
    const endMs = clock.monotonicMs() + 10_000;
    await scene.until('the old leases are over', () => clock.monotonicMs() >= endMs, 11_000);
    await scene.answer(second.election.declareGeneration(null));
    const led = (): boolean =>
      scene.participants.some(({ contender }) => contender.leadership?.token.generation === 2);
    await scene.until('somebody leads', led);
    const open = (await scene.history()).filter(({ ended }) => ended === null);
    expect(open.map(({ generation }) => generation)).to.deep.equal([2]);
  });

  it('closes the term of one who founded another cluster in a wiped etcd, whatever others had read before', async () => {
    const { scene, etcd } = simulated;
    const { participant: first, leadership } = await simulated.leader();
    const second = await scene.join('rm-2');
    await scene.answer(first.election.resign({ reason: 'one' }));
    await scene.untilLeads(second);
    await scene.answer(second.election.resign({ reason: 'two' }));
    await scene.untilLeads(first);
    for (const known of ['rm-1', 'rm-2']) etcd.block(known);
    etcd.shutDown();
    etcd.startWith(null);
    const newcomer = await scene.join('rm-3');
    await scene.until('it leads', () => newcomer.contender.leadership !== null);
    newcomer.election.workerHeard('te-1', knowledge(leadership.clusterId, 1, 1_000n));
    await scene.until('it leads no more', () => newcomer.contender.leadership === null);
    for (const known of ['rm-1', 'rm-2']) etcd.unblock(known);
    const blamed = (): boolean =>
      scene.participants.every(({ election }) => election.view.contradiction !== null);
    await scene.until('all say so', blamed);
    etcd.block('rm-3');
    await scene.answer(first.election.declareGeneration(null));
    const led = (): boolean =>
      [first, second].some(({ contender }) => contender.leadership?.token.generation === 2);
    await scene.until('one of those of before leads', led);
    const open = (await scene.history()).filter(({ ended }) => ended === null);
    expect(open.map(({ generation }) => generation)).to.deep.equal([2]);
  });

  it('need not be known: a restored etcd that nobody finds out has its open rows closed all the same', async () => {
    const { scene, etcd } = simulated;
    const { participant: first } = await simulated.leader();
    const second = await scene.join('rm-2');
    const snapshot = etcd.snapshot();
    await scene.answer(first.election.resign({ reason: 'one' }));
    await scene.untilLeads(second);
    await scene.until('the line is seen', () => scene.lineOf(second).length === 2);
    etcd.block('rm-1');
    etcd.shutDown();
    etcd.startWith(snapshot);
    // Others use that etcd too: its revision is past the lost one before anybody looks.
    for (let write = 0; write < 100; write++) etcd.putKey('/others', String(write));
    const before = second.contender.leadership?.token.epoch;
    const stood = etcd.state.range({ type: 'range', key: scene.keys.election, prefix: true }).keyValues;
    for (const { key } of stood) etcd.deleteKey(key);
    const epoch = (): bigint | undefined => second.contender.leadership?.token.epoch;
    await scene.until('it leads anew', () => epoch() !== undefined && epoch() !== before);
    const open = (await scene.history()).filter(({ ended }) => ended === null);
    expect(open.map((row) => row.epoch)).to.deep.equal([epoch()]);
  });
});
