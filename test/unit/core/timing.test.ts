import { expect } from 'chai';
import { DEFAULT_TIMING, timingProblems } from '../../../src/core/timing.ts';

describe('the times', () => {
  it('are fit to start with by default', () => {
    expect(timingProblems(DEFAULT_TIMING)).to.deep.equal([]);
  });

  const broken: [string, Partial<typeof DEFAULT_TIMING>][] = [
    ['leaseTtlSeconds', { leaseTtlSeconds: 2 }],
    ['leadershipCheckMs', { leadershipCheckMs: 200 }],
    ['servingDeadlineMs', { servingDeadlineMs: 450, leadershipCheckMs: 125 }],
    ['peerPingMs', { peerPingMs: 250 }],
    ['etcdResendMs', { etcdResendMs: 2_000 }],
    ['heartbeatTimeoutMs', { heartbeatTimeoutMs: 20_000 }],
    ['heartbeatIntervalMs', { heartbeatIntervalMs: 9_000 }],
    ['slotRenewalMs', { slotRenewalMs: 10_001 }],
    ['unclaimedMs', { unclaimedMs: 31_000 }],
    ['taskExecutorCallMs', { taskExecutorCallMs: 10_000 }],
  ];
  for (const [name, change] of broken) {
    it(`are refused with a sentence that names ${name} when its relation is broken`, () => {
      const problems = timingProblems({ ...DEFAULT_TIMING, ...change });
      expect(problems).to.have.length(1);
      expect(problems[0]).to.include(name);
    });
  }

  it('are refused when one is not a positive number', () => {
    for (const value of [0, -1, NaN, Infinity]) {
      expect(timingProblems({ ...DEFAULT_TIMING, graceMs: value })[0]).to.include('graceMs');
    }
  });
});
