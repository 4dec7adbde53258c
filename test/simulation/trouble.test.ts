import { expect } from 'chai';
import { trouble } from './trouble.ts';

describe('a simulated cluster in trouble', function () {
  this.timeout(60_000);

  for (let seed = 1; seed <= 8; seed++) {
    it(`keeps its guarantees and comes right when the trouble ends (seed ${seed})`, async () => {
      const { leaders } = await trouble(seed);
      expect(leaders).to.be.greaterThan(1);
    });
  }

  it('goes the same way twice from one seed', async () => {
    expect(await trouble(9)).to.deep.equal(await trouble(9));
  });
});
