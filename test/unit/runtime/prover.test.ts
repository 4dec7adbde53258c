import { expect } from 'chai';
import { secretProver } from '../../../src/runtime/prover.ts';

describe('the proof of a server', () => {
  const statement = {
    cluster: 'c',
    serverRole: 'resource-manager',
    serverId: 'rm-1',
    serverInstance: 'boot',
    clientNonce: 'n1',
    serverNonce: 'n2',
  };

  it('is accepted by whoever knows the same secret', () => {
    expect(secretProver('s').verify(statement, secretProver('s').prove(statement))).to.equal(true);
  });

  it('is refused when the secret, a nonce or the name differs, or when it is missing', () => {
    const proof = secretProver('s').prove(statement);
    expect(secretProver('t').verify(statement, proof)).to.equal(false);
    expect(secretProver('s').verify({ ...statement, clientNonce: 'n3' }, proof)).to.equal(false);
    expect(secretProver('s').verify({ ...statement, serverId: 'rm-2' }, proof)).to.equal(false);
    expect(secretProver('s').verify(statement, null)).to.equal(false);
    expect(secretProver('s').verify(statement, '')).to.equal(false);
  });
});
