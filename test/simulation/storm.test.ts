import { expect } from 'chai';
import { storm } from './storm/storm.ts';

describe('a storm', function () {
  this.timeout(120_000);
  const first = Number(process.env['QUARTERMASTER_SEED'] ?? 1);

  for (let seed = first; seed < first + 20; seed++) {
    it(`breaks no guarantee, and everybody comes to agree afterwards (seed ${seed})`, async () => {
      await storm(seed);
    });
  }

  it(`takes the same course from the same seed, and another one from another (seed ${first})`, async () => {
    const [once, again, other] = [await storm(first), await storm(first), await storm(first + 1)];
    expect(again).to.deep.equal(once);
    expect(other.digest).to.not.equal(once.digest);
  });
});
