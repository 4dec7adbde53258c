import { expect } from 'chai';
import { EndpointRing } from '../../../src/ha/endpoint-ring.ts';
import { SimulatedEtcd } from '../../simulation/simulated-etcd.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';

describe('endpoint ring', () => {
  const etcd = new SimulatedEtcd({ clock: new VirtualClock() });

  it('begins with the endpoint that answered last', () => {
    const store = etcd.connect('rm-1');
    const ring = new EndpointRing(store);
    expect(ring.after(null)).to.equal(store.endpoints[0]);
    ring.prefer(store.endpoints[2]!);
    expect(ring.after(null)).to.equal(store.endpoints[2]);
  });

  it('turns from one that does not answer to each of the others, whoever answers somebody else meanwhile', () => {
    const store = etcd.connect('rm-1');
    const ring = new EndpointRing(store);
    const first = ring.after(null);
    ring.prefer(store.endpoints[1]!);
    const second = ring.after(first);
    ring.prefer(store.endpoints[0]);
    const third = ring.after(second);
    expect(new Set([first, second, third]).size).to.equal(3);
    expect(ring.after(third)).to.equal(first);
  });

  it('has nowhere else to turn with a single endpoint', () => {
    const store = etcd.connect('rm-1', ['etcd-1']);
    const ring = new EndpointRing(store);
    expect(ring.after(ring.after(null))).to.equal(store.endpoints[0]);
  });
});
