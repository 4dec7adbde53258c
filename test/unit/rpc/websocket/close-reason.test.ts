import { expect } from 'chai';
import { reasonOfClose, reasonOfError } from '../../../../src/rpc/websocket/close-reason.ts';

function errno(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code });
}

describe('the reason of a socket error', () => {
  const kinds = {
    ECONNREFUSED: 'refused',
    ECONNRESET: 'reset',
    EPIPE: 'reset',
    EHOSTUNREACH: 'unreachable',
    ENETUNREACH: 'unreachable',
    ENOTFOUND: 'unreachable',
    ETIMEDOUT: 'timeout',
    EMFILE: 'exhausted',
    ENFILE: 'exhausted',
    EADDRNOTAVAIL: 'exhausted',
    ESOMETHINGNEW: 'reset',
  } as const;
  for (const [code, kind] of Object.entries(kinds)) {
    it(`is ${kind} for ${code}`, () => expect(reasonOfError(errno(code)).kind).to.equal(kind));
  }

  it('is timeout for a handshake that took too long', () => {
    expect(reasonOfError(new Error('Opening handshake has timed out')).kind).to.equal('timeout');
  });

  it('is refused for several addresses only when each of them refused', () => {
    const refused = errno('ECONNREFUSED');
    expect(reasonOfError(new AggregateError([refused, refused], 'all')).kind).to.equal('refused');
    expect(reasonOfError(new AggregateError([refused, errno('EHOSTUNREACH')], 'all')).kind).to.equal(
      'unreachable',
    );
  });

  it('is closed with a close frame and reset without one', () => {
    expect(reasonOfClose(1000, 'goodbye', null)).to.deep.equal({ kind: 'closed', detail: 'goodbye' });
    expect(reasonOfClose(1006, '', null).kind).to.equal('reset');
    expect(reasonOfClose(1009, '', null).detail).to.contain('TOO_LARGE');
    expect(reasonOfClose(1006, '', errno('ETIMEDOUT')).kind).to.equal('timeout');
  });
});
