import { expect } from 'chai';
import { termEndedBy } from '../../../bench/failover/term-ended.ts';

const ended = (reason: string) => ({ at: '2026-01-01T00:00:00Z', reason, evidence: 'seen', by: 'rm-2' });

describe('the end of a term', () => {
  it('of a killed or stopped leader is a deposition, or a fallback to the lease', () => {
    for (const fault of ['crash', 'pause'] as const) {
      expect(termEndedBy(ended('deposed'), fault)).to.deep.equal({ how: 'deposed: seen', asItShould: true });
      for (const reason of ['lost', 'lease deadline passed', 'told to end by SIGTERM']) {
        expect(termEndedBy(ended(reason), fault).asItShould, reason).to.equal(false);
      }
    }
  });

  it('of one that was asked to end says so', () => {
    expect(termEndedBy(ended('told to end by SIGTERM'), 'sigterm').asItShould).to.equal(true);
    for (const reason of ['lost', 'deposed']) {
      expect(termEndedBy(ended(reason), 'sigterm').asItShould, reason).to.equal(false);
    }
  });

  it('that history does not tell is never as it should be', () => {
    expect(termEndedBy(null, 'sigterm').asItShould).to.equal(false);
    expect(termEndedBy(null, 'crash').asItShould).to.equal(false);
  });
});
