import { expect } from 'chai';
import type { GuardedOutcome, GuardedWrite, Leadership } from '../../../src/ha/leader-election.ts';
import { SimulatedElection } from '../../support/simulated-election.ts';

const KEY = '/quartermaster/simulated/task-executors/te-1';

/** A record's first write, as the resource manager sends it. */
const CREATE: GuardedWrite = {
  alsoIf: [{ key: KEY, target: 'mod', result: '==', operand: 0n }],
  operations: [{ type: 'put', key: KEY, value: 'registered' }],
  readBack: [{ type: 'range', key: KEY }],
};

function remove(modRevision: bigint): GuardedWrite {
  return {
    alsoIf: [{ key: KEY, target: 'mod', result: '==', operand: modRevision }],
    operations: [{ type: 'delete', key: KEY }],
    readBack: [{ type: 'range', key: KEY }],
  };
}

describe('a copy of a guarded write that commits late, within the term that sent it', () => {
  let simulated: SimulatedElection;
  let leadership: Leadership;

  beforeEach(async () => {
    simulated = new SimulatedElection();
    leadership = (await simulated.leader()).leadership;
  });

  afterEach(() => simulated.scene.end());

  const write = (what: GuardedWrite): Promise<GuardedOutcome> =>
    simulated.scene.answer(leadership.write(what));

  function modRevision(): bigint {
    return simulated.etcd.state.range({ type: 'range', key: KEY }).keyValues[0]?.modRevision ?? 0n;
  }

  it('never brings a record back that has been deleted since', async () => {
    const held = simulated.etcd.holdBack({ client: 'rm-1', where: simulated.writes(KEY) });
    expect((await write(CREATE)).kind).to.equal('committed');
    expect(held.arrived).to.equal(true);
    expect((await write(remove(modRevision()))).kind).to.equal('committed');
    held.commit();
    expect(simulated.value(KEY)).to.equal(undefined);
  });

  it('never deletes a record that was created anew', async () => {
    await write(CREATE);
    const held = simulated.etcd.holdBack({ client: 'rm-1', where: simulated.deletes(KEY) });
    expect((await write(remove(modRevision()))).kind).to.equal('committed');
    expect((await write(CREATE)).kind).to.equal('committed');
    held.commit();
    expect(simulated.value(KEY)).to.equal('registered');
  });

  it('is told from one that did not commit, also when the answer to a deletion was lost', async () => {
    await write(CREATE);
    simulated.etcd.loseAnswer({ client: 'rm-1', where: simulated.deletes(KEY) });
    const outcome = await write(remove(modRevision()));
    expect(outcome.kind).to.equal('refused');
    expect(simulated.value(KEY)).to.equal(undefined);
    expect((await write(CREATE)).kind).to.equal('committed');
  });

  it('keeps neither leader nor line from their place', async () => {
    await write(CREATE);
    await write(remove(modRevision()));
    await simulated.clock.advance(5_000);
    const [own, ...others] = await simulated.scene.line();
    expect(others).to.deep.equal([]);
    expect(own?.createRevision).to.equal(leadership.token.epoch);
    expect(own?.lease).to.equal(simulated.etcd.state.leaseIds[0]);
    expect(leadership.mayServe()).to.equal(true);
  });

  it('does not stand in the way of a creation after an operator has written the candidate key', async () => {
    const [own] = await simulated.scene.line();
    const { value, lease, key } = own!;
    const put = { type: 'put', key, value, lease } as const;
    simulated.etcd.state.transact({ compare: [], success: [put], failure: [] });
    expect((await write(CREATE)).kind).to.equal('committed');
  });
});
