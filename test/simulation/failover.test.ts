import { expect } from 'chai';
import { FAILOVER_SCENARIOS } from './failover-scenarios.ts';
import { failover } from './failover.ts';

describe('a simulated failover', function () {
  this.timeout(60_000);

  for (const name of Object.keys(FAILOVER_SCENARIOS)) {
    it(`keeps its bounds: ${name}`, async () => {
      const seeds = name === 'healthy' || name.startsWith('job-') ? [1] : [1, 2, 3];
      for (const seed of seeds) await failover(name, seed);
    });
  }

  it('goes the same way twice from one seed', async () => {
    expect(await failover('pause', 7)).to.deep.equal(await failover('pause', 7));
  });
});
