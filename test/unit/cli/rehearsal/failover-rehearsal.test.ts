import { expect } from 'chai';
import { rehearseFailover } from '../../../../src/cli/rehearsal/failover-rehearsal.ts';
import { DEFAULT_TIMING } from '../../../../src/core/timing.ts';
import { VirtualClock } from '../../../simulation/virtual-clock.ts';
import { Watched } from '../../../support/testing-job-cluster.ts';
import { SeededRandomness } from '../../../support/testing-randomness.ts';

const SEED = 11;

function rehearsal(signal = new AbortController().signal) {
  const clock = new VirtualClock();
  const randomness = new SeededRandomness(SEED, 'rehearsal');
  const result = new Watched(rehearseFailover({ clock, randomness, timing: DEFAULT_TIMING, signal }));
  return { clock, result };
}

describe('a rehearsal of failover', () => {
  it(`claims a slot under each of thirty leaders, and leaves nothing behind (seed ${SEED})`, async () => {
    const { clock, result } = rehearsal();
    await clock.until(() => result.settled);
    expect(result.value?.failovers).to.equal(30);
    await clock.advance(120_000);
    expect(clock.nextDueMs()).to.equal(null);
  });

  it(`ends early when it is told to (seed ${SEED})`, async () => {
    const over = new AbortController();
    const { clock, result } = rehearsal(over.signal);
    await clock.advance(20);
    over.abort();
    await clock.until(() => result.settled);
    expect(result.value?.failovers).to.be.lessThan(30);
  });
});
