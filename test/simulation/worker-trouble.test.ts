import { expect } from 'chai';
import { workerTrouble } from './worker-trouble.ts';

describe('a simulated cluster whose workers are in trouble', function () {
  this.timeout(60_000);

  for (const seed of [1, 2, 3, 5, 6, 7, 9]) {
    it(`keeps each lease unique and gets everything back when the trouble ends (seed ${seed})`, async () => {
      const { calm } = await workerTrouble(seed);
      expect(calm).to.equal(false);
    });
  }

  for (const seed of [4, 8]) {
    it(`disturbs nobody's work while resource managers and etcd fail (seed ${seed})`, async () => {
      const { calm } = await workerTrouble(seed);
      expect(calm).to.equal(true);
    });
  }
});
