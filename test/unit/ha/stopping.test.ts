import { expect } from 'chai';
import type { Participant } from '../../contract/high-availability-under-test.ts';
import type { HeldCall } from '../../simulation/simulated-etcd.ts';
import { SimulatedElection, TTL_MS } from '../../support/simulated-election.ts';

/** Brings a contender into a phase of its candidacy, with the calls that are held back there. */
type Phase = (simulated: SimulatedElection) => Promise<{ participant: Participant; held: HeldCall[] }>;

async function halted(
  simulated: SimulatedElection,
  filter: Parameters<SimulatedElection['etcd']['holdBack']>[0],
) {
  const held = Array.from({ length: 60 }, () => simulated.etcd.holdBack({ client: 'rm-1', ...filter }));
  const participant = simulated.begin('rm-1');
  await simulated.scene.until('it has got there', () => held[2]!.arrived);
  return { participant, held };
}

const PHASES: Readonly<Record<string, Phase>> = {
  'before it has looked at the line': (simulated) =>
    halted(simulated, { where: simulated.reads(simulated.scene.keys.leader) }),
  'while the identity is created': (simulated) =>
    halted(simulated, { where: simulated.writes(simulated.scene.keys.identity) }),
  'while its lease is granted': (simulated) => halted(simulated, { method: 'grantLease' }),
  'while its key is put': (simulated) => halted(simulated, { where: simulated.joins() }),
  'while it waits in line': async (simulated) => {
    await simulated.leader('rm-0');
    return { participant: await simulated.scene.join('rm-1'), held: [] };
  },
  'while it makes itself ready to lead': async (simulated) => {
    const participant = simulated.begin('rm-1');
    participant.contender.confirms = false;
    await simulated.scene.until('it is granted', () => participant.contender.grants.length > 0);
    return { participant, held: [] };
  },
  'while its confirm is unanswered': (simulated) =>
    halted(simulated, { where: simulated.writes(simulated.scene.keys.leader) }),
  'while it leads': async (simulated) => ({ participant: (await simulated.leader()).participant, held: [] }),
  'while it is suspended': async (simulated) => {
    const { participant } = await simulated.leader();
    participant.contender.onProbe = () => {};
    await simulated.clock.advance(1_000);
    expect(participant.contender.serving).to.equal(false);
    return { participant, held: [] };
  },
  'while it gives back what a term left': async (simulated) => {
    const { participant } = await simulated.leader();
    const held = Array.from({ length: 60 }, () =>
      simulated.etcd.holdBack({ client: 'rm-1', method: 'revokeLease' }),
    );
    participant.election.resign({ reason: 'asked' }).catch(() => {});
    await simulated.scene.until('it has got there', () => held[2]!.arrived);
    return { participant, held };
  },
};

describe('a contender that is stopped', () => {
  let simulated: SimulatedElection;

  beforeEach(() => {
    simulated = new SimulatedElection();
  });

  /** Of this contender: the keys in line, and the leader record if it names it. */
  function left(): string[] {
    const { etcd, scene } = simulated;
    const { keyValues } = etcd.state.range({ type: 'range', key: scene.keys.root, prefix: true });
    return keyValues
      .filter(({ value }) => value.includes('"rm-1"'))
      .map(({ key }) => key)
      .filter((key) => !key.startsWith(scene.keys.history));
  }

  for (const [when, reach] of Object.entries(PHASES)) {
    it(`${when} ends within its lease and leaves no key, whatever commits late`, async () => {
      const { scene, clock } = simulated;
      const { participant, held } = await reach(simulated);
      const beganMs = clock.monotonicMs();
      await scene.answer(participant.election.stop('SIGTERM'));
      expect(clock.monotonicMs() - beganMs).to.be.at.most(TTL_MS + 1);
      expect(participant.contender.leadership).to.equal(null);
      for (const copy of held) copy.commit();
      await clock.advance(TTL_MS + 1_000);
      expect(left()).to.deep.equal([]);
      const open = (await scene.history()).filter((row) => row.ended === null);
      expect(open.filter((row) => row.resourceManagerId === 'rm-1')).to.deep.equal([]);
      await scene.end();
    });

    it(`${when} ends within its lease when etcd is not there, and leaves nothing but what runs out`, async () => {
      const { scene, clock, etcd } = simulated;
      const { participant, held } = await reach(simulated);
      const beganMs = clock.monotonicMs();
      etcd.block('rm-1');
      await scene.answer(participant.election.stop('SIGTERM'));
      expect(clock.monotonicMs() - beganMs).to.be.at.most(TTL_MS + 1);
      for (const copy of held) copy.commit();
      await clock.advance(2 * TTL_MS);
      expect(left()).to.deep.equal([]);
      etcd.unblock('rm-1');
      await scene.end();
    });
  }
});
