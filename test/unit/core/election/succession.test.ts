import { expect } from 'chai';
import type { LineEntry } from '../../../../src/core/election/election-events.ts';
import type { LeaderSessionId } from '../../../../src/core/ids.ts';
import { ElectionRig, entry } from '../../../support/election-rig.ts';

const HEAD = entry('head', 1n, 'rm-2');
const MIDDLE = entry('middle', 2n, 'rm-3');

/** As the network shows a crash: met before, then broken, then refused. */
function crash(rig: ElectionRig, { candidate }: LineEntry): void {
  if (candidate === null) throw new Error('a foreign key does not crash');
  const { address, bootNonce } = candidate;
  rig.send({ type: 'peerSighted', sighting: { type: 'broken', address, bootNonce } });
  rig.send({ type: 'peerSighted', sighting: { type: 'refused', address } });
}

describe('succession', () => {
  let rig: ElectionRig;

  function meet(...entries: LineEntry[]): void {
    for (const { candidate } of entries) {
      if (candidate === null) continue;
      const { address, bootNonce } = candidate;
      rig.send({ type: 'peerSighted', sighting: { type: 'reached', address, bootNonce } });
    }
  }

  function queueBehind(...entries: LineEntry[]): void {
    rig = new ElectionRig();
    const [head] = entries;
    const session = 'session' as LeaderSessionId;
    rig.leader =
      head === undefined ? null : { generation: 1, epoch: head.createRevision, leaderSessionId: session };
    rig.send({ type: 'peerSighted', sighting: { type: 'watching' } });
    rig.queue(...entries);
    meet(...entries);
    rig.forget();
  }

  function confirmRequested(): void {
    rig.send({ type: 'confirmRequested', leaderSessionId: rig.session });
  }

  function pong(state: 'serving' | 'suspended' = 'serving'): void {
    const sighting = { type: 'answered', bootNonce: 'boot-rm-2', state, epoch: 1n } as const;
    rig.send({ type: 'peerSighted', sighting });
  }

  it('is granted in the turn in which the only one ahead is proven dead, and deposes it in the confirm', () => {
    queueBehind(HEAD);
    crash(rig, HEAD);
    expect(rig.all('grantLeadership')).to.have.length(1);
    expect(rig.all('confirm')).to.deep.equal([]);
    confirmRequested();
    const { deposition, token } = rig.last('confirm');
    expect(deposition?.dead).to.deep.equal([HEAD]);
    expect(deposition?.challengeRevision).to.equal(null);
    expect(deposition?.evidence).to.include('rm-2');
    expect(token.leaderSessionId).to.equal(rig.session);
    expect(rig.all('depose')).to.deep.equal([]);
  });

  it('comes past several dead at once', () => {
    queueBehind(HEAD, MIDDLE);
    crash(rig, MIDDLE);
    expect(rig.all('grantLeadership')).to.deep.equal([]);
    crash(rig, HEAD);
    confirmRequested();
    expect(rig.last('confirm').deposition?.dead).to.deep.equal([HEAD, MIDDLE]);
  });

  it('leaves a dead one alone behind a living head', () => {
    queueBehind(HEAD, MIDDLE);
    crash(rig, MIDDLE);
    for (let passed = 0; passed < 5_000; passed += 100) {
      pong();
      rig.pass(100);
    }
    expect(rig.all('depose')).to.deep.equal([]);
    expect(rig.all('putChallenge')).to.deep.equal([]);
  });

  it('waits 20 ms for each living one ahead, then deposes for its sake without a grant', () => {
    queueBehind(HEAD, MIDDLE);
    crash(rig, HEAD);
    rig.pass(19);
    expect(rig.all('depose')).to.deep.equal([]);
    rig.pass(1);
    expect(rig.last('depose').deposition.dead).to.deep.equal([HEAD]);
    rig.pass(1_000);
    expect(rig.all('depose'), 'one under way at a time').to.have.length(1);
    rig.send({ type: 'deposed', candidacy: rig.candidacy, outcome: 'done' });
    rig.observe([MIDDLE, rig.own()], 3_000n);
    rig.pass(200);
    expect(rig.all('depose')).to.have.length(1);
    expect(rig.all('grantLeadership')).to.deep.equal([]);
  });

  it('waits again for each head', () => {
    const last = entry('last', 3n, 'rm-4');
    queueBehind(HEAD, MIDDLE, last);
    crash(rig, HEAD);
    rig.pass(40);
    rig.send({ type: 'deposed', candidacy: rig.candidacy, outcome: 'done' });
    rig.observe([MIDDLE, last, rig.own()], 3_000n);
    rig.pass(500);
    rig.forget();
    crash(rig, MIDDLE);
    rig.pass(19);
    expect(rig.all('depose')).to.deep.equal([]);
    rig.pass(1);
    expect(rig.last('depose').deposition.dead).to.deep.equal([MIDDLE]);
  });

  it('leaves it when a nearer one was faster', () => {
    queueBehind(HEAD, MIDDLE);
    crash(rig, HEAD);
    rig.pass(10);
    rig.observe([MIDDLE, rig.own()], 3_000n);
    rig.pass(100);
    expect(rig.all('depose')).to.deep.equal([]);
  });

  it('tries again after a refusal, and once a second while there were too many', () => {
    queueBehind(HEAD, MIDDLE);
    crash(rig, HEAD);
    rig.pass(20);
    rig.send({ type: 'deposed', candidacy: rig.candidacy, outcome: 'refused' });
    rig.pass(100);
    expect(rig.all('depose')).to.have.length(2);
    rig.send({ type: 'deposed', candidacy: rig.candidacy, outcome: 'limited' });
    rig.pass(999);
    expect(rig.all('depose')).to.have.length(2);
    rig.pass(1);
    expect(rig.all('depose')).to.have.length(3);
  });

  it('confirms alone once the dead one was removed by another hand, under the same session', () => {
    queueBehind(HEAD);
    crash(rig, HEAD);
    confirmRequested();
    rig.send({ type: 'confirmAnswered', candidacy: rig.candidacy, outcome: { kind: 'refused' } });
    rig.observe([rig.own()], 3_000n);
    expect(rig.all('confirm')).to.have.length(2);
    expect(rig.last('confirm').deposition).to.equal(null);
    expect(rig.last('confirm').token.leaderSessionId).to.equal(rig.session);
    expect(rig.all('grantLeadership')).to.have.length(1);
  });

  it('confirms alone at once when the line shows that before the refusal comes', () => {
    queueBehind(HEAD);
    crash(rig, HEAD);
    confirmRequested();
    rig.observe([rig.own()], 3_000n);
    expect(rig.all('confirm'), 'not while the first one is unanswered').to.have.length(1);
    rig.send({ type: 'confirmAnswered', candidacy: rig.candidacy, outcome: { kind: 'refused' } });
    expect(rig.all('confirm')).to.have.length(2);
    expect(rig.last('confirm').deposition).to.equal(null);
    rig.send({ type: 'confirmAnswered', candidacy: rig.candidacy, outcome: { kind: 'refused' } });
    expect(rig.all('confirm'), 'but then with a pause').to.have.length(2);
  });

  it('goes to the end of the line when the head turns out to be alive, and leaves its record alone', () => {
    queueBehind(HEAD);
    crash(rig, HEAD);
    confirmRequested();
    const outcome = { kind: 'head-answered' } as const;
    rig.send({ type: 'confirmAnswered', candidacy: rig.candidacy, outcome });
    expect(rig.types()).to.include('revokeLeadership');
    expect(rig.last('release').ending.granted).to.equal(false);
  });

  it('takes its own record along when it resigns after such a confirm', () => {
    queueBehind(HEAD);
    crash(rig, HEAD);
    confirmRequested();
    const outcome = { kind: 'confirmed', sent: rig.now } as const;
    rig.send({ type: 'confirmAnswered', candidacy: rig.candidacy, outcome });
    rig.send({ type: 'resignRequested', request: 1, reason: 'asked', to: null });
    expect(rig.last('release').ending.granted).to.equal(true);
  });

  it('goes to the end of the line when one is reached again that a confirm under way deposes', () => {
    queueBehind(HEAD, MIDDLE);
    crash(rig, HEAD);
    crash(rig, MIDDLE);
    confirmRequested();
    expect(rig.last('confirm').deposition?.dead).to.have.length(2);
    rig.send({ type: 'peerSighted', sighting: { type: 'reached', address: 'x:1', bootNonce: 'another' } });
    expect(rig.all('release')).to.deep.equal([]);
    meet(MIDDLE);
    expect(rig.last('release').ending).to.include({ evidence: 'it was reached again', granted: false });
    expect(rig.all('revokeLeadership')).to.have.length(1);
  });

  it('does not send a confirm again when its grounds are gone', () => {
    queueBehind(HEAD);
    crash(rig, HEAD);
    confirmRequested();
    rig.send({ type: 'confirmAnswered', candidacy: rig.candidacy, outcome: { kind: 'refused' } });
    meet(HEAD);
    rig.pass(100);
    expect(rig.all('confirm')).to.have.length(1);
    expect(rig.types()).to.include('release');
  });

  it('is confirmed when too many depositions are long ago, or the lease has ended it', () => {
    queueBehind(HEAD);
    crash(rig, HEAD);
    confirmRequested();
    rig.send({ type: 'confirmAnswered', candidacy: rig.candidacy, outcome: { kind: 'limited' } });
    rig.pass(999);
    expect(rig.all('confirm')).to.have.length(1);
    rig.observe([rig.own()], 3_000n);
    expect(rig.last('confirm').deposition).to.equal(null);
  });

  it('does not begin a term on a lease that may have run out', () => {
    queueBehind(HEAD);
    rig.etcdAnswers = false;
    rig.freeze(9_000);
    crash(rig, HEAD);
    expect(rig.all('grantLeadership')).to.deep.equal([]);
  });

  it('deposes a foreign head without a challenge', () => {
    queueBehind(entry('foreign', 1n));
    rig.send({ type: 'tick' });
    confirmRequested();
    expect(rig.last('confirm').deposition?.dead.map(({ key }) => key)).to.deep.equal(['foreign']);
    expect(rig.all('putChallenge')).to.deep.equal([]);
  });

  it('challenges a silent head and deposes it when the challenge has stood', () => {
    queueBehind(HEAD);
    rig.pass(300);
    const { head, generation } = rig.last('putChallenge');
    expect([head, generation]).to.deep.equal([HEAD, 1]);
    const { candidacy } = rig;
    const put = { kind: 'standing', createRevision: 70n } as const;
    rig.send({ type: 'challengePut', candidacy, epoch: 1n, outcome: put });
    for (let passed = 0; passed < 600; passed += 25) {
      rig.pass(25);
      if (rig.all('readChallenge').length === 0) continue;
      rig.forget();
      rig.send({ type: 'challengeRead', candidacy, createRevision: 70n, standing: true });
      if (rig.all('grantLeadership').length > 0) break;
      expect(passed).to.be.below(550);
    }
    confirmRequested();
    expect(rig.last('confirm').deposition).to.deep.include({ dead: [HEAD], challengeRevision: 70n });
  });

  it('asks nobody while its contender does not watch the others', () => {
    rig = new ElectionRig();
    rig.queue(HEAD);
    rig.pass(5_000);
    expect(rig.all('putChallenge')).to.deep.equal([]);
  });

  it('listens to the head: one that serves is never challenged', () => {
    queueBehind(HEAD);
    for (let passed = 0; passed < 10_000; passed += 100) {
      pong();
      rig.pass(100);
    }
    expect(rig.all('putChallenge')).to.deep.equal([]);
    pong('suspended');
    expect(rig.all('putChallenge')).to.have.length(1);
  });
});

describe('a challenged leader', () => {
  function challenged(askerReaches: number, ownReaches: number): ElectionRig {
    const rig = new ElectionRig();
    rig.lead();
    rig.etcdAnswers = false;
    rig.pass(130);
    const { candidacy } = rig;
    const { check } = rig.last('probe');
    rig.send({ type: 'probed', candidacy, check });
    const outcome = { kind: 'challenged', askerReaches, ownReaches } as const;
    rig.send({ type: 'checkAnswered', candidacy, check, sent: rig.now, outcome });
    return rig;
  }

  it('answers through its serving path', () => {
    const rig = challenged(4, 2);
    const { check } = rig.last('probe');
    rig.send({ type: 'probed', candidacy: rig.candidacy, check });
    expect(rig.last('sendCheck').purpose).to.equal('answer');
    expect(rig.types()).not.to.include('release');
  });

  it('resigns when it reaches fewer than half as many task executors as the asker', () => {
    const rig = challenged(5, 2);
    expect(rig.last('release').ending.reason).to.equal('reaches too few task executors');
    expect(rig.last('release').ending.granted).to.equal(true);
  });
});
