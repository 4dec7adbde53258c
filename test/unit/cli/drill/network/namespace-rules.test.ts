import { expect } from 'chai';
import { namespaceRefusal } from '../../../../../src/cli/drill/network/namespace-rules.ts';

describe('network namespaces for a drill', () => {
  const means = { platform: 'linux', userId: 0, ip: '/usr/sbin/ip' } as const;

  it('are there for root on Linux with iproute2', () => {
    expect(namespaceRefusal(means)).to.equal(null);
  });

  it('are refused with what is missing, and what to do instead', () => {
    const instead = 'use --network proxies.';
    expect(namespaceRefusal({ ...means, platform: 'darwin', userId: 501 })).to.equal(
      `--network namespaces needs Linux, and this is darwin: ${instead}`,
    );
    expect(namespaceRefusal({ ...means, userId: 1000 })).to.equal(
      `--network namespaces needs root, and this is user 1000: ${instead}`,
    );
    expect(namespaceRefusal({ ...means, ip: null })).to.equal(
      `--network namespaces needs the program ip (package iproute2), which is not here: ${instead}`,
    );
  });
});
