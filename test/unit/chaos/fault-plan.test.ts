import { expect } from 'chai';
import { SCENARIO_NAMES, SCENARIOS } from '../../../src/cli/drill/scenarios.ts';
import { BREAKS, mayOverlap, planFaults, type PlannedStep } from '../../chaos/fault-plan.ts';

/** Those that proxies can do. */
const KINDS = SCENARIO_NAMES.filter((name) => !SCENARIOS[name].needsNamespaces);

function planned(seed: number, steps: number): PlannedStep[] {
  const plan = planFaults(seed);
  return Array.from({ length: steps }, () => plan.next().value);
}

describe('the plan of faults', () => {
  it('is the same for the same seed, and another one for another seed', () => {
    expect(planned(7, 200)).to.deep.equal(planned(7, 200));
    expect(planned(7, 20)).to.not.deep.equal(planned(8, 20));
  });

  it('has every kind of fault of the drill that proxies can do among its first thirteen', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const kinds = planned(seed, KINDS.length)
        .flatMap(({ first, second }) => [first, second])
        .flatMap((fault) => (fault === null ? [] : [fault.kind]));
      expect(new Set(kinds.slice(0, KINDS.length)), `seed ${seed}`).to.deep.equal(new Set(KINDS));
    }
  });

  it('has steps of one fault and steps of two that overlap, which break different things', () => {
    const steps = planned(3, 1_000);
    const pairs = steps.flatMap(({ first, second }) => (second === null ? [] : [[first, second] as const]));
    expect(pairs.length).to.be.within(200, 600);
    for (const [first, second] of pairs) {
      expect(mayOverlap(first.kind, second.kind), `${first.kind} and ${second.kind}`).to.equal(true);
      expect(second.afterMs).to.be.within(0, first.holdMs);
    }
    const together = new Set(pairs.map(([first, second]) => [first.kind, second.kind].toSorted().join(' ')));
    expect(together).to.include('kill-etcd-member pause-leader');
  });

  it('leaves two members of etcd and one resource manager whole', () => {
    expect(mayOverlap('kill-etcd-member', 'kill-etcd-leader')).to.equal(false);
    expect(mayOverlap('rolling-upgrade', 'kill-leader')).to.equal(false);
    expect(mayOverlap('kill-leader', 'pause-leader')).to.equal(true);
    expect(mayOverlap('kill-leader', 'kill-leader')).to.equal(false);
  });

  it('gives no worker the time to lose what it holds, and a hung loop the time to go on', () => {
    for (const { first } of planned(5, 500)) {
      if (BREAKS[first.kind].some((broken) => broken === 'task-executor' || broken === 'job-master')) {
        expect(first.holdMs).to.be.at.most(2_000);
      }
      if (first.kind === 'block-loop') expect(first.holdMs).to.be.at.least(3_000);
    }
  });
});
