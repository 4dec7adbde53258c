import { expect } from 'chai';
import { runSeeds, type SeedRunOutcome } from './storm/run-seeds.ts';

const SEEDS = Number(process.env['QUARTERMASTER_SEEDS'] ?? 2_000);
/** As long as no fault is found the step around this test ends it first. */
const LIMIT_MS = 280_000;

describe(`${SEEDS} storms on two threads`, function () {
  this.timeout(LIMIT_MS);
  let outcome: SeedRunOutcome;

  before(async () => {
    const seeds = Array.from({ length: SEEDS }, (_, index) => index + 1);
    outcome = await runSeeds({ seeds, workers: 2 });
  });

  it('break no guarantee', () => {
    expect(outcome.failures.map(({ text }) => text).join('\n')).to.equal('');
    expect(outcome.totals.seeds).to.equal(SEEDS);
  });

  it('have each seen real work: faults, changes of leader, grants', () => {
    const { totals } = outcome;
    const faults = [...totals.faults.values()].reduce((sum, count) => sum + count, 0);
    expect(faults / totals.seeds).to.be.greaterThan(8);
    expect(totals.leaderChanges / totals.seeds).to.be.greaterThan(2);
    expect((totals.interleavings.get('grants') ?? 0) / totals.seeds).to.be.greaterThan(10);
  });

  it('have seen every kind of fault and of interleaving', () => {
    expect(outcome.totals.unseen()).to.deep.equal([]);
  });
});
