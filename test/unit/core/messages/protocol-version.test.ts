import { expect } from 'chai';
import {
  agreedVersion,
  describeVersions,
  OLDEST_PROTOCOL_VERSION,
  OWN_VERSIONS,
  PROTOCOL_VERSION,
} from '../../../../src/core/messages/protocol-version.ts';

const one = { protocolVersion: 1, oldestProtocolVersion: 1 };
const two = { protocolVersion: 2, oldestProtocolVersion: 1 };
const three = { protocolVersion: 3, oldestProtocolVersion: 2 };

describe('protocol versions', () => {
  it('agree on the newest that both speak, whoever of them dials', () => {
    for (const [a, b, agreed] of [
      [one, one, 1],
      [one, two, 1],
      [two, two, 2],
      [two, three, 2],
      [one, three, null],
    ] as const) {
      expect(agreedVersion(a, b), `${describeVersions(a)} and ${describeVersions(b)}`).to.equal(agreed);
      expect(agreedVersion(b, a), `${describeVersions(b)} and ${describeVersions(a)}`).to.equal(agreed);
    }
  });

  it('are one only where the oldest is left out', () => {
    expect(agreedVersion({ protocolVersion: 2 }, two)).to.equal(2);
    expect(agreedVersion({ protocolVersion: 2 }, one)).to.equal(null);
    expect(describeVersions({ protocolVersion: 2 })).to.equal('2');
    expect(describeVersions(three)).to.equal('2 to 3');
  });

  it('of this code are adjacent, so that no version is skipped in an upgrade', () => {
    expect(OWN_VERSIONS).to.deep.equal({
      protocolVersion: PROTOCOL_VERSION,
      oldestProtocolVersion: OLDEST_PROTOCOL_VERSION,
    });
    expect(OLDEST_PROTOCOL_VERSION).to.equal(Math.max(1, PROTOCOL_VERSION - 1));
  });
});
