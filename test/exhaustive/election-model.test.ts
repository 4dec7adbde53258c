import { expect } from 'chai';
import { loadElectionMachines } from './election-machines.ts';
import { ElectionModel } from './election-model.ts';
import { ELECTION_MUTANTS, electionBounds, SMALL_ELECTION_WORLDS } from './election-worlds.ts';
import { explore } from './explore.ts';

describe('candidates over one store', function () {
  // Work for the processor, which others may want as well.
  this.timeout(60_000);

  const unpatched = loadElectionMachines();

  for (const { name, bounds } of SMALL_ELECTION_WORLDS) {
    it(`keep G1, G5 and G6 in every state that can be reached, and find a leader from each end (${name})`, async () => {
      const model = new ElectionModel(await unpatched, bounds);
      const { states, ends, counterexample } = explore(model, 100_000);
      const found = counterexample === null ? '' : [counterexample.what, ...counterexample.path].join('\n');
      expect(found, `after ${states} states`).to.equal('');
      expect(ends).to.be.greaterThan(0);
    });
  }

  for (const { name, patch, world, finding } of ELECTION_MUTANTS) {
    it(`are found out when ${name}`, async () => {
      const model = new ElectionModel(await loadElectionMachines([patch]), electionBounds(world));
      const { counterexample } = explore(model, 100_000);
      const what = counterexample?.what ?? 'nothing was found';
      expect(what.slice(0, finding.length), what).to.equal(finding);
      expect(counterexample?.path).to.not.be.empty;
    });
  }
});
