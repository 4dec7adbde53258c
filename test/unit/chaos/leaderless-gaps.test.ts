import { expect } from 'chai';
import { lateGaps, longestGapMs } from '../../chaos/leaderless-gaps.ts';

describe('the times without a serving leader', () => {
  it('are too long when no leader comes within the bound', () => {
    const gaps = [
      { fromMs: 0, toMs: 900 },
      { fromMs: 2_000, toMs: 3_001 },
    ];
    expect(lateGaps(gaps, [1_500], 1_000)).to.deep.equal([gaps[1]]);
    expect(longestGapMs(gaps)).to.equal(1_001);
  });

  it('are counted from the last fault or repair within them', () => {
    const gap = { fromMs: 0, toMs: 1_900 };
    expect(lateGaps([gap], [1_000, 2_000], 1_000)).to.deep.equal([]);
    expect(lateGaps([gap], [800, 2_000], 1_000)).to.deep.equal([gap]);
  });

  it('are nothing where somebody always served', () => {
    expect(longestGapMs([])).to.equal(0);
  });
});
