import { expect } from 'chai';
import type { StoreEvent } from '../../../../src/core/audit/store-log.ts';
import { ClusterKeys } from '../../../../src/ha/keys.ts';
import { ElectionTally } from '../../../bench/cluster/election-tally.ts';
import { suspensionsIn } from '../../../bench/cluster/suspensions.ts';

const keys = new ClusterKeys('c');

function event(kind: 'put' | 'delete', key: string, value = ''): StoreEvent {
  const at = { revision: 9n, createRevision: 0n, modRevision: 9n, lease: 0n, receivedWallMs: 0 };
  return { ...at, kind, key, value };
}

function row(epoch: bigint, reason: string | null): StoreEvent {
  const ended = reason === null ? null : { at: '', reason, evidence: 'it was silent', by: 'rm-2' };
  const value = {
    resourceManagerId: 'rm-1',
    leaderSessionId: null,
    generation: 1,
    epoch: String(epoch),
    confirmedAt: null,
    ended,
  };
  return event('put', keys.historyRow(1, epoch), JSON.stringify(value));
}

describe('the tally of an election', () => {
  it('counts confirms, and ends by their reasons', () => {
    const tally = new ElectionTally(keys);
    tally.take([row(5n, null)], 100);
    tally.take([row(5n, 'deposed'), row(7n, null)], 200);
    tally.take([row(7n, 'resigned'), row(8n, null)], 300);
    expect(tally.confirmed.map(({ epoch, atWallMs }) => [epoch, atWallMs])).to.deep.equal([
      [5n, 100],
      [7n, 200],
      [8n, 300],
    ]);
    expect(tally.ended).to.have.length(2);
    expect(tally.depositions.map(({ epoch }) => epoch)).to.deep.equal([5n]);
  });

  it('counts a challenge as answered unless it goes with the term that it was about', () => {
    const tally = new ElectionTally(keys);
    const challenge = keys.challenge(1, 5n);
    tally.take([row(5n, null)], 0);
    tally.take([event('put', challenge, '{}')], 0);
    tally.take([event('delete', challenge)], 0);
    expect([tally.challenges, tally.answered]).to.deep.equal([1, 1]);
    tally.take([event('put', challenge, '{}')], 0);
    tally.take([event('delete', challenge), row(5n, 'deposed'), row(7n, null)], 0);
    expect([tally.challenges, tally.answered]).to.deep.equal([2, 1]);
  });
});

describe('the suspensions in a log', () => {
  const line = (second: number, name: string): string =>
    JSON.stringify({ time: `2026-01-01T00:00:0${second}.000Z`, level: 'info', event: name });
  const at = (second: number): number => Date.parse(`2026-01-01T00:00:0${second}.000Z`);

  it('end when the leader serves again, with its term, or not at all', () => {
    const log = [
      line(1, 'serving'),
      line(2, 'suspended'),
      line(2, 'suspended'),
      line(3, 'serving'),
      '{"event":"suspended", cut off',
      line(4, 'suspended'),
      line(6, 'term-ended'),
      line(7, 'suspended'),
    ].join('\n');
    expect(suspensionsIn(log)).to.deep.equal([
      { fromWallMs: at(2), untilWallMs: at(3) },
      { fromWallMs: at(4), untilWallMs: at(6) },
      { fromWallMs: at(7), untilWallMs: null },
    ]);
  });
});
