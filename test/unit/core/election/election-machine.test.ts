import { expect } from 'chai';
import type { ClusterId, LeaderSessionId, ResourceManagerId } from '../../../../src/core/ids.ts';
import { CLUSTER, ElectionRig, entry, TTL_MS } from '../../../support/election-rig.ts';

describe('election machine', () => {
  let rig: ElectionRig;

  beforeEach(() => {
    rig = new ElectionRig();
  });

  describe('joining the line', () => {
    it('does nothing but look before the first listing', () => {
      rig.send({ type: 'start' });
      rig.send({ type: 'tick' });
      expect(rig.types()).to.deep.equal(['observe']);
      expect(rig.machine.nextDueMs()).to.equal(Infinity);
    });

    it('creates the identity only when there is none and none is remembered', () => {
      rig.send({ type: 'start' });
      rig.observe([], 5n, null);
      expect(rig.types()).to.deep.equal(['observe', 'createIdentity']);
      rig.send({ type: 'identityAnswered', identity: CLUSTER, revision: 6n });
      expect(rig.last('openCandidacy').candidacy).to.equal(1);
    });

    it('is not misled by what was observed before the identity was created', () => {
      rig.send({ type: 'start' });
      rig.observe([], 5n, null);
      rig.send({ type: 'identityAnswered', identity: CLUSTER, revision: 6n });
      rig.observe([], 5n, null);
      expect(rig.all('log').filter(({ level }) => level === 'error')).to.deep.equal([]);
      rig.observe([], 7n, null);
      expect(rig.all('log').filter(({ level }) => level === 'error')).to.have.length(1);
    });

    it('says so when no identity can be created, and asks again after a while', () => {
      rig.send({ type: 'start' });
      rig.observe([], 5n, null);
      rig.send({ type: 'identityAnswered', identity: null, revision: 5n });
      expect(rig.last('log').event).to.include('something else is under the prefix');
      expect(rig.all('createIdentity')).to.have.length(1);
      rig.pass(1_100);
      expect(rig.all('createIdentity')).to.have.length(2);
      expect(rig.all('openCandidacy')).to.deep.equal([]);
    });

    it('lists again once its key is put', () => {
      rig.send({ type: 'start' });
      rig.observe([]);
      rig.forget();
      rig.send({ type: 'leaseGranted', candidacy: 1, ttlMs: TTL_MS, sent: rig.now });
      expect(rig.types()).to.deep.equal(['putCandidateKey']);
      rig.send({ type: 'candidateKeyPut', candidacy: 1, createRevision: rig.epoch });
      expect(rig.last('observe').reason).to.equal('own candidate key put');
      expect(rig.all('grantLeadership')).to.deep.equal([]);
    });

    it('tries again with another candidacy, after a pause, when the line cannot be joined', () => {
      rig.send({ type: 'start' });
      rig.observe([]);
      rig.send({ type: 'candidacyFailed', candidacy: 1, reason: 'no such user' });
      rig.send({ type: 'released', candidacy: 1 });
      expect(rig.candidacy).to.equal(1);
      rig.pass(1_100);
      expect(rig.candidacy).to.equal(2);
    });

    it('keeps its lease alive every third of its time, one keepalive at a time', () => {
      rig.queue(entry('other', 1n, 'rm-2'));
      rig.etcdAnswers = false;
      rig.forget();
      rig.pass(TTL_MS / 3 - 1);
      expect(rig.all('keepAlive')).to.deep.equal([]);
      rig.pass(TTL_MS);
      expect(rig.all('keepAlive')).to.have.length(1);
      expect(rig.last('keepAlive').timeoutMs).to.equal(TTL_MS / 3);
      rig.send({ type: 'keepAliveAnswered', candidacy: 1, outcome: { kind: 'failed' } });
      expect(rig.all('keepAlive')).to.have.length(2);
    });

    it('queues anew when its lease is lost while it waits, without a word to its contender', () => {
      rig.queue(entry('other', 1n, 'rm-2'));
      rig.send({ type: 'keepAliveAnswered', candidacy: 1, outcome: { kind: 'lost' } });
      expect(rig.all('release')).to.have.length(1);
      expect(rig.all('revokeLeadership')).to.deep.equal([]);
      rig.send({ type: 'released', candidacy: 1 });
      expect(rig.candidacy).to.equal(2);
    });

    it('queues anew when its key is deleted while it waits', () => {
      const other = entry('other', 1n, 'rm-2');
      rig.queue(other);
      rig.observe([other], 2_000n);
      expect(rig.last('release').ending).to.include({ reason: 'candidate key gone', granted: false });
    });

    it("takes a key put anew under the same name for somebody else's", () => {
      const other = entry('other', 1n, 'rm-2');
      rig.queue(other);
      rig.observe([other, entry(rig.key, rig.epoch + 50n, 'rm-1')], 2_000n);
      expect(rig.all('release')).to.have.length(1);
    });

    it('concludes nothing about its key from a line older than the key', () => {
      rig.queue(entry('other', 1n, 'rm-2'));
      rig.observe([], rig.epoch - 1n);
      expect(rig.all('release')).to.deep.equal([]);
      expect(rig.all('grantLeadership')).to.deep.equal([]);
    });
  });

  describe('grant and confirm', () => {
    it('grants once first in line, one session id for one key', () => {
      const other = entry('other', 1n, 'rm-2');
      rig.queue(other);
      expect(rig.all('grantLeadership')).to.deep.equal([]);
      rig.observe([rig.own()], 2_000n);
      rig.observe([rig.own()], 2_001n);
      rig.observe([rig.own()], 2_002n);
      expect(rig.all('grantLeadership')).to.deep.equal([
        { type: 'grantLeadership', leaderSessionId: rig.session },
      ]);
    });

    it('names a foreign key once', () => {
      const foreign = entry('foreign', 1n);
      rig.queue(foreign);
      rig.observe([foreign, rig.own()], 2_000n);
      const named = rig.all('log').filter(({ event }) => event.includes('foreign key'));
      expect(named).to.have.length(1);
      expect(named[0]?.fields).to.include({ key: 'foreign' });
    });

    it('does not begin a term on a lease that may have run out', () => {
      const other = entry('other', 1n, 'rm-2');
      rig.queue(other);
      rig.etcdAnswers = false;
      rig.freeze(0.9 * TTL_MS);
      rig.observe([rig.own()], 2_000n);
      expect(rig.all('grantLeadership')).to.deep.equal([]);
      const outcome = { kind: 'kept', ttlMs: TTL_MS, sent: rig.now } as const;
      rig.send({ type: 'keepAliveAnswered', candidacy: 1, outcome });
      expect(rig.all('grantLeadership')).to.have.length(1);
    });

    it('confirms only the session that was granted, and once', () => {
      rig.queue();
      rig.send({ type: 'confirmRequested', leaderSessionId: 'another' as LeaderSessionId });
      expect(rig.all('confirm')).to.deep.equal([]);
      rig.send({ type: 'confirmRequested', leaderSessionId: rig.session });
      rig.send({ type: 'confirmRequested', leaderSessionId: rig.session });
      expect(rig.all('confirm')).to.have.length(1);
      expect(rig.last('confirm').token).to.deep.equal({
        generation: 1,
        epoch: rig.epoch,
        leaderSessionId: rig.session,
      });
    });

    it('neither leads nor serves before the confirm is known to have committed', () => {
      rig.beginConfirm();
      rig.pass(2_000);
      expect(rig.all('leadershipConfirmed')).to.deep.equal([]);
      expect(rig.serving).to.equal(false);
      expect(rig.machine.token).to.equal(null);
      const outcome = { kind: 'confirmed', sent: rig.now } as const;
      rig.send({ type: 'confirmAnswered', candidacy: 1, outcome });
      expect(rig.all('leadershipConfirmed')).to.have.length(1);
      expect(rig.serving).to.equal(true);
    });

    it('sends a refused confirm again, under the same session', () => {
      rig.beginConfirm();
      rig.send({ type: 'confirmAnswered', candidacy: 1, outcome: { kind: 'refused' } });
      expect(rig.last('observe').reason).to.equal('the confirm was refused');
      rig.pass(101);
      const [first, second] = rig.all('confirm');
      expect(second).to.deep.equal(first);
      expect(rig.all('grantLeadership')).to.have.length(1);
    });

    it('revokes when the confirm finds its key gone, and queues with another lease and session', () => {
      rig.beginConfirm();
      rig.send({ type: 'confirmAnswered', candidacy: 1, outcome: { kind: 'key-gone' } });
      expect(rig.last('revokeLeadership').reason).to.equal('candidate key gone');
      rig.send({ type: 'released', candidacy: 1 });
      rig.joinLine();
      expect(rig.all('grantLeadership').map(({ leaderSessionId }) => leaderSessionId)).to.deep.equal([
        'session-1',
        'session-2',
      ]);
    });

    it('revokes when its key is deleted while it confirms, and ignores an answer that comes after', () => {
      rig.beginConfirm();
      rig.observe([], 2_000n);
      expect(rig.all('revokeLeadership')).to.have.length(1);
      const outcome = { kind: 'confirmed', sent: rig.now } as const;
      rig.send({ type: 'confirmAnswered', candidacy: 1, outcome });
      expect(rig.all('leadershipConfirmed')).to.deep.equal([]);
    });

    it('ignores answers that belong to an earlier candidacy', () => {
      rig.beginConfirm();
      rig.observe([], 2_000n);
      rig.send({ type: 'released', candidacy: 1 });
      rig.joinLine();
      rig.send({ type: 'confirmRequested', leaderSessionId: rig.session });
      const outcome = { kind: 'confirmed', sent: rig.now } as const;
      rig.send({ type: 'confirmAnswered', candidacy: 1, outcome });
      expect(rig.all('leadershipConfirmed')).to.deep.equal([]);
      rig.send({ type: 'confirmAnswered', candidacy: 2, outcome });
      expect(rig.all('leadershipConfirmed')).to.have.length(1);
    });

    it('gives up a grant whose confirm is not answered by the lease deadline', () => {
      rig.beginConfirm();
      rig.etcdAnswers = false;
      rig.pass(0.9 * TTL_MS - 1);
      expect(rig.all('revokeLeadership')).to.deep.equal([]);
      rig.pass(2);
      expect(rig.last('revokeLeadership').reason).to.equal('lease deadline passed');
    });

    it('starts suspended when the answer to the confirm came late', () => {
      rig.beginConfirm();
      rig.etcdAnswers = false;
      const sent = rig.now;
      rig.pass(500);
      rig.send({ type: 'confirmAnswered', candidacy: 1, outcome: { kind: 'confirmed', sent } });
      const types = rig.types();
      expect(types.indexOf('servingChanged')).to.be.greaterThan(types.indexOf('leadershipConfirmed'));
      expect(rig.last('servingChanged').serving).to.equal(false);
    });
  });

  describe('ending', () => {
    beforeEach(() => {
      rig.lead();
      rig.forget();
    });

    it('revokes in the turn in which its key is seen gone, by the line, a check or a guarded write', () => {
      const ways: (() => void)[] = [
        () => rig.observe([], 2_000n),
        () => rig.answerCheck(99, rig.now, 'key-gone'),
        () => rig.send({ type: 'keyFoundGone', candidacy: 1, how: 'a write' }),
        () => rig.send({ type: 'keepAliveAnswered', candidacy: 1, outcome: { kind: 'lost' } }),
      ];
      for (const way of ways) {
        rig = new ElectionRig();
        rig.lead();
        rig.forget();
        way();
        expect(rig.types().filter((type) => type !== 'log')).to.deep.equal(['revokeLeadership', 'release']);
        expect(rig.serving).to.equal(false);
        expect(rig.machine.token).to.equal(null);
      }
    });

    it('queues again only once key and lease are given back, or their time has passed', () => {
      rig.observe([], 2_000n);
      rig.pass(TTL_MS - 1);
      expect(rig.candidacy).to.equal(1);
      rig.pass(2);
      expect(rig.candidacy).to.equal(2);
    });

    it('stops keepalives and checks', () => {
      rig.observe([], 2_000n);
      rig.forget();
      rig.pass(TTL_MS / 2);
      // A turn that something else brings, when a keepalive would have been due.
      rig.send({ type: 'tick' });
      rig.pass(TTL_MS / 2 - 1);
      expect(rig.types()).to.deep.equal([]);
    });

    it('resigns once and for all: leading is over at once, whatever becomes of the transaction', () => {
      rig.send({ type: 'resignRequested', request: 7, reason: 'asked', to: null });
      expect(rig.last('revokeLeadership').reason).to.equal('asked');
      expect(rig.last('release').ending).to.include({ request: 7, granted: true, createRevision: rig.epoch });
      rig.observe([rig.own()], 3_000n);
      rig.answerCheck(1, rig.now);
      expect(rig.serving).to.equal(false);
      expect(rig.all('leadershipConfirmed')).to.deep.equal([]);
    });

    it('names the successor and whoever stands between', () => {
      const between = entry('b', 200n, 'rm-2');
      const foreign = entry('f', 250n);
      const to = entry('c', 300n, 'rm-3');
      rig.observe([rig.own(), between, foreign, to, entry('d', 400n, 'rm-4')], 2_000n);
      const name = 'rm-3' as ResourceManagerId;
      rig.send({ type: 'resignRequested', request: 7, reason: 'moving', to: name });
      expect(rig.last('release').ending.handOver).to.deep.equal({ to, ahead: [between, foreign] });
    });

    it('refuses to resign to somebody who is not in line, and when it does not lead', () => {
      const request = { type: 'resignRequested', request: 7, reason: 'moving' } as const;
      rig.send({ ...request, to: 'rm-1' as ResourceManagerId });
      expect(rig.last('refuseResignation').code).to.equal('CONFLICT');
      expect(rig.serving).to.equal(true);
      rig = new ElectionRig();
      rig.queue(entry('other', 1n, 'rm-2'));
      rig.send({ ...request, to: null });
      expect(rig.last('refuseResignation').code).to.equal('NOT_LEADER');
    });

    it('stops for good once all is given back', () => {
      rig.send({ type: 'stopRequested', reason: 'SIGTERM' });
      expect(rig.types()).to.include.members(['revokeLeadership', 'release']).and.not.include('stopped');
      rig.send({ type: 'released', candidacy: 1 });
      expect(rig.all('stopped')).to.have.length(1);
      rig.observe([], 3_000n);
      rig.send({ type: 'tick' });
      expect(rig.candidacy).to.equal(1);
      expect(rig.all('stopped')).to.have.length(1);
    });

    it('stops without an answer once the lease has run out', () => {
      rig.send({ type: 'stopRequested', reason: 'SIGTERM' });
      rig.pass(TTL_MS + 1);
      expect(rig.all('stopped')).to.have.length(1);
    });
  });

  describe('identity', () => {
    const another = { clusterId: 'cluster-2' as ClusterId, generation: 1 };

    it('leaves the line under another identity, and comes back when the old one does', () => {
      rig.lead();
      rig.observe([rig.own()], 2_000n, another);
      expect(rig.last('revokeLeadership').reason).to.equal('etcd was wiped or restored');
      rig.send({ type: 'released', candidacy: 1 });
      rig.pass(60_000);
      expect(rig.candidacy).to.equal(1);
      expect(rig.all('log').filter(({ event }) => event.includes('wiped'))).to.have.length(1);
      rig.observe([], 3_000n);
      expect(rig.candidacy).to.equal(2);
    });

    it('never creates an identity in the place of the one it remembers', () => {
      rig.lead();
      rig.observe([rig.own()], 2_000n, null);
      expect(rig.all('createIdentity')).to.deep.equal([]);
      expect(rig.all('revokeLeadership')).to.have.length(1);
    });

    it('steps down for a higher generation and confirms under it', () => {
      rig.lead();
      const renewed = { ...CLUSTER, generation: 2 };
      rig.observe([rig.own()], 2_000n, renewed);
      expect(rig.last('revokeLeadership').reason).to.equal('a new generation was declared');
      rig.send({ type: 'released', candidacy: 1 });
      const { candidacy } = rig;
      rig.send({ type: 'leaseGranted', candidacy, ttlMs: TTL_MS, sent: rig.now });
      rig.send({ type: 'candidateKeyPut', candidacy, createRevision: rig.epoch });
      rig.observe([rig.own()], 3_000n, renewed);
      rig.send({ type: 'confirmRequested', leaderSessionId: rig.session });
      expect(rig.last('confirm').token.generation).to.equal(2);
      expect(rig.last('confirm').identity).to.deep.equal(renewed);
    });

    it('confirms nothing when the confirm finds another identity', () => {
      rig.beginConfirm();
      const outcome = { kind: 'identity-differs', identity: another } as const;
      rig.send({ type: 'confirmAnswered', candidacy: 1, outcome });
      expect(rig.all('leadershipConfirmed')).to.deep.equal([]);
      expect(rig.last('revokeLeadership').reason).to.equal('identity differs');
    });
  });
});
