import { expect } from 'chai';
import {
  type EtcdFacts,
  WITNESS_KEPT_MS,
  type WorkerKnowledge,
  WorkerWitnesses,
  whyContradicting,
} from '../../../../src/core/election/worker-witnesses.ts';
import type { ClusterId, LeaderSessionId } from '../../../../src/core/ids.ts';

const OURS = 'cluster-1' as ClusterId;
const THEIRS = 'cluster-2' as ClusterId;
const ETCD: EtcdFacts = {
  identity: { clusterId: OURS, generation: 2 },
  revision: 100n,
  headEpoch: 60n,
  leader: null,
};
const NOTHING: WorkerKnowledge = { clusterId: null, highestToken: null };

function knows(clusterId: ClusterId | null, generation: number, epoch: bigint): WorkerKnowledge {
  return { clusterId, highestToken: { generation, epoch, leaderSessionId: 'session' as LeaderSessionId } };
}

describe('what a worker knows', () => {
  it('contradicts an etcd of another cluster id, of a lower generation, or below its token', () => {
    expect(whyContradicting(knows(THEIRS, 2, 50n), ETCD)).to.include('cluster id cluster-2');
    expect(whyContradicting(knows(OURS, 3, 5n), ETCD)).to.include('generation 3');
    expect(whyContradicting(knows(OURS, 2, 101n), ETCD))
      .to.include('2-101')
      .and.include('revision 100');
    expect(whyContradicting(knows(null, 2, 101n), ETCD)).to.include('2-101');
  });

  it('contradicts an etcd in which a key stands first in line that is older than its token', () => {
    expect(whyContradicting(knows(OURS, 2, 61n), ETCD))
      .to.include('2-61')
      .and.include('a key of revision 60');
    expect(whyContradicting(knows(OURS, 1, 61n), ETCD)).to.equal(null);
  });

  it('contradicts an etcd that knows the term of its token under another leader session id', () => {
    const leader = { generation: 2, epoch: 60n, leaderSessionId: 'another' as LeaderSessionId };
    expect(whyContradicting(knows(OURS, 2, 60n), { ...ETCD, leader })).to.include(
      'another leader session id',
    );
    const same = knows(OURS, 2, 60n).highestToken;
    expect(whyContradicting(knows(OURS, 2, 60n), { ...ETCD, leader: same })).to.equal(null);
    expect(whyContradicting(knows(OURS, 2, 59n), { ...ETCD, leader })).to.equal(null);
  });

  it('contradicts an etcd that knows no cluster', () => {
    const empty = { identity: null, revision: 1n, headEpoch: null, leader: null };
    expect(whyContradicting({ clusterId: OURS, highestToken: null }, empty)).to.include('cluster-1');
    expect(whyContradicting(knows(null, 1, 5n), empty)).to.include('a leader');
    expect(whyContradicting(NOTHING, empty)).to.equal(null);
  });

  it('agrees with its own cluster at or below the revision, and below the generation whatever the epoch', () => {
    expect(whyContradicting(knows(OURS, 2, 60n), ETCD)).to.equal(null);
    expect(whyContradicting(knows(OURS, 2, 100n), { ...ETCD, headEpoch: null })).to.equal(null);
    expect(whyContradicting(knows(OURS, 1, 90_000n), ETCD)).to.equal(null);
    expect(whyContradicting(NOTHING, ETCD)).to.equal(null);
  });
});

