import { expect } from 'chai';
import { leaderCrash } from './leader-crash.ts';

describe('a simulated cluster whose leader crashes', () => {
  for (const seed of [1, 2, 3]) {
    it(`keeps its leases, serves what waits, and does so twice in the same way (seed ${seed})`, async () => {
      const once = await leaderCrash(seed);
      const again = await leaderCrash(seed);
      expect(again).to.deep.equal(once);
    });
  }

  it('takes another course with another seed', async () => {
    const [one, other] = [await leaderCrash(101), await leaderCrash(102)];
    expect(one.digest).to.not.equal(other.digest);
    expect(one.trouble + other.trouble).to.be.greaterThan(0);
  });
});
