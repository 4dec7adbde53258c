import { expect } from 'chai';
import type { KeyValue } from '../../src/ha/coordination-store.ts';
import { GuardedWriter } from '../../src/resourcemanager/guarded-writer.ts';
import { RecordKeeper } from '../../src/resourcemanager/record-keeper.ts';
import { SimulatedElection } from '../support/simulated-election.ts';
import { SeededRandomness } from '../support/testing-randomness.ts';

const IDS = ['a', 'b', 'c'];
const FORMAT = { decode: ({ value }: KeyValue): string => value, encode: (record: string): string => record };

/** Registrations and goodbyes of a few workers, by chance, with calls to etcd that are lost, late and held back. */
async function registrations(seed: number): Promise<void> {
  const chance = new SeededRandomness(seed, 'records');
  const simulated = new SimulatedElection();
  const { etcd, clock, scene } = simulated;
  const { participant, leadership } = await simulated.leader();
  const folder = scene.keys.taskExecutors;
  const writer = new GuardedWriter(leadership, (event) => clock.schedule(0, event));
  const keeper = new RecordKeeper<string, string>(
    FORMAT,
    (id) => `${folder}${id}`,
    writer,
    (record) => record,
  );
  const under = new Map(IDS.map((id) => [id, 0]));
  const last = new Map<string, string | null>(IDS.map((id) => [id, null]));
  const stands = (): Map<string, string> => {
    const { keyValues } = etcd.state.range({ type: 'range', key: folder, prefix: true });
    return new Map(keyValues.map(({ key, value }) => [key.slice(folder.length), value]));
  };
  const look = (): void => {
    const found = stands();
    for (const id of IDS) {
      if (under.get(id) === 0) expect(found.get(id) ?? null, `${id} in etcd`).to.equal(last.get(id));
    }
  };
  const isRecord = simulated.writesUnder(folder);
  let changes = 0;
  for (let step = 0; step < 150; step++) {
    const fault = chance.between(0, 9);
    if (fault < 2) etcd.loseAnswer({ client: 'rm-1', where: isRecord });
    else if (fault < 3) etcd.loseCall({ client: 'rm-1', where: isRecord });
    else if (fault < 6) etcd.delayCall(chance.between(50, 5_000), { client: 'rm-1', where: isRecord });
    for (let count = chance.between(0, 3); count > 0; count--) {
      const id = IDS[chance.between(0, IDS.length - 1)]!;
      const record = chance.fraction() < 0.5 ? null : `record ${++changes}`;
      under.set(id, under.get(id)! + 1);
      keeper.change(
        id,
        () => (record === null ? { kind: 'delete' } : { kind: 'put', record }),
        (outcome) => {
          expect(outcome.kind).to.equal('done');
          under.set(id, under.get(id)! - 1);
          last.set(id, record);
        },
      );
    }
    const endMs = clock.monotonicMs() + chance.between(1, 400);
    while (await clock.step(endMs)) look();
  }
  await scene.until('everything is answered', () => [...under.values()].every((count) => count === 0));
  await clock.advance(6_000);
  look();
  expect(participant.contender.terms, 'one term').to.have.length(1);
  await scene.end();
}

describe('records in etcd', () => {
  const first = Number(process.env['QUARTERMASTER_SEED'] ?? 1);
  for (let seed = first; seed < first + 10; seed++) {
    it(`are as they were last acknowledged, whatever copy of a write commits late (seed ${seed})`, async () => {
      await registrations(seed);
    });
  }
});
