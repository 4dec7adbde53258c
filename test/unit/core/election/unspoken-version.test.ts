import { expect } from 'chai';
import { PROTOCOL_VERSION } from '../../../../src/core/messages/protocol-version.ts';
import { ElectionRig, entry } from '../../../support/election-rig.ts';

const NEXT = { protocolVersion: PROTOCOL_VERSION + 1, oldestProtocolVersion: PROTOCOL_VERSION };
const TOO_FAR = { protocolVersion: PROTOCOL_VERSION + 2, oldestProtocolVersion: PROTOCOL_VERSION + 1 };

describe('a line with other protocol versions in it', () => {
  let rig: ElectionRig;

  beforeEach(() => {
    rig = new ElectionRig();
    rig.send({ type: 'start' });
  });

  const errors = (): string[] => rig.all('log').flatMap((log) => (log.level === 'error' ? [log.event] : []));

  it('is joined behind an adjacent one', () => {
    rig.observe([entry('other', 1n, 'rm-2', NEXT)]);
    expect(rig.all('openCandidacy')).to.have.length(1);
    expect(errors()).to.deep.equal([]);
  });

  it('is not joined behind one too far, which people are told once, with the versions of both', () => {
    rig.observe([entry('other', 1n, 'rm-2', TOO_FAR)]);
    rig.observe([entry('other', 1n, 'rm-2', TOO_FAR)]);
    rig.pass(10_000);
    expect(rig.all('openCandidacy')).to.deep.equal([]);
    expect(errors()).to.deep.equal(['UNSUPPORTED_VERSION: does not join the line']);
    const told = rig.all('log').find(({ level }) => level === 'error');
    expect(told?.fields['detail']).to.equal(
      `rm-2 (0.1.0) in line speaks protocol version ${PROTOCOL_VERSION + 1} to ${PROTOCOL_VERSION + 2}, this process ${PROTOCOL_VERSION}`,
    );
  });

  it('is joined once those too far have left it', () => {
    rig.observe([entry('other', 1n, 'rm-2', TOO_FAR)]);
    rig.observe([]);
    expect(rig.all('openCandidacy')).to.have.length(1);
  });

  it('is left by whoever finds one too far ahead, and kept by whoever stands before it', () => {
    rig.queue(entry('other', 1n, 'rm-2', TOO_FAR));
    expect(rig.last('release').ending).to.include({
      reason: 'protocol version not supported',
      granted: false,
    });
    const other = new ElectionRig();
    other.lead();
    other.observe([other.own(), entry('late', other.epoch + 1n, 'rm-3', TOO_FAR)]);
    expect(other.all('release')).to.deep.equal([]);
  });
});
