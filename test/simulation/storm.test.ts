import { expect } from 'chai';
import { compareTraces } from './storm/determinism.ts';
import { reportFailure } from './storm/seed-report.ts';
import { shrink } from './storm/shrink.ts';
import { Totals } from './storm/totals.ts';
import { storm, StormFailure, type StormOptions } from './storm/storm.ts';

const first = Number(process.env['QUARTERMASTER_SEED'] ?? 1);

describe('a storm', function () {
  this.timeout(120_000);

  for (let seed = first; seed < first + 5; seed++) {
    it(`breaks no guarantee, and everybody comes to agree afterwards (seed ${seed})`, async () => {
      await storm(seed);
    });
  }

  it(`takes the same course from the same seed, on whatever thread and in whatever order (seeds ${first} to ${first + 3})`, async () => {
    const { differing } = await compareTraces([first, first + 1, first + 2, first + 3], 2);
    expect(differing).to.deep.equal([]);
  });

  it('takes another course from another seed', async () => {
    const [one, other] = [await storm(first), await storm(first + 1)];
    expect(other.digest).to.not.equal(one.digest);
  });
});

/** A storm in which the clocks of job masters go at a quarter of their rate, far beyond what is promised. */
const PLANTED: StormOptions = { clockRate: (id) => (id.startsWith('job') ? 0.25 : null) };

/** The first that breaks G3: with such clocks others wait for too long as well. */
async function firstFailure(from: number, options: StormOptions): Promise<StormFailure> {
  for (let seed = from; ; seed++) {
    try {
      await storm(seed, options);
    } catch (error) {
      if (!(error instanceof StormFailure)) throw error;
      if (error.invariant === 'G3') return error;
    }
  }
}

describe('a seed that fails', function () {
  this.timeout(120_000);

  it('is found, and told about by as few of its faults as are enough', async () => {
    const failure = await firstFailure(36, PLANTED);
    expect(failure.invariant).to.equal('G3');
    const { faults, text, replay } = await reportFailure(failure, PLANTED);
    expect(faults.length).to.be.lessThan(failure.struck.length);
    expect(faults.length).to.be.at.most(3);
    expect(text)
      .to.include(`replay: make simulate SEED=${failure.seed}, trace ${failure.digest}\n`)
      .and.to.include(replay);
    expect(replay).to.equal(`make simulate SEED=${failure.seed} FAULTS=${faults.join(',')}`);
    const again = await storm(failure.seed, { ...PLANTED, keep: faults }).catch((error: unknown) => error);
    expect(again).to.be.instanceOf(StormFailure).with.property('invariant', 'G3');
    for (const left of faults) {
      const keep = faults.filter((number) => number !== left);
      const without = await storm(failure.seed, { ...PLANTED, keep }).catch((error: unknown) => error);
      expect(without instanceof StormFailure && without.invariant === 'G3', `without fault ${left}`).to.equal(
        false,
      );
    }
  });
});

describe('the totals of many seeds', () => {
  const RARE = 'no quorum of more than a TTL';

  function unseenAfter(seeds: number): string[] {
    const totals = new Totals();
    const nothing = { digest: '', events: 0, virtualMs: 0, terms: 1, convergenceMs: 0 };
    const seen = { faults: { NOSPACE: 1 }, interleavings: { grants: 1 } };
    for (let seed = 1; seed <= seeds; seed++) totals.add({ seed, ...nothing, ...seen });
    return totals.unseen();
  }

  it('name every kind of trouble that a thousand seeds have never seen', () => {
    expect(unseenAfter(999)).to.deep.equal([]);
    const unseen = unseenAfter(1_000);
    expect(unseen).to.include('step-down').and.to.include('claims').and.to.not.include(RARE);
    expect(unseen).to.not.include('NOSPACE').and.to.not.include('grants');
  });

  it('name what is rare only after ten thousand', () => {
    expect(unseenAfter(10_000)).to.include(RARE);
  });
});

describe('shrinking', () => {
  const numbers = Array.from({ length: 40 }, (_, index) => index);

  it('keeps exactly what is needed, wherever it stands', async () => {
    const needed = [3, 17, 18, 39];
    const fails = (some: readonly number[]): Promise<boolean> =>
      Promise.resolve(needed.every((number) => some.includes(number)));
    expect(await shrink(numbers, fails)).to.deep.equal(needed);
  });

  it('keeps one of several that would do', async () => {
    const fails = (some: readonly number[]): Promise<boolean> =>
      Promise.resolve(some.some((number) => number % 10 === 7));
    expect(await shrink(numbers, fails)).to.have.length(1);
  });

  it('finds that nothing was needed, and tries nothing twice without need', async () => {
    let tries = 0;
    const fails = (): Promise<boolean> => {
      tries += 1;
      return Promise.resolve(true);
    };
    expect(await shrink(numbers, fails)).to.deep.equal([]);
    expect(tries).to.equal(1);
  });
});
