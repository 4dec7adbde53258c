import { expect } from 'chai';
import { GapDetector } from '../../../../src/core/jobmaster/gap-detector.ts';

describe('the gap detector', () => {
  let gaps: GapDetector;
  beforeEach(() => {
    gaps = new GapDetector({ loopMs: 1_000, driftMs: 500 }, 0, 1_000_000);
  });

  it('sees no gap while turns come regularly and both clocks agree', () => {
    for (let ms = 250; ms <= 5_000; ms += 250) expect(gaps.observe(ms, 1_000_000 + ms)).to.equal(null);
  });

  it('sees a loop that stood still', () => {
    expect(gaps.observe(1_001, 1_001_001)).to.deep.equal({ lostMs: 0 });
    expect(gaps.observe(1_200, 1_001_200)).to.equal(null);
  });

  it('sees what passed on the wall clock alone', () => {
    expect(gaps.observe(100, 1_060_100)).to.deep.equal({ lostMs: 60_000 });
    expect(gaps.observe(200, 1_060_200)).to.equal(null);
  });

  it('sees a wall clock that was set back, which loses nothing', () => {
    expect(gaps.observe(100, 990_100)).to.deep.equal({ lostMs: 0 });
  });

  it('adds up differences that are small each', () => {
    expect(gaps.observe(100, 1_000_400)).to.equal(null);
    expect(gaps.observe(200, 1_000_800)).to.deep.equal({ lostMs: 600 });
  });

  it('changes nothing when it is only asked', () => {
    expect(gaps.peek(2_000, 1_002_000)).to.deep.equal({ lostMs: 0 });
    expect(gaps.observe(2_000, 1_002_000)).to.deep.equal({ lostMs: 0 });
  });
});
