import { expect } from 'chai';
import { DeathEvidence } from '../../../../src/core/election/death-evidence.ts';
import { OWN_VERSIONS } from '../../../../src/core/messages/protocol-version.ts';
import type { CandidateValue, LineEntry } from '../../../../src/core/election/election-events.ts';
import type { BootNonce, ResourceManagerId } from '../../../../src/core/ids.ts';

const OWN = 'own';
const HEAD = candidate('rm-1', 'a:1', 'first');
const OTHER = candidate('rm-2', 'b:1', 'second');

function candidate(name: string, address: string, nonce: string): CandidateValue {
  return {
    resourceManagerId: name as ResourceManagerId,
    address,
    bootNonce: nonce as BootNonce,
    version: '0.1.0',
    ...OWN_VERSIONS,
  };
}

function line(...candidates: CandidateValue[]): LineEntry[] {
  return candidates.map((each, index) => ({
    key: each.bootNonce,
    createRevision: BigInt(index + 1),
    candidate: each,
  }));
}

describe('evidence of a death', () => {
  let evidence: DeathEvidence;

  function reached(address: string, bootNonce: string): string | null {
    return evidence.take({ type: 'reached', address, bootNonce });
  }
  function broken(address: string, bootNonce: string): void {
    evidence.take({ type: 'broken', address, bootNonce });
  }
  function refused(address: string): void {
    evidence.take({ type: 'refused', address });
  }

  beforeEach(() => {
    evidence = new DeathEvidence(OWN);
    evidence.follow(line(HEAD, OTHER));
  });

  it('is a refusal after the connection to that very process broke', () => {
    reached('a:1', 'first');
    broken('a:1', 'first');
    expect(evidence.proofOf(HEAD), 'a break alone').to.equal(null);
    refused('a:1');
    expect(evidence.proofOf(HEAD)).to.be.a('string');
    expect(evidence.proofOf(OTHER)).to.equal(null);
  });

  it('is no refusal by an address at which that process was never met', () => {
    refused('a:1');
    expect(evidence.proofOf(HEAD)).to.equal(null);
    reached('a:1', 'another');
    broken('a:1', 'another');
    refused('a:1');
    expect(evidence.proofOf(HEAD)).to.equal(null);
  });

  it('is no refusal while a connection to it stands', () => {
    reached('a:1', 'first');
    refused('a:1');
    expect(evidence.proofOf(HEAD)).to.equal(null);
  });

  it('is another process at its address that nobody had seen before the break', () => {
    reached('a:1', 'first');
    broken('a:1', 'first');
    expect(reached('a:1', 'restarted')).to.equal(null);
    expect(evidence.proofOf(HEAD)).to.be.a('string');
  });

  it('is the restarted process also when that stands in line by then', () => {
    reached('a:1', 'first');
    broken('a:1', 'first');
    evidence.follow(line(HEAD, OTHER, candidate('rm-1', 'a:1', 'restarted')));
    reached('a:1', 'restarted');
    expect(evidence.proofOf(HEAD)).to.be.a('string');
  });

  it('is no candidate that was in line when the connection broke, which is a wrong setting, named once', () => {
    reached('a:1', 'first');
    broken('a:1', 'first');
    expect(reached('a:1', 'second')).to.include('a:1');
    expect(evidence.proofOf(HEAD)).to.equal(null);
    broken('a:1', 'second');
    expect(reached('a:1', 'first')).to.equal(null);
    broken('a:1', 'first');
    expect(reached('a:1', 'second')).to.equal(null);
    expect(evidence.proofOf(HEAD)).to.equal(null);
  });

  it('is not the own process', () => {
    reached('a:1', 'first');
    broken('a:1', 'first');
    expect(reached('a:1', OWN)).to.be.a('string');
    expect(evidence.proofOf(HEAD)).to.equal(null);
    const own = candidate('rm-9', 'c:1', OWN);
    evidence.follow(line(HEAD, own));
    reached('c:1', OWN);
    broken('c:1', OWN);
    refused('c:1');
    expect(evidence.proofOf(own)).to.equal(null);
  });

  it('remembers who was in line before, for one who queues again may be missing at the break', () => {
    reached('a:1', 'first');
    evidence.follow(line(HEAD));
    broken('a:1', 'first');
    reached('a:1', 'second');
    expect(evidence.proofOf(HEAD)).to.equal(null);
  });

  it('remembers those in line however many others have come and gone', () => {
    reached('a:1', 'first');
    for (let round = 0; round < 1_100; round++) {
      evidence.follow(line(HEAD, OTHER, candidate('rm-3', 'c:1', `nonce-${round}`)));
    }
    broken('a:1', 'first');
    reached('a:1', 'second');
    expect(evidence.proofOf(HEAD)).to.equal(null);
  });

  it('is withdrawn when the process is reached again', () => {
    reached('a:1', 'first');
    broken('a:1', 'first');
    refused('a:1');
    reached('a:1', 'first');
    expect(evidence.proofOf(HEAD)).to.equal(null);
  });

  it('is forgotten with the address when it leaves the line', () => {
    reached('a:1', 'first');
    broken('a:1', 'first');
    evidence.follow(line(OTHER));
    evidence.follow(line(HEAD, OTHER));
    refused('a:1');
    expect(evidence.proofOf(HEAD)).to.equal(null);
  });
});
