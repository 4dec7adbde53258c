import { expect } from 'chai';
import { fits, sameProfile } from '../../../src/core/resource-profile.ts';

describe('a resource profile', () => {
  const offered = { cpuCores: 2, memoryMB: 1024, extended: { gpu: 1 } };

  it('fits when every amount offered is at least the one required', () => {
    expect(fits(offered, { cpuCores: 2, memoryMB: 1024, extended: { gpu: 1 } })).to.equal(true);
    expect(fits(offered, { cpuCores: 0.5, memoryMB: 1, extended: {} })).to.equal(true);
  });

  it('does not fit when one amount is short', () => {
    expect(fits(offered, { cpuCores: 2.1, memoryMB: 1024, extended: {} })).to.equal(false);
    expect(fits(offered, { cpuCores: 2, memoryMB: 1025, extended: {} })).to.equal(false);
    expect(fits(offered, { cpuCores: 1, memoryMB: 1, extended: { gpu: 2 } })).to.equal(false);
    expect(fits(offered, { cpuCores: 1, memoryMB: 1, extended: { fpga: 1 } })).to.equal(false);
  });

  it('counts an extended amount that is not named as none, also one with the name of an object method', () => {
    expect(fits(offered, { cpuCores: 1, memoryMB: 1, extended: { fpga: 0 } })).to.equal(true);
    expect(fits(offered, { cpuCores: 1, memoryMB: 1, extended: { toString: 1 } })).to.equal(false);
    expect(sameProfile(offered, { ...offered, extended: { gpu: 1, fpga: 0 } })).to.equal(true);
  });
});
