import { expect } from 'chai';
import { LastServing } from '../../../../src/core/election/last-serving.ts';
import type { PeerSighting } from '../../../../src/core/election/peer-sighting.ts';

const BROKEN: PeerSighting = { type: 'broken', address: 'rm-1:1', bootNonce: 'one' };

function answered(state: 'serving' | 'suspended' | 'standby', bootNonce = 'one'): PeerSighting {
  return { type: 'answered', bootNonce, state, epoch: 3n };
}

describe('when another process was last seen to serve', () => {
  let last: LastServing;

  beforeEach(() => {
    last = new LastServing();
  });

  it('is its last answer that said so, or the break of the connection over which it had', () => {
    expect(last.of('one')).to.equal(null);
    last.take(answered('serving'), 100);
    last.take(answered('serving'), 600);
    expect(last.of('one')).to.equal(600);
    last.take(BROKEN, 700);
    last.take(BROKEN, 800);
    expect(last.of('one')).to.equal(700);
  });

  it('is no moment at which it was suspended or stood by', () => {
    last.take(answered('serving'), 100);
    last.take(answered('suspended'), 600);
    last.take(BROKEN, 700);
    expect(last.of('one')).to.equal(100);
    last.take(answered('standby', 'two'), 100);
    expect(last.of('two')).to.equal(null);
  });

  it('is forgotten of the oldest of very many', () => {
    for (let process = 0; process <= 100; process++) last.take(answered('serving', `p-${process}`), process);
    expect([last.of('p-0'), last.of('p-1'), last.of('p-100')]).to.deep.equal([null, 1, 100]);
  });
});
