import { expect } from 'chai';
import { distributionOf } from '../../../../src/core/drill/distribution.ts';
import { countInRounds } from '../../../../src/core/drill/count-in-rounds.ts';
import type { CommandRefusal, LoadObservation } from '../../../../src/core/drill/drill-evidence.ts';
import { endedByTtl } from '../../../../src/core/drill/ended-by-ttl.ts';
import { overlapOf } from '../../../../src/core/drill/overlap.ts';
import { waitBeforeFaultMs } from '../../../../src/core/drill/spacing.ts';
import { summarize } from '../../../../src/core/drill/summary.ts';
import { roundWith } from './drill-rounds.ts';

describe('the distribution of a sample', () => {
  it('is made of values that were measured', () => {
    const samples = Array.from({ length: 200 }, (_each, index) => 200 - index);
    expect(distributionOf(samples)).to.deep.equal({ p50: 100, p90: 180, p99: 198, max: 200 });
  });

  it('is that value four times when there is only one', () => {
    expect(distributionOf([7])).to.deep.equal({ p50: 7, p90: 7, p99: 7, max: 7 });
  });

  it('is null when nothing was measured', () => {
    expect(distributionOf([])).to.equal(null);
  });
});

describe('what is counted in a round', () => {
  const rounds = [roundWith({ faultAtWallMs: 1_000 }), roundWith({ round: 2, faultAtWallMs: 5_000 })];
  const seen = (type: string, atWallMs: number): LoadObservation => ({ type, atWallMs }) as LoadObservation;
  const refused = (code: string, atWallMs: number): CommandRefusal => ({ code, atWallMs }) as CommandRefusal;

  it('is all from its fault to the next one, however late, and from the start for the first', () => {
    const observations = [
      seen('failed', 10),
      seen('failed', 4_999),
      seen('claimed', 4_999),
      seen('job-failed', 5_000),
      seen('lost', 90_000),
    ];
    const refusals = [refused('FENCED', 4_000), refused('FENCED', 6_000), refused('STALE', 6_000)];
    const counted = countInRounds({ rounds, observations, refusals });
    expect(counted.map(({ sdkErrors }) => sdkErrors)).to.deep.equal([2, 1]);
    expect(counted.map(({ leasesLost }) => leasesLost)).to.deep.equal([0, 1]);
    expect(counted.map(({ staleRefused }) => staleRefused)).to.deep.equal([1, 1]);
    expect(summarize('all', counted)).to.include({ sdkErrors: 3, leasesLost: 1, staleRefused: 2 });
  });
});

describe('the end of a term', () => {
  it('is that of its lease whoever wrote it down, and not that of a deposition', () => {
    const by = (reason: string): boolean => endedByTtl({ reason, evidence: '' });
    expect(['lost', 'lease deadline passed', 'lease lost'].map(by)).to.deep.equal([true, true, true]);
    expect(['deposed', 'asked to step down'].map(by)).to.deep.equal([false, false]);
    expect(endedByTtl(null)).to.equal(false);
  });
});

describe('the space between faults', () => {
  const limit = { most: 3, windowMs: 10_000 };

  it('is none before the first deposition, and even afterwards', () => {
    expect(waitBeforeFaultMs([], 0, limit)).to.equal(0);
    const waitMs = waitBeforeFaultMs([1_000, 2_000], 2_500, limit);
    expect(3 * (500 + waitMs)).to.be.within(10_000, 11_000);
    expect(waitBeforeFaultMs([1_000, 2_000], 6_000, limit)).to.equal(0);
  });

  it('lets the third last deposition leave the window first', () => {
    const waitMs = waitBeforeFaultMs([1_000, 2_000, 3_000, 4_000], 5_000, limit);
    expect(5_000 + waitMs).to.be.above(2_000 + 10_000);
    expect(5_000 + waitMs).to.be.below(3_000 + 10_000);
  });

  it('is over once it has', () => {
    expect(waitBeforeFaultMs([1_000, 2_000, 3_000], 12_000, limit)).to.equal(0);
  });
});

describe('the overlap of an effect', () => {
  const term = (epoch: bigint, atWallMs: number) => ({ token: { generation: 1, epoch }, atWallMs });

  it('is the time since the first higher term was confirmed', () => {
    const confirms = [term(3n, 100), term(5n, 200), term(6n, 250)];
    expect(overlapOf(term(3n, 260), confirms)).to.equal(60);
    expect(overlapOf(term(5n, 260), confirms)).to.equal(10);
  });

  it('is none under the highest term, or before a higher one was confirmed', () => {
    const confirms = [term(3n, 100), term(5n, 200)];
    expect(overlapOf(term(5n, 300), confirms)).to.equal(0);
    expect(overlapOf(term(3n, 199), confirms)).to.equal(0);
  });

  it('goes by generation first', () => {
    const confirms = [{ token: { generation: 2, epoch: 1n }, atWallMs: 100 }];
    expect(overlapOf(term(9n, 130), confirms)).to.equal(30);
  });
});

describe('the summary of rounds', () => {
  it('adds up what was counted, and takes the longest overlap', () => {
    const rounds = [
      roundWith({ needlessChanges: 2, sdkErrors: 1, leasesLost: 2, overlapMs: 3, fellBackToTtl: true }),
      roundWith({ round: 2, staleRefused: 4, requestsLost: 5, doubleGrants: 6, overlapMs: 1 }),
    ];
    expect(summarize('kill-leader', rounds)).to.deep.include({
      scenario: 'kill-leader',
      rounds: 2,
      needlessChanges: 2,
      sdkErrors: 1,
      staleRefused: 4,
      leasesLost: 2,
      doubleGrants: 6,
      requestsLost: 5,
      overlapMs: { max: 3 },
      fellBackToTtl: 1,
    });
  });

  it('leaves rounds without a change of leader out of the times', () => {
    const stayed = roundWith({ round: 2, confirmMs: null, leaderlessMs: null, firstGrantMs: null });
    const { leaderlessMs, firstGrantMs } = summarize('all', [roundWith(), stayed]);
    expect([leaderlessMs?.max, firstGrantMs?.p50]).to.deep.equal([15, 20]);
    expect(summarize('all', [stayed]).firstGrantMs).to.equal(null);
  });
});
