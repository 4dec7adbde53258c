import { expect } from 'chai';
import fc from 'fast-check';
import type { ResourceProfile } from '../../../../src/core/resource-profile.ts';
import { anySlotMatching, profileMatching } from '../../../../src/core/slotmanager/slot-matching.ts';
import { B, N, SlotManagerBench, slot } from '../../../support/slot-manager-bench.ts';

const seed = Math.trunc(Math.random() * 2 ** 31);
const profile: fc.Arbitrary<ResourceProfile> = fc.record({
  cpuCores: fc.nat(4),
  memoryMB: fc.nat(8).map((n) => n * 512),
  extended: fc.dictionary(fc.constantFrom('gpu', 'fpga'), fc.nat(2), { maxKeys: 2 }),
});

function p(cpuCores: number, memoryMB: number, extended: Record<string, number> = {}): ResourceProfile {
  return { cpuCores, memoryMB, extended };
}

/** Which of the slots a request takes, each on a task executor of its own. */
function taken(required: ResourceProfile, ...offered: ResourceProfile[]): number {
  const bench = new SlotManagerBench();
  for (const [i, each] of offered.entries()) bench.register(`te${i}`, [slot(0, each)]);
  bench.request('r', required);
  return [...bench.manager.slots()].findIndex((view) => view.state === 'requested');
}

describe('slot matching', () => {
  it('takes the smallest slot that fits, so that small requests do not eat big slots', () => {
    expect(taken(N, B, N)).to.equal(1);
    expect(taken(N, N, B)).to.equal(0);
    expect(taken(B, N, p(8, 8_192), B)).to.equal(2);
  });

  it('takes a slot with an extended resource for a request without one only when nothing else fits', () => {
    expect(taken(N, p(1, 512, { gpu: 1 }), p(16, 65_536))).to.equal(1);
    expect(taken(N, p(1, 512, { gpu: 1 }))).to.equal(0);
    expect(
      taken(p(1, 512, { gpu: 1 }), p(16, 65_536), p(1, 512, { gpu: 4 }), p(1, 512, { gpu: 1 })),
    ).to.equal(2);
  });

  it('weighs 4,096 MB as much as one core', () => {
    expect(taken(p(1, 1_024), p(1, 65_536), p(2, 1_024))).to.equal(1);
  });

  it(`never calls a slot that fits smaller than the request (seed ${seed})`, () => {
    fc.assert(
      fc.property(profile, profile, (offered, required) => {
        if (profileMatching.accepts(offered, required))
          expect(profileMatching.compare(offered, required)).to.be.at.least(0);
      }),
      { seed },
    );
  });

  it(`takes a slot that no other fitting slot is smaller than (seed ${seed})`, () => {
    fc.assert(
      fc.property(profile, fc.array(profile, { minLength: 1, maxLength: 8 }), (required, offered) => {
        const index = taken(required, ...offered);
        const fitting = offered.filter((each) => profileMatching.accepts(each, required));
        const chosen = offered[index];
        expect(chosen === undefined).to.equal(fitting.length === 0);
        if (chosen !== undefined)
          for (const each of fitting) expect(profileMatching.compare(chosen, each)).to.be.at.most(0);
      }),
      { seed },
    );
  });

  it('has one class for profiles that name the same amounts, whatever their order and their zeros', () => {
    expect(profileMatching.classKey(p(1, 2, { a: 1, b: 2, c: 0 }))).to.equal(
      profileMatching.classKey(p(1, 2, { b: 2, a: 1 })),
    );
  });

  it('of any slot gives a big request a small one, and asks the task executor for no more than the slot has', () => {
    const bench = new SlotManagerBench({ matching: anySlotMatching });
    bench.register('te', [slot(0, N)]);
    bench.request('r', B);
    expect(bench.counts()).to.equal('1/0/0');
    expect(bench.lastCall().commands[0]).to.deep.include({ kind: 'requestSlot', profile: N });
  });
});
