import { expect } from 'chai';
import { isIPv4 } from 'node:net';
import {
  freeSubnet,
  makerOf,
  networkPlan,
  NOBODY,
} from '../../../../../src/cli/drill/network/network-plan.ts';

/** The longest name of a link that Linux takes. */
const LONGEST_LINK = 15;
const LARGEST_PID = 4_194_304;

describe('the plan of a network of namespaces', () => {
  const names = ['etcd-1', 'rm-1', 'rm-2', 'te-1'];
  const plan = networkPlan(LARGEST_PID, '10.200.7.0', names);

  it('gives each node names and addresses that nobody else has', () => {
    expect(plan.nodes.map(({ name }) => name)).to.deep.equal(names);
    for (const key of ['namespace', 'address', 'hardwareAddress', 'port'] as const) {
      expect(new Set(plan.nodes.map((node) => node[key])).size, key).to.equal(names.length);
    }
    expect(plan.nodes.map(({ address }) => address)).to.not.include(plan.ownAddress);
    expect(plan.nodes.map(({ hardwareAddress }) => hardwareAddress)).to.not.include(NOBODY);
    expect(plan.nodes.map(({ namespace }) => namespace)).to.not.include(plan.hub);
  });

  it('keeps all addresses in its subnet, even for the most nodes that there may be', () => {
    const many = Array.from({ length: 250 }, (_, index) => `node-${index}`);
    const { nodes, ownAddress } = networkPlan(1, '10.200.7.0', many);
    for (const address of [ownAddress, ...nodes.map((node) => node.address)]) {
      expect(isIPv4(address) && address.startsWith('10.200.7.'), address).to.equal(true);
    }
    for (const { hardwareAddress } of nodes) expect(hardwareAddress).to.match(/^02(:[0-9a-f]{2}){5}$/);
    expect(() => networkPlan(1, '10.200.7.0', [...many, 'one-more'])).to.throw('251 nodes are too many');
  });

  it('names links so that Linux takes them, with the number of the process', () => {
    for (const link of [plan.ownLink, ...plan.nodes.map(({ port }) => port)]) {
      expect(link.length, link).to.be.at.most(LONGEST_LINK);
    }
    for (const name of [plan.ownLink, plan.hub, ...plan.nodes.map(({ namespace }) => namespace)]) {
      expect(makerOf(name), name).to.equal(LARGEST_PID);
    }
  });

  it('takes nothing for its own that it has not named', () => {
    for (const name of ['eth0', 'qm', 'qm12a', 'qm12-1', 'quartermaster-hub', 'my-quartermaster-1-hub', '']) {
      expect(makerOf(name), name).to.equal(null);
    }
  });
});

describe('the subnet of a network of namespaces', () => {
  it('is the first free one from where the draw begins, and goes round at the end', () => {
    expect(freeSubnet([], 0)).to.equal('10.200.0.0');
    expect(freeSubnet(['10.200.0.0/24'], 0)).to.equal('10.200.1.0');
    expect(freeSubnet([], 0.999_999)).to.equal('10.207.255.0');
    expect(freeSubnet(['10.207.255.0/24'], 0.999_999)).to.equal('10.200.0.0');
  });

  it('touches no network that is in use, be it larger or one address', () => {
    expect(freeSubnet(['10.200.0.0/16'], 0)).to.equal('10.201.0.0');
    expect(freeSubnet(['10.200.0.77'], 0)).to.equal('10.200.1.0');
    expect(freeSubnet(['10.200.0.128/25', '10.200.1.0/30'], 0)).to.equal('10.200.2.0');
    expect(freeSubnet(['10.0.0.0/8'], 0)).to.equal(null);
  });

  it('does not take a default route or anything else for a network in use', () => {
    expect(freeSubnet(['default', '0.0.0.0/0', 'local', '192.168.1.0/24'], 0)).to.equal('10.200.0.0');
  });
});
