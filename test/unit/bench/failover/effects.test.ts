import { expect } from 'chai';
import { effectsOfClaims, ordersOf } from '../../../bench/failover/effects.ts';

const effect = (epoch: bigint, atMs: number) => ({ epoch, atMs });

describe('the effects around a change of leader', () => {
  it('are late when they are of an older one and came after etcd showed the new one', () => {
    const effects = [effect(5n, 10), effect(5n, 99), effect(9n, 130), effect(5n, 101), effect(5n, 300)];
    expect(ordersOf(effects, 9n, 100)).to.deep.equal({ firstAtMs: 130, accepted: 5, late: 2 });
  });

  it('begin with the first of the new one, in whatever order they are told', () => {
    expect(ordersOf([effect(9n, 150), effect(9n, 140)], 9n, 100).firstAtMs).to.equal(140);
    expect(ordersOf([effect(5n, 50)], 9n, 100)).to.deep.equal({ firstAtMs: null, accepted: 1, late: 0 });
  });

  it('are the claims of candidates where nobody fences, and nothing else that is reported', () => {
    const effects = effectsOfClaims(
      [
        { candidate: 'a', kind: 'leads', atMs: 10 },
        { candidate: 'a', kind: 'stopped', atMs: 11 },
        { candidate: 'b', kind: 'leads', atMs: 20 },
        { candidate: 'a', kind: 'woken', atMs: 25 },
        { candidate: 'a', kind: 'leads', atMs: 30 },
        { candidate: 'a', kind: 'follows', atMs: 31 },
      ],
      { candidate: 'a', epoch: 5n },
      9n,
    );
    expect(effects).to.deep.equal([effect(5n, 10), effect(9n, 20), effect(5n, 30)]);
    expect(ordersOf(effects, 9n, 15).late).to.equal(1);
  });
});
