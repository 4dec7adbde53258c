import { expect } from 'chai';
import type { Leadership } from '../../src/ha/leader-election.ts';
import type { Participant } from '../contract/high-availability-under-test.ts';
import { SimulatedElection, TTL_MS } from '../support/simulated-election.ts';
import { SeededRandomness } from '../support/testing-randomness.ts';
import { checkWrites } from './write-judge.ts';

const NAMES = ['rm-1', 'rm-2', 'rm-3'];
const STORM_MS = 60_000;

/** One fault, chosen by chance; returns what ends it. */
type Fault = (simulated: SimulatedElection, chance: SeededRandomness) => () => void;

function pick<T>(chance: SeededRandomness, all: readonly T[]): T {
  return all[chance.between(0, all.length - 1)]!;
}

const NOTHING = (): void => {};

const FAULTS: Readonly<Record<string, Fault>> = {
  'cuts a contender off': ({ etcd }, chance) => {
    const name = pick(chance, NAMES);
    etcd.block(name);
    return () => etcd.unblock(name);
  },
  'cuts a contender off from one member': ({ etcd }, chance) => {
    const name = pick(chance, NAMES);
    etcd.block(name, pick(chance, etcd.memberNames));
    return () => etcd.unblock(name);
  },
  'fails members': ({ etcd }, chance) => {
    const names = etcd.memberNames.filter(() => chance.fraction() < 0.5);
    const condition = pick(chance, ['down', 'silent', 'cut-off'] as const);
    for (const name of names) etcd.setCondition(name, condition);
    return () => {
      for (const name of names) etcd.setCondition(name, 'up');
    };
  },
  'loses answers': ({ etcd }, chance) => {
    for (let count = chance.between(1, 8); count > 0; count--) {
      etcd.loseAnswer({ client: pick(chance, NAMES) });
    }
    return NOTHING;
  },
  'loses calls': ({ etcd }, chance) => {
    for (let count = chance.between(1, 8); count > 0; count--) {
      etcd.loseCall({ client: pick(chance, NAMES) });
    }
    return NOTHING;
  },
  'delays calls': ({ etcd }, chance) => {
    for (let count = chance.between(1, 8); count > 0; count--) {
      etcd.delayCall(chance.between(10, 15_000), { client: pick(chance, NAMES) });
    }
    return NOTHING;
  },
  'loses watches': ({ etcd }) => {
    etcd.dropWatches();
    etcd.compact();
    return NOTHING;
  },
  'changes the leader of etcd': ({ etcd }) => {
    etcd.changeLeader();
    return NOTHING;
  },
  'hangs a loop': ({ scene }, chance) => {
    const { contender } = pick(chance, scene.participants);
    contender.onProbe = NOTHING;
    return () => {
      contender.onProbe = (done) => done();
    };
  },
  'wakes a machine': ({ clock }, chance) => {
    clock.jumpWall(chance.between(-20_000, 20_000));
    return NOTHING;
  },
  resigns: ({ scene }, chance) => {
    const { election } = pick(chance, scene.participants);
    election.resign({ reason: 'storm' }).catch(NOTHING);
    return NOTHING;
  },
};

/** Faults of these change the leader under a leader's feet, which the serving deadline bounds and no more. */
const VIOLENT: Readonly<Record<string, Fault>> = {
  'deletes a key': ({ etcd, scene }, chance) => {
    const { keyValues } = etcd.state.range({ type: 'range', key: scene.keys.election, prefix: true });
    if (keyValues.length > 0) etcd.deleteKey(pick(chance, keyValues).key);
    return NOTHING;
  },
  'revokes a lease': ({ etcd }, chance) => {
    const { leaseIds } = etcd.state;
    if (leaseIds.length > 0) etcd.revokeLease(pick(chance, leaseIds));
    return NOTHING;
  },
};

/** Watches what must hold at each moment. */
class Watchman {
  readonly #participants: readonly Participant[];
  readonly #seen = new Set<Leadership>();
  #highest = 0n;
  readonly overlaps: string[] = [];

  constructor(participants: readonly Participant[]) {
    this.#participants = participants;
  }

  look(atMs: number): void {
    const terms = this.#participants.flatMap(({ contender }) => contender.leadership ?? []);
    for (const term of terms) {
      if (this.#seen.has(term)) continue;
      this.#seen.add(term);
      expect(term.token.epoch > this.#highest, `epoch ${term.token.epoch} after ${this.#highest}`).to.equal(
        true,
      );
      this.#highest = term.token.epoch;
    }
    const serving = terms.filter((term) => term.mayServe());
    if (serving.length > 1) {
      this.overlaps.push(`${atMs}: ${serving.map(({ token }) => token.epoch).join(' and ')}`);
    }
  }
}

async function storm(seed: number, faults: Readonly<Record<string, Fault>>): Promise<string[]> {
  const simulated = new SimulatedElection();
  const { clock, scene } = simulated;
  const chance = new SeededRandomness(seed);
  const participants = NAMES.map((name) => simulated.begin(name));
  const watchman = new Watchman(participants);
  const under: { untilMs: number; end: () => void }[] = [];
  const done: string[] = [];
  const run = async (ms: number): Promise<void> => {
    const endMs = clock.monotonicMs() + ms;
    while (await clock.step(endMs)) watchman.look(clock.monotonicMs());
  };
  try {
    while (clock.monotonicMs() < STORM_MS) {
      const name = pick(chance, Object.keys(faults));
      done.push(`${clock.monotonicMs()}: ${name}`);
      under.push({
        untilMs: clock.monotonicMs() + chance.between(50, 12_000),
        end: faults[name]!(simulated, chance),
      });
      await run(chance.between(10, 3_000));
      for (const fault of under.splice(0)) {
        if (fault.untilMs > clock.monotonicMs()) under.push(fault);
        else fault.end();
      }
    }
    for (const fault of under) fault.end();
    const led = (): boolean => {
      watchman.look(clock.monotonicMs());
      return participants.some(({ contender }) => contender.leadership?.mayServe() === true);
    };
    await scene.until('somebody leads after the storm', led, 2 * TTL_MS + 3_000);
    await run(20_000);
    const sessions = (await scene.history()).map((row) => row.leaderSessionId);
    expect(new Set(sessions).size, 'one session for one term').to.equal(sessions.length);
    const open = (await scene.history()).filter((row) => row.ended === null);
    expect(open.length, 'open terms').to.be.at.most(1);
    checkWrites(simulated.etcd, scene.cluster);
    await scene.end();
    return watchman.overlaps;
  } catch (error) {
    throw new Error(`seed ${seed}: ${String(error)}\n${done.join('\n')}`, { cause: error });
  }
}

describe('election in a storm', function () {
  this.timeout(120_000);
  const first = Number(process.env['QUARTERMASTER_SEED'] ?? 1);

  for (let seed = first; seed < first + 6; seed++) {
    it(`never lets two serve at once, and finds a leader afterwards (seed ${seed})`, async () => {
      expect(await storm(seed, FAULTS)).to.deep.equal([]);
    });

    it(`confirms one term after the other whatever an operator deletes (seed ${seed})`, async () => {
      await storm(seed, { ...FAULTS, ...VIOLENT });
    });
  }
});
