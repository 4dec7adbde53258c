import { expect } from 'chai';
import { explore } from './explore.ts';
import { loadSlotMachines } from './slot-machines.ts';
import { SlotModel } from './slot-model.ts';
import { boundsOf, SLOT_MUTANTS, SMALL_SLOT_WORLDS } from './slot-worlds.ts';

describe('two leaders, their task executors and job masters', function () {
  // Work for the processor, which others may want as well.
  this.timeout(60_000);

  const unpatched = loadSlotMachines();

  for (const { name, bounds } of SMALL_SLOT_WORLDS) {
    it(`keep G2, G3 and G4 in every state that can be reached, and come right from each end (${name})`, async () => {
      const { states, ends, counterexample } = explore(new SlotModel(await unpatched, bounds), 200_000);
      const found = counterexample === null ? '' : [counterexample.what, ...counterexample.path].join('\n');
      expect(found, `after ${states} states`).to.equal('');
      expect(ends).to.be.greaterThan(0);
    });
  }

  for (const { name, patch, world, finding } of SLOT_MUTANTS) {
    it(`are found out when ${name}`, async () => {
      const model = new SlotModel(await loadSlotMachines([patch]), boundsOf(world));
      const { counterexample } = explore(model, 200_000);
      const what = counterexample?.what ?? 'nothing was found';
      expect(what.slice(0, finding.length), what).to.equal(finding);
      expect(counterexample?.path).to.not.be.empty;
    });
  }
});
