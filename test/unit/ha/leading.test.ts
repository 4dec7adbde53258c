import { expect } from 'chai';
import type { GuardedOutcome, GuardedWrite, Leadership } from '../../../src/ha/leader-election.ts';
import type { Participant } from '../../contract/high-availability-under-test.ts';
import { SimulatedElection, TTL_MS } from '../../support/simulated-election.ts';

describe('a leader', () => {
  let simulated: SimulatedElection;
  let leader: Participant;
  let leadership: Leadership;
  let standby: Participant;

  beforeEach(async () => {
    simulated = new SimulatedElection();
    const first = await simulated.leader();
    leader = first.participant;
    leadership = first.leadership;
    standby = await simulated.scene.join('rm-2');
  });

  afterEach(() => simulated.scene.end());

  /** How long, from now on, until the standby leads; fails when the old leader may serve beside it. */
  async function failoverMs(): Promise<number> {
    const { scene, clock } = simulated;
    const beganMs = clock.monotonicMs();
    await scene.until('the standby leads', () => {
      const led = standby.contender.leadership !== null;
      if (led) expect(leadership.mayServe()).to.equal(false);
      return led;
    });
    return clock.monotonicMs() - beganMs;
  }

  describe('cut off from etcd', () => {
    it('is suspended at its serving deadline, steps down at its lease deadline, and is not missed before', async () => {
      const { etcd, clock } = simulated;
      etcd.block('rm-1');
      await clock.advance(401);
      expect(leadership.mayServe()).to.equal(false);
      expect(leadership.current).to.equal(true);
      expect(leader.contender.calls.at(-1)).to.equal('suspended');
      const tookMs = await failoverMs();
      expect(leader.contender.calls.at(-1)).to.equal('revoke: lease deadline passed');
      expect(tookMs).to.be.below(TTL_MS + 1_500);
      expect(standby.contender.terms[0]!.token.epoch > leadership.token.epoch).to.equal(true);
    });

    it('serves again under the same epoch when etcd is back before the lease deadline', async () => {
      const { etcd, clock } = simulated;
      for (const name of ['etcd-1', 'etcd-2']) etcd.setCondition(name, 'silent');
      await clock.advance(1_500);
      expect(leadership.mayServe()).to.equal(false);
      for (const name of ['etcd-1', 'etcd-2']) etcd.setCondition(name, 'up');
      await clock.advance(300);
      expect(leadership.mayServe()).to.equal(true);
      expect(leader.contender.calls).to.deep.equal(['grant', 'confirmed', 'suspended', 'serving']);
    });

    it('is not fooled by a member that answers from its own store', async () => {
      const { etcd, clock } = simulated;
      etcd.setCondition('etcd-2', 'silent');
      etcd.setCondition('etcd-3', 'silent');
      await clock.advance(600);
      expect(leadership.mayServe()).to.equal(false);
    });

    it('finds a leader again when etcd was gone for longer than a lease', async () => {
      const { etcd, clock, scene } = simulated;
      for (const name of ['etcd-1', 'etcd-2']) etcd.setCondition(name, 'down');
      await clock.advance(5 * TTL_MS);
      expect(leadership.current).to.equal(false);
      for (const name of ['etcd-1', 'etcd-2']) etcd.setCondition(name, 'up');
      const led = (): boolean =>
        scene.participants.some(({ contender }) => contender.leadership?.mayServe() === true);
      await scene.until('somebody leads', led, TTL_MS + 2_000);
    });

    for (const condition of ['down', 'silent', 'cut-off'] as const) {
      it(`serves on without a gap when one member is ${condition}`, async () => {
        const { etcd, clock } = simulated;
        for (const name of etcd.memberNames) {
          etcd.setCondition(name, condition);
          await clock.advance(5_000);
          etcd.setCondition(name, 'up');
          await clock.advance(2_000);
        }
        expect(leader.contender.calls).to.deep.equal(['grant', 'confirmed']);
        expect(standby.contender.calls).to.deep.equal([]);
      });
    }
  });

  it('leads on while etcd is out of space, and can go', async () => {
    const { etcd, clock, scene } = simulated;
    etcd.state.noSpace = true;
    await clock.advance(3 * TTL_MS);
    expect(leader.contender.calls).to.deep.equal(['grant', 'confirmed']);
    const beganMs = clock.monotonicMs();
    await scene.answer(leader.election.stop('going'));
    expect(clock.monotonicMs() - beganMs).to.be.below(100);
    etcd.state.noSpace = false;
    await scene.until('the standby leads', () => standby.contender.leadership !== null);
    expect((await scene.history())[0]?.ended).to.deep.include({ by: 'rm-2' });
  });

  describe('far from etcd', () => {
    const ONE_WAY_MS = 150;

    beforeEach(async () => {
      const { etcd, clock } = simulated;
      for (const name of etcd.memberNames) etcd.member(name).latencyMs = () => ONE_WAY_MS;
      await clock.advance(3_000);
      expect(leadership.mayServe()).to.equal(true);
    });

    it('serves no longer than its deadline after the send of the last check that was acknowledged', async () => {
      const { etcd, clock } = simulated;
      etcd.block('rm-1');
      await clock.advance(400 - 2 * ONE_WAY_MS + 1);
      expect(leadership.mayServe()).to.equal(false);
    });

    it('steps down by the send of the last keepalive that was acknowledged', async () => {
      const { etcd, clock, scene } = simulated;
      const sentMs: number[] = [];
      etcd.loseCall({
        client: 'rm-1',
        method: 'keepAlive',
        where: () => {
          sentMs.push(clock.monotonicMs());
          return false;
        },
      });
      await scene.until('keepalives were sent', () => sentMs.length === 2);
      // Long enough for a check that was sent after it.
      await clock.advance(2 * ONE_WAY_MS + 200);
      etcd.block('rm-1');
      await scene.until('it steps down', () => !leadership.current);
      expect(clock.monotonicMs() - sentMs[1]!).to.be.within(0.9 * TTL_MS, 0.9 * TTL_MS + 2);
    });

    it('counts its first deadline from the send of the confirm', async () => {
      const { etcd, scene, clock } = simulated;
      etcd.deleteKey((await scene.line())[0]!.key);
      await scene.until('the standby leads', () => standby.contender.leadership !== null);
      etcd.block('rm-2');
      await clock.advance(400 - 2 * ONE_WAY_MS + 1);
      expect(standby.contender.leadership?.mayServe()).to.equal(false);
    });
  });

  it("is nobody's leader any more once its key is gone, though its record still stands", async () => {
    const { etcd, scene } = simulated;
    etcd.putKey(`${scene.keys.election}foreign`, 'nobody');
    const late = await scene.join('rm-3');
    await scene.answer(standby.election.stop('going'));
    etcd.block('rm-1');
    etcd.deleteKey((await scene.line())[0]!.key);
    await scene.until('it is seen', () => scene.lineOf(late).length === 1);
    expect(simulated.recordedLeader()).to.equal('rm-1');
    expect(late.election.view.leader).to.equal(null);
    etcd.unblock('rm-1');
  });

  it('gives up leadership by itself when its loop hangs', async () => {
    leader.contender.onProbe = () => {};
    const tookMs = await failoverMs();
    expect(leader.contender.calls).to.include.members(['suspended', 'revoke: lease deadline passed']);
    expect(tookMs).to.be.below(TTL_MS);
  });

  it('may not serve in the turn in which it wakes from a pause', async () => {
    const { clock } = simulated;
    clock.freeze(450);
    expect(leadership.mayServe()).to.equal(false);
    await clock.advance(200);
    expect(leadership.mayServe()).to.equal(true);
  });

  it('may not serve after its machine slept, until a check begun afterwards came back', async () => {
    const { clock, scene } = simulated;
    clock.jumpWall(60_000);
    expect(leadership.mayServe()).to.equal(false);
    await scene.until('it serves again', () => leadership.mayServe());
    expect(leader.contender.calls).to.deep.equal(['grant', 'confirmed', 'suspended', 'serving']);
  });

  it('answers a challenge by deleting it, and serves on', async () => {
    const { etcd, scene, clock } = simulated;
    const key = scene.keys.challenge(1, leadership.token.epoch);
    etcd.putKey(key, '{}');
    await clock.advance(200);
    expect(simulated.value(key)).to.equal(undefined);
    await clock.advance(1_000);
    expect(leader.contender.calls).to.deep.equal(['grant', 'confirmed']);
  });

  describe('writing', () => {
    const key = '/quartermaster/simulated/task-executors/te-1';
    const create: GuardedWrite = {
      alsoIf: [{ key, target: 'create', result: '==', operand: 0n }],
      operations: [{ type: 'put', key, value: 'mine' }],
      readBack: [{ type: 'range', key }],
    };

    it('commits under its own key', async () => {
      const outcome = await simulated.scene.answer(leadership.write(create));
      expect(outcome.kind).to.equal('committed');
      expect(simulated.value(key)).to.equal('mine');
    });

    it('shows the caller its own value when an earlier copy committed and its answer was lost', async () => {
      simulated.etcd.loseAnswer({ client: 'rm-1', where: simulated.writes(key) });
      const outcome = await simulated.scene.answer(leadership.write(create));
      expect(outcome.kind).to.equal('refused');
      expect(readBack(outcome)).to.equal('mine');
    });

    it('shows the caller what stands there when another condition did not hold', async () => {
      simulated.etcd.putKey(key, 'theirs');
      const outcome = await simulated.scene.answer(leadership.write(create));
      expect(outcome.kind).to.equal('refused');
      expect(readBack(outcome)).to.equal('theirs');
    });

    it('is told that it is deposed when its key is gone, and revokes', async () => {
      const { etcd, scene } = simulated;
      // Neither the watch nor a check tells it first.
      etcd.block('rm-1', 'etcd-1');
      const challenge = scene.keys.challenge(1, leadership.token.epoch);
      for (let check = 0; check < 20; check++) etcd.loseCall({ where: simulated.reads(challenge) });
      etcd.deleteKey((await scene.line())[0]!.key);
      expect(await scene.answer(leadership.write(create))).to.deep.equal({ kind: 'deposed' });
      expect(simulated.value(key)).to.equal(undefined);
      expect(leadership.current).to.equal(false);
      expect(leader.contender.calls).to.include('revoke: candidate key gone');
    });

    it('is never carried out by a copy that was held back until after the term', async () => {
      const { etcd, scene } = simulated;
      const held = Array.from({ length: 50 }, () =>
        etcd.holdBack({ client: 'rm-1', where: simulated.writes(key) }),
      );
      const writing = leadership.write(create);
      await scene.until('it was sent', () => held[0]!.arrived);
      etcd.deleteKey((await scene.line())[0]!.key);
      expect((await scene.answer(writing)).kind).to.equal('abandoned');
      await scene.untilLeads(standby);
      for (const copy of held) copy.commit();
      expect(simulated.value(key)).to.equal(undefined);
    });

    it('is abandoned when the term is over', async () => {
      const { scene } = simulated;
      await scene.answer(leader.election.resign({ reason: 'asked' }));
      expect((await scene.answer(leadership.write(create))).kind).to.equal('abandoned');
    });
  });

  it('has read history before its turn comes, but for what was open then', async () => {
    const { etcd, scene, clock } = simulated;
    await clock.advance(1_000);
    const after: (string | undefined)[] = [];
    etcd.loseCall({
      client: 'rm-2',
      method: 'range',
      where: (request) => {
        if (request.method === 'range') after.push(request.range.after);
        return false;
      },
    });
    await scene.answer(leader.election.resign({ reason: 'one' }));
    await scene.untilLeads(standby);
    await scene.answer(standby.election.resign({ reason: 'two' }));
    await scene.untilLeads(leader);
    await clock.advance(100);
    await scene.answer(leader.election.resign({ reason: 'three' }));
    await scene.untilLeads(standby);
    expect((await scene.history()).map(({ ended }) => ended?.reason)).to.deep.equal([
      'one',
      'two',
      'three',
      undefined,
    ]);
    // Each change of leader is read up to, so that whoever must depose the next one has nothing to read.
    expect(after.at(-1)).to.equal(scene.keys.historyRow(1, standby.contender.terms[0]!.token.epoch));
  });

  describe('that takes over', () => {
    /** What rm-2 has sent for its take-over, in order. */
    let sent: string[];

    beforeEach(async () => {
      await simulated.clock.advance(1_000);
      sent = [];
      simulated.etcd.loseCall({
        client: 'rm-2',
        where: (request) => {
          const { keys } = simulated.scene;
          if (request.method === 'range' && request.range.key === keys.history) sent.push('read history');
          if (simulated.writes(keys.leader)(request)) sent.push('confirm');
          return false;
        },
      });
    });

    async function ends(): Promise<(string | undefined)[]> {
      return (await simulated.scene.history()).map(({ ended }) => ended?.reason);
    }

    it('from one that has gone in good order does not read history, which that one has closed', async () => {
      await simulated.scene.answer(leader.election.resign({ reason: 'asked' }));
      await simulated.scene.untilLeads(standby);
      expect(sent[0]).to.equal('confirm');
      expect(await ends()).to.deep.equal(['asked', undefined]);
    });

    it('from one that steps down has the line for itself for a moment', async () => {
      const { clock, scene } = simulated;
      const stepDown = leader.election.resign({ reason: 'asked' });
      await clock.advance(140);
      expect(await scene.line()).to.have.length(1);
      await scene.answer(stepDown);
      await clock.advance(100);
      expect(await scene.line()).to.have.length(2);
    });

    it('from one whose key was deleted reads history, and closes the term itself', async () => {
      simulated.etcd.deleteKey((await simulated.scene.line())[0]!.key);
      await simulated.scene.untilLeads(standby);
      expect(sent.slice(0, 3)).to.deep.equal(['confirm', 'read history', 'confirm']);
      expect(await ends()).to.deep.equal(['lost', undefined]);
    });

    it('from one that has gone while a third one led in between closes what that one left open', async () => {
      const { scene, etcd } = simulated;
      const third = await scene.join('rm-3');
      await scene.answer(leader.election.resign({ reason: 'to the third', to: third.id }));
      await scene.untilLeads(third);
      await scene.until('those who made way are back', async () => (await scene.line()).length === 3);
      etcd.deleteKey((await scene.line())[0]!.key);
      await scene.until('another one leads', async () => (await scene.history()).length === 3);
      expect(await ends()).to.deep.equal(['to the third', 'lost', undefined]);
    });
  });

  it('closes the open term of its predecessor and drops the oldest beyond a thousand', async () => {
    const { etcd, scene } = simulated;
    for (let epoch = 1n; epoch <= 1_020n; epoch++) {
      const row = {
        resourceManagerId: 'rm-0',
        leaderSessionId: `s-${epoch}`,
        generation: 0,
        epoch: `${epoch}`,
      };
      const ended = { at: '', reason: 'old', evidence: '', by: 'rm-0' };
      etcd.putKey(scene.keys.historyRow(0, epoch), JSON.stringify({ ...row, confirmedAt: '', ended }));
    }
    etcd.deleteKey((await scene.line())[0]!.key);
    await scene.untilLeads(standby);
    const rows = await scene.history();
    expect(rows).to.have.length(1_000);
    expect(rows[0]?.epoch).to.equal(23n);
    expect(rows.at(-2)?.ended).to.deep.include({ reason: 'lost', by: 'rm-2' });
    expect(rows.at(-1)).to.deep.include({ resourceManagerId: 'rm-2', ended: null });
  });
});

function readBack(outcome: GuardedOutcome): string | undefined {
  if (outcome.kind !== 'refused') return undefined;
  const [result] = outcome.results;
  return result?.type === 'range' ? result.keyValues[0]?.value : undefined;
}
