import { expect } from 'chai';
import { DEFAULT_TIMING } from '../../src/core/timing.ts';
import type { KeyValue } from '../../src/ha/coordination-store.ts';
import type { Participant } from '../contract/high-availability-under-test.ts';
import { SimulatedElection, TTL_MS } from '../support/simulated-election.ts';
import { SeededRandomness } from '../support/testing-randomness.ts';
import { checkWrites } from './write-judge.ts';

/** etcd looks for leases that have run out this often. */
const EXPIRY_SCAN_MS = 500;
/** A silent watch is found out by the next linearizable listing. */
const COMPARE_MS = 1_000;
/** One after the other: listing, two pages of history at most, confirm. */
const CALLS = 4;
const ROUND_TRIP_MS = 10;

/** How a leader is lost, and for how long its key may stand afterwards. */
interface Loss {
  readonly keyStandsMs: number;
  lose(simulated: SimulatedElection, leader: Participant): void;
}

function head({ etcd, scene }: SimulatedElection): KeyValue {
  const { keyValues } = etcd.state.range({ type: 'range', key: scene.keys.election, prefix: true });
  return keyValues.toSorted((a, b) => (a.createRevision < b.createRevision ? -1 : 1))[0]!;
}

const LOSSES: Readonly<Record<string, Loss>> = {
  'the leader crashes': {
    keyStandsMs: TTL_MS + EXPIRY_SCAN_MS,
    lose: ({ etcd }, { id, contender }) => {
      contender.onProbe = () => {};
      etcd.block(id);
    },
  },
  "the leader's loop hangs": {
    keyStandsMs: TTL_MS,
    lose: (_simulated, { contender }) => {
      contender.onProbe = () => {};
    },
  },
  'the leader is cut off from etcd': {
    keyStandsMs: TTL_MS + EXPIRY_SCAN_MS,
    lose: ({ etcd }, { id }) => etcd.block(id),
  },
  "an operator deletes the leader's key": {
    keyStandsMs: 0,
    lose: (simulated) => simulated.etcd.deleteKey(head(simulated).key),
  },
  "an operator revokes the leader's lease": {
    keyStandsMs: 0,
    lose: (simulated) => simulated.etcd.revokeLease(head(simulated).lease),
  },
  'the leader resigns': {
    keyStandsMs: 0,
    lose: (_simulated, { election }) => void election.resign({ reason: 'asked' }).catch(() => {}),
  },
};

/** From the loss until another leader is confirmed, when `lostAnswers` of the calls on the way go wrong. */
function boundMs({ keyStandsMs }: Loss, lostAnswers: number): number {
  // Each call may meet the one silent member first, or be one whose answer is lost.
  const resends = CALLS + lostAnswers;
  return keyStandsMs + COMPARE_MS + resends * DEFAULT_TIMING.etcdResendMs + (CALLS + resends) * ROUND_TRIP_MS;
}

describe('the time until another leader is confirmed', () => {
  const first = Number(process.env['QUARTERMASTER_SEED'] ?? 1);
  for (const [what, loss] of Object.entries(LOSSES)) {
    for (let seed = first; seed < first + 8; seed++) {
      it(`is within its bound when ${what} (seed ${seed})`, async () => {
        const chance = new SeededRandomness(seed, what);
        const simulated = new SimulatedElection();
        const { etcd, scene, clock } = simulated;
        const { participant: leader } = await simulated.leader();
        const standbys = [await scene.join('rm-2'), await scene.join('rm-3')];
        await clock.advance(chance.between(0, 2 * TTL_MS));
        const lostAnswers = chance.between(0, 4);
        for (let lost = 0; lost < lostAnswers; lost++) {
          const client = chance.fraction() < 0.7 ? 'rm-2' : 'rm-3';
          if (chance.fraction() < 0.5) etcd.loseAnswer({ client, method: 'transact' });
          else etcd.loseCall({ client, method: 'range' });
        }
        const watches = chance.between(0, 3);
        if (watches === 1) etcd.dropWatches();
        if (watches === 2) for (const { id } of standbys) etcd.block(id, `etcd-${chance.between(1, 3)}`);
        if (watches === 3) etcd.setCondition(`etcd-${chance.between(1, 3)}`, 'silent');
        const lostAtMs = clock.monotonicMs();
        loss.lose(simulated, leader);
        const led = (): boolean => standbys.some(({ contender }) => contender.leadership !== null);
        await scene.until('a standby leads', led, 3 * TTL_MS);
        expect(clock.monotonicMs() - lostAtMs).to.be.at.most(boundMs(loss, lostAnswers));
        etcd.unblock(leader.id);
        checkWrites(etcd, scene.cluster);
        await scene.end();
      });
    }
  }
});

describe('the first candidates of a cluster', () => {
  const first = Number(process.env['QUARTERMASTER_SEED'] ?? 1);
  for (let seed = first; seed < first + 8; seed++) {
    it(`agree on one identity and do not wait for each other, whatever is lost on the way (seed ${seed})`, async () => {
      const chance = new SeededRandomness(seed, 'first');
      const simulated = new SimulatedElection();
      const { etcd, scene, clock } = simulated;
      const names = ['rm-1', 'rm-2', 'rm-3'];
      for (let fault = 0; fault < 6; fault++) {
        const filter = { client: names[chance.between(0, 2)]!, where: simulated.writes(scene.keys.identity) };
        if (chance.fraction() < 0.3) etcd.loseCall(filter);
        else if (chance.fraction() < 0.5) etcd.loseAnswer(filter);
        else etcd.delayCall(chance.between(1, 3_000), filter);
      }
      const participants = names.map((name) => simulated.begin(name));
      await scene.until(
        'one leads',
        () => participants.some(({ contender }) => contender.leadership !== null),
        2_000,
      );
      await clock.advance(5_000);
      const [identity] = await scene.range(scene.keys.identity);
      expect(identity?.version).to.equal(1n);
      const { clusterId } = JSON.parse(identity!.value);
      for (const { election } of participants) expect(election.view.clusterId).to.equal(clusterId);
      expect(await scene.line()).to.have.length(3);
      await scene.end();
    });
  }
});
