import { expect } from 'chai';
import fc from 'fast-check';
import { compareTokens, mayObey, type FencingToken } from '../../../src/core/fencing-token.ts';
import type { LeaderSessionId } from '../../../src/core/ids.ts';

function token(generation: number, epoch: bigint, session = 's'): FencingToken {
  return { generation, epoch, leaderSessionId: session as LeaderSessionId };
}

const tokens = fc
  .tuple(fc.integer({ min: 1, max: 3 }), fc.bigInt({ min: 1n, max: 5n }), fc.constantFrom('a', 'b'))
  .map(([generation, epoch, session]) => token(generation, epoch, session));

describe('the fencing token', () => {
  it('is ordered by generation before epoch', () => {
    expect(compareTokens(token(2, 1n), token(1, 9n))).to.be.greaterThan(0);
    expect(compareTokens(token(1, 9n), token(1, 10n))).to.be.lessThan(0);
  });

  it('is obeyed when nothing was accepted before', () => {
    expect(mayObey(null, token(1, 1n))).to.equal(true);
  });

  it('is not obeyed under another session id of the same epoch', () => {
    expect(mayObey(token(1, 5n, 'a'), token(1, 5n, 'b'))).to.equal(false);
    expect(mayObey(token(1, 5n, 'a'), token(1, 5n, 'a'))).to.equal(true);
  });

  it('never falls at a receiver, whatever is offered in whatever order', () => {
    fc.assert(
      fc.property(fc.array(tokens), (offers) => {
        let highest: FencingToken | null = null;
        for (const offer of offers) {
          if (!mayObey(highest, offer)) continue;
          if (highest !== null) expect(compareTokens(offer, highest)).to.be.at.least(0);
          highest = offer;
        }
      }),
    );
  });
});
