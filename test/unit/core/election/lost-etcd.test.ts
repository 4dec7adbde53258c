import { expect } from 'chai';
import type { WorkerKnowledge } from '../../../../src/core/election/worker-witnesses.ts';
import type { ClusterId, LeaderSessionId } from '../../../../src/core/ids.ts';
import { CLUSTER, ElectionRig, entry, TTL_MS } from '../../../support/election-rig.ts';

const ANOTHER = { clusterId: 'cluster-2' as ClusterId, generation: 1 };

function knows(clusterId: ClusterId, epoch = 5n, generation = 1): WorkerKnowledge {
  return { clusterId, highestToken: { generation, epoch, leaderSessionId: 'session' as LeaderSessionId } };
}

describe('an etcd that was wiped or restored', () => {
  let rig: ElectionRig;

  beforeEach(() => {
    rig = new ElectionRig();
  });

  function hear(worker: string, knowledge: WorkerKnowledge | null): void {
    rig.send({ type: 'workerHeard', worker, knowledge });
  }

  /** Etcd is listed anew, as was asked for. */
  function lookAgain(): void {
    rig.observe([rig.own()], rig.revision + 1n);
  }

  describe('given away by its workers', () => {
    it('gets no identity and no candidate from one that remembers nothing', () => {
      hear('te-1', knows(CLUSTER.clusterId));
      rig.send({ type: 'start' });
      rig.observe([], 5n, null);
      expect(rig.all('createIdentity')).to.deep.equal([]);
      expect(rig.all('observe')).to.have.length(2);
      rig.observe([], 5n, null);
      expect(rig.machine.contradiction).to.include('1 of 1 workers').and.include('te-1');
      rig.pass(30_000);
      expect(rig.all('createIdentity')).to.deep.equal([]);
      expect(rig.all('openCandidacy')).to.deep.equal([]);
    });

    it('is not taken for new because its workers know nothing', () => {
      hear('te-1', { clusterId: null, highestToken: null });
      rig.send({ type: 'start' });
      rig.observe([], 5n, null);
      expect(rig.all('createIdentity')).to.have.length(1);
      expect(rig.machine.contradiction).to.equal(null);
    });

    it('is confirmed at by nobody: a candidate leaves the line', () => {
      rig.queue(entry('other', 1n, 'rm-2'));
      hear('te-1', knows(ANOTHER.clusterId));
      expect(rig.all('release')).to.deep.equal([]);
      rig.observe([entry('other', 1n, 'rm-2'), rig.own()]);
      expect(rig.last('release').ending.reason).to.equal('etcd was wiped or restored');
      rig.send({ type: 'released', candidacy: 1 });
      rig.pass(30_000);
      expect(rig.candidacy).to.equal(1);
    });

    it('ends the term of a leader that finds it out, once etcd has been looked at anew', () => {
      rig.lead();
      hear('te-1', knows(ANOTHER.clusterId));
      expect(rig.serving).to.equal(true);
      expect(rig.last('observe').reason).to.equal('the workers know more than was seen');
      lookAgain();
      expect(rig.last('revokeLeadership').reason).to.equal('etcd was wiped or restored');
      expect(rig.serving).to.equal(false);
      expect(rig.all('log').filter(({ event }) => event.includes('wiped or restored'))).to.have.length(1);
    });

    it('is told by a token above its revision or its generation', () => {
      rig.lead();
      hear('te-1', knows(CLUSTER.clusterId, rig.revision + 1_000n));
      lookAgain();
      expect(rig.machine.contradiction).to.include('etcd is at revision');
      rig = new ElectionRig();
      rig.lead();
      hear('te-1', knows(CLUSTER.clusterId, 1n, 2));
      lookAgain();
      expect(rig.machine.contradiction).to.include('generation 2');
    });

    it('holds a confirm back until etcd has been looked at anew, and goes on with it when all is well', () => {
      rig.queue();
      const epoch = rig.revision + 5n;
      hear('te-1', knows(CLUSTER.clusterId, epoch));
      rig.send({ type: 'confirmRequested', leaderSessionId: rig.session });
      rig.pass(1_000);
      expect(rig.all('confirm')).to.deep.equal([]);
      hear('te-2', knows(CLUSTER.clusterId, 1n));
      rig.observe([rig.own()], epoch);
      expect(rig.all('confirm')).to.have.length(1);
      expect(rig.machine.contradiction).to.equal(null);
    });

    it('is told by a key that stands first though a later one has led: it goes, and the next one is above them', () => {
      rig.lead();
      const lost = rig.revision + 5n;
      hear('te-1', knows(CLUSTER.clusterId, lost));
      rig.observe([rig.own()], lost + 1n);
      expect(rig.machine.contradiction).to.include('stands before it in line');
      expect(rig.serving).to.equal(false);
      rig.send({ type: 'released', candidacy: 1 });
      rig.observe([], lost + 2n);
      expect(rig.machine.contradiction).to.equal(null);
      expect(rig.candidacy).to.equal(2);
    });

    it('is asked about once, not at each event, while it does not answer', () => {
      rig.lead();
      const before = rig.all('observe').length;
      hear('te-1', knows(ANOTHER.clusterId));
      hear('te-2', knows(ANOTHER.clusterId));
      rig.pass(350);
      expect(rig.all('observe').length - before).to.equal(1);
    });

    it('is believed while half of those who know anything agree with it', () => {
      rig.lead();
      rig.leader = rig.machine.token;
      hear('te-1', knows(CLUSTER.clusterId));
      hear('te-2', knows(ANOTHER.clusterId));
      lookAgain();
      lookAgain();
      expect(rig.serving).to.equal(true);
      hear('te-3', knows(ANOTHER.clusterId));
      lookAgain();
      expect(rig.serving).to.equal(false);
    });

    it('costs no look at etcd when the workers agree', () => {
      rig.queue(entry('other', 1n, 'rm-2'));
      const before = rig.all('observe').length;
      for (const worker of ['te-1', 'te-2']) hear(worker, knows(CLUSTER.clusterId, 1n));
      rig.observe([rig.own()]);
      rig.send({ type: 'confirmRequested', leaderSessionId: rig.session });
      expect(rig.all('confirm')).to.have.length(1);
      expect(rig.all('observe')).to.have.length(before);
    });

    it('is believed again when those who contradicted have been gone for long', () => {
      rig.lead();
      hear('te-1', knows(ANOTHER.clusterId));
      lookAgain();
      rig.send({ type: 'released', candidacy: 1 });
      hear('te-1', null);
      rig.freeze(59_000);
      rig.observe([]);
      expect(rig.candidacy).to.equal(1);
      rig.freeze(2_000);
      rig.observe([]);
      expect(rig.candidacy).to.equal(2);
      expect(rig.machine.contradiction).to.equal(null);
    });
  });

  describe('given away by its revision', () => {
    const fall = { from: 900n, to: 70n };

    /** Two listings show it, a second apart. */
    function seeFall(): void {
      rig.observe([rig.own()], 100n, CLUSTER, fall);
      rig.freeze(1_000);
      rig.observe([rig.own()], 100n, CLUSTER, fall);
    }

    it('ends the term although its identity is the one remembered, and whatever it shows later', () => {
      rig.lead();
      seeFall();
      expect(rig.last('revokeLeadership').reason).to.equal('etcd was wiped or restored');
      rig.send({ type: 'released', candidacy: 1 });
      rig.observe([], 9_000n);
      rig.pass(30_000);
      expect(rig.candidacy).to.equal(1);
      expect(rig.machine.contradiction).to.equal('its revision fell from 900 to 70');
    });

    it('is not believed to have fallen for a stale read: nothing is confirmed until it is seen again, and all goes on', () => {
      rig.queue();
      rig.observe([rig.own()], 100n, CLUSTER, fall);
      rig.send({ type: 'confirmRequested', leaderSessionId: rig.session });
      rig.pass(5_000);
      expect(rig.all('confirm')).to.deep.equal([]);
      expect(rig.machine.contradiction).to.equal(null);
      rig.observe([rig.own()], 901n);
      expect(rig.all('confirm')).to.have.length(1);
      rig.pass(5_000);
      expect(rig.machine.contradiction).to.equal(null);
    });

    it('gets no new candidate while it is suspected', () => {
      rig.queue();
      rig.send({ type: 'keyFoundGone', candidacy: 1, how: 'gone' });
      rig.observe([], 100n, CLUSTER, fall);
      rig.send({ type: 'released', candidacy: 1 });
      rig.pass(500);
      expect(rig.candidacy).to.equal(1);
      rig.observe([], 902n);
      expect(rig.candidacy).to.equal(2);
    });

    it('is left without a word on a term that it may know nothing of', () => {
      rig.lead();
      seeFall();
      expect(rig.last('release').ending).to.include({ granted: false, createRevision: rig.epoch });
    });

    it('is believed again under a new generation', () => {
      rig.lead();
      seeFall();
      rig.send({ type: 'released', candidacy: 1 });
      rig.observe([], 200n, { ...CLUSTER, generation: 2 });
      expect(rig.machine.contradiction).to.equal(null);
      expect(rig.candidacy).to.equal(2);
      rig.pass(5_000);
      expect(rig.machine.contradiction).to.equal(null);
    });

    it('is believed again under a new generation by one that remembered nothing when it fell', () => {
      hear('te-1', knows(ANOTHER.clusterId));
      rig.send({ type: 'start' });
      for (const sinceMs of [0, 1_000]) {
        rig.freeze(sinceMs);
        rig.observe([], 100n, CLUSTER, fall);
      }
      rig.observe([], 101n);
      expect(rig.machine.contradiction).to.equal('its revision fell from 900 to 70');
      rig.observe([], 102n, { ...ANOTHER, generation: 2 });
      expect(rig.machine.contradiction).to.equal(null);
      expect(rig.all('openCandidacy')).to.have.length(1);
    });

    it('is not believed under an identity that is founded in it once it has fallen', () => {
      hear('te-1', knows(ANOTHER.clusterId));
      rig.send({ type: 'start' });
      for (const sinceMs of [0, 1_000]) {
        rig.freeze(sinceMs);
        rig.observe([], 100n, null, fall);
      }
      for (const revision of [101n, 102n]) rig.observe([], revision, CLUSTER);
      expect(rig.machine.contradiction).to.equal('its revision fell from 900 to 70');
      expect(rig.all('openCandidacy')).to.deep.equal([]);
      rig.observe([], 103n, { ...ANOTHER, generation: 2 });
      expect(rig.machine.contradiction).to.equal(null);
    });

    it('is found out by the one that has created the identity, however low the revision is now', () => {
      rig.send({ type: 'start' });
      rig.observe([], 1_000n, null);
      rig.send({ type: 'identityAnswered', identity: CLUSTER, revision: 1_001n });
      rig.observe([], 1_002n);
      rig.observe([], 1n, null, { from: 1_002n, to: 1n });
      expect(rig.machine.contradiction).to.include('holds no identity');
      expect(rig.all('createIdentity')).to.have.length(1);
    });
  });

  describe('given away by the record of the own term, which is not there', () => {
    it('ends the term once a listing shows so that was begun after the confirm, and queues again', () => {
      rig.lead();
      rig.observe([rig.own()]);
      expect(rig.serving, 'that listing may be older than the confirm').to.equal(true);
      rig.observe([rig.own()]);
      expect(rig.last('revokeLeadership').reason).to.equal('leader record gone');
      rig.send({ type: 'released', candidacy: 1 });
      rig.observe([]);
      expect(rig.candidacy).to.equal(2);
    });

    it('ends it too when the record is that of an earlier term', () => {
      rig.lead();
      const { token } = rig.machine;
      if (token === null) throw new Error('it does not lead');
      rig.leader = token;
      for (let listing = 0; listing < 5; listing += 1) rig.observe([rig.own()]);
      expect(rig.serving).to.equal(true);
      rig.leader = { ...token, epoch: token.epoch - 1n, leaderSessionId: 'before' as LeaderSessionId };
      rig.observe([rig.own()]);
      expect(rig.last('revokeLeadership').reason).to.equal('leader record gone');
    });

    it('is not concluded from what may be a stale read', () => {
      rig.lead();
      const { revision } = rig;
      for (let listing = 0; listing < 3; listing += 1)
        rig.observe([rig.own()], revision - 1n, CLUSTER, { from: revision, to: revision - 1n });
      expect(rig.serving).to.equal(true);
    });
  });

  it("takes up the workers' cluster id and a higher generation, whatever it had learned before", () => {
    rig.send({ type: 'start' });
    rig.observe([], 50n, ANOTHER);
    hear('te-1', knows(CLUSTER.clusterId, 700n, 3));
    rig.observe([], 51n, ANOTHER);
    expect(rig.machine.contradiction).to.not.equal(null);
    expect(rig.machine.witnesses(rig.nowMs)).to.include({ clusterId: CLUSTER.clusterId, generation: 3 });
    rig.send({ type: 'released', candidacy: 1 });
    const renewed = { ...CLUSTER, generation: 4 };
    rig.observe([], 60n, renewed);
    expect(rig.machine.contradiction).to.equal(null);
    const { candidacy } = rig;
    rig.send({ type: 'leaseGranted', candidacy, ttlMs: TTL_MS, sent: rig.now });
    rig.send({ type: 'candidateKeyPut', candidacy, createRevision: rig.epoch });
    rig.observe([rig.own()], rig.epoch, renewed);
    rig.send({ type: 'confirmRequested', leaderSessionId: rig.session });
    expect(rig.last('confirm').token).to.include({ generation: 4 });
    expect(rig.last('confirm').token.epoch < 700n).to.equal(true);
  });
});