describe('the workers as witnesses', () => {
  let witnesses: WorkerWitnesses;

  beforeEach(() => {
    witnesses = new WorkerWitnesses();
  });

  function counts(facts = ETCD, nowMs = 0): [number, number] {
    const { informed, contradicting } = witnesses.count(facts, nowMs);
    return [informed, contradicting];
  }

  it('are counted when they know anything, each process once by what it said last', () => {
    witnesses.heard('a', knows(OURS, 2, 5n));
    witnesses.heard('b', knows(THEIRS, 2, 5n));
    witnesses.heard('c', NOTHING);
    expect(counts()).to.deep.equal([2, 1]);
    expect(witnesses.count(ETCD, 0).example?.worker).to.equal('b');
    witnesses.heard('b', knows(OURS, 2, 5n));
    expect(counts()).to.deep.equal([2, 0]);
    expect(witnesses.count(ETCD, 0).example).to.equal(null);
  });

  it('are held against each change of etcd: a new identity, a revision that grows, one that has fallen', () => {
    const etcd = { ...ETCD, headEpoch: null };
    witnesses.heard('a', knows(OURS, 2, 150n));
    expect(counts(etcd)).to.deep.equal([1, 1]);
    expect(counts({ ...etcd, revision: 150n })).to.deep.equal([1, 0]);
    expect(counts({ ...etcd, revision: 149n })).to.deep.equal([1, 1]);
    expect(
      counts({ identity: { clusterId: OURS, generation: 3 }, revision: 149n, headEpoch: null, leader: null }),
    ).to.deep.equal([1, 0]);
    expect(
      counts({
        identity: { clusterId: THEIRS, generation: 3 },
        revision: 149n,
        headEpoch: null,
        leader: null,
      }),
    ).to.deep.equal([1, 1]);
    expect(counts({ identity: null, revision: 1n, headEpoch: null, leader: null })).to.deep.equal([1, 1]);
  });

  it('are held against each change of who stands first in line', () => {
    const etcd = { ...ETCD, revision: 200n };
    witnesses.heard('a', knows(OURS, 2, 150n));
    expect(counts({ ...etcd, headEpoch: null, leader: null })).to.deep.equal([1, 0]);
    expect(counts({ ...etcd, headEpoch: 149n })).to.deep.equal([1, 1]);
    expect(counts({ ...etcd, headEpoch: 150n })).to.deep.equal([1, 0]);
    expect(counts({ ...etcd, headEpoch: 149n })).to.deep.equal([1, 1]);
  });

  it('are held against each other leader', () => {
    const leader = { generation: 2, epoch: 60n, leaderSessionId: 'another' as LeaderSessionId };
    witnesses.heard('a', knows(OURS, 2, 60n));
    expect(counts()).to.deep.equal([1, 0]);
    expect(counts({ ...ETCD, leader })).to.deep.equal([1, 1]);
    expect(counts({ ...ETCD, leader: { ...leader, epoch: 61n }, headEpoch: 61n })).to.deep.equal([1, 0]);
  });

  it('count on for a while after their connection, and are forgotten then', () => {
    witnesses.heard('a', knows(THEIRS, 1, 5n));
    witnesses.left('a', 1_000);
    expect(counts(ETCD, 1_000 + WITNESS_KEPT_MS - 1)).to.deep.equal([1, 1]);
    expect(counts(ETCD, 1_000 + WITNESS_KEPT_MS)).to.deep.equal([0, 0]);
  });

  it('count again without an end when they come back', () => {
    witnesses.heard('a', knows(THEIRS, 1, 5n));
    witnesses.left('a', 1_000);
    witnesses.heard('a', knows(THEIRS, 1, 5n));
    expect(counts(ETCD, 10 * WITNESS_KEPT_MS)).to.deep.equal([1, 1]);
  });

  it('have one voice for each name, however often one is started again, and two while two of a name live', () => {
    witnesses.heard('a', knows(OURS, 2, 5n), 'te-1');
    witnesses.heard('b', knows(OURS, 2, 5n), 'te-2');
    for (const process of ['x1', 'x2', 'x3', 'x4']) {
      witnesses.heard(process, knows(THEIRS, 1, 5n), 'te-3');
      witnesses.left(process, 1_000);
    }
    expect(counts(ETCD, 1_000)).to.deep.equal([3, 1]);
    witnesses.heard('x5', knows(THEIRS, 1, 5n), 'te-3');
    witnesses.heard('x6', knows(THEIRS, 1, 5n), 'te-3');
    expect(counts(ETCD, 1_000)).to.deep.equal([4, 2]);
    witnesses.left('x5', 2_000);
    expect(counts(ETCD, 2_000), 'the newer one goes on').to.deep.equal([3, 1]);
    expect(counts(ETCD, 10 * WITNESS_KEPT_MS), 'for as long as it is connected').to.deep.equal([3, 1]);
  });

  it('say which cluster id most of them know, and the highest generation of all', () => {
    witnesses.heard('a', knows(THEIRS, 2, 5n));
    witnesses.heard('b', knows(OURS, 1, 5n));
    witnesses.heard('c', knows(OURS, 1, 5n));
    witnesses.heard('d', knows(null, 4, 5n));
    expect(witnesses.summary(ETCD, 0)).to.include({ clusterId: OURS, generation: 4 });
  });

  it('name the same cluster id on every resource manager when two are known to equally many', () => {
    witnesses.heard('a', knows(THEIRS, 1, 5n));
    witnesses.heard('b', knows(OURS, 1, 5n));
    const other = new WorkerWitnesses();
    other.heard('b', knows(OURS, 1, 5n));
    other.heard('a', knows(THEIRS, 1, 5n));
    expect(witnesses.summary(ETCD, 0).clusterId).to.equal(other.summary(ETCD, 0).clusterId);
  });
});
