import { expect } from 'chai';
import fc from 'fast-check';
import { SlotManagerWorld } from './slot-manager-world.ts';

const seed = Math.trunc(Math.random() * 2 ** 31);
const steps = fc.array(fc.tuple(fc.nat(1_000), fc.nat(1_000), fc.nat(1_000)), {
  minLength: 1,
  maxLength: 150,
});

describe(`SlotManager among task executors that answer, lose and reorder (seed ${seed})`, () => {
  it('keeps its invariants after every event', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const world = new SlotManagerWorld();
        for (const [kind, a, b] of list) world.step(kind, a, b);
      }),
      { seed, numRuns: 300 },
    );
  });

  it('agrees with the task executors and serves what can be served once the network is good again', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const world = new SlotManagerWorld();
        for (const [kind, a, b] of list) world.step(kind, a, b);
        world.heal();
        expect(world.differences()).to.deep.equal([]);
        expect(world.unserved().length).to.equal(world.manager.pendingRequests());
      }),
      { seed, numRuns: 200 },
    );
  });
});
