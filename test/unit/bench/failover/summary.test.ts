import { expect } from 'chai';
import { renderReport } from '../../../bench/failover/report.ts';
import type { Round } from '../../../bench/failover/round.ts';
import { summarize } from '../../../bench/failover/summary.ts';
import type { Fault } from '../../../bench/failover/system.ts';
import { countsFrom } from '../../../bench/failover/counts.ts';

function round(system: string, fault: Fault, tookOverMs: number | null, more: Partial<Round> = {}): Round {
  return {
    system,
    fault,
    from: 'x',
    to: 'y',
    tookOverMs,
    inEtcdMs: tookOverMs,
    firstEffectMs: tookOverMs,
    effects: { accepted: 5, late: 0 },
    overlapMs: 0,
    termEnded: null,
    remark: null,
    ...more,
  };
}

const ROUNDS = [
  ...[30, 10, 20, 40, 50, 60, 70, 80, 90, 400].map((ms) => round('ours', 'crash', ms)),
  round('other', 'crash', 2_000, { overlapMs: 3, effects: { accepted: 7, late: 2 } }),
  round('other', 'crash', 3_000, { overlapMs: 7 }),
  round('other', 'crash', null, { to: null }),
  round('other', 'pause', 500),
];

describe('the summary of rounds', () => {
  const summaries = summarize(ROUNDS, ['ours', 'other']);

  it('has the nearest rank of the times, by fault and system', () => {
    expect(summaries.map(({ fault, system }) => `${fault} ${system}`)).to.deep.equal([
      'crash ours',
      'crash other',
      'pause other',
    ]);
    expect(summaries[0]).to.deep.include({
      rounds: 10,
      failed: 0,
      tookOverMs: { p50: 50, p90: 90, max: 400 },
      overlapMs: { max: 0, rounds: 0 },
      ratio: 1,
    });
  });

  it('counts rounds without a successor as failed, and in no quantile', () => {
    expect(summaries[1]).to.deep.include({ rounds: 3, failed: 1, overlapMs: { max: 7, rounds: 2 } });
    expect(summaries[1]).to.deep.include({
      effects: { accepted: 17, late: 2 },
      firstEffectMs: { p50: 2_000 },
    });
    expect(summaries[1]?.tookOverMs).to.deep.equal({ p50: 2_000, p90: 3_000, max: 3_000 });
    expect(summarize([round('ours', 'crash', null)], ['ours'])[0]?.tookOverMs).to.equal(null);
  });

  it('compares the medians under one fault with those of the first system, where both have one', () => {
    expect(summaries.map(({ ratio }) => ratio)).to.deep.equal([1, 40, null]);
  });

  it('is printed as a table that says which rounds failed and how long two led, with each remark', () => {
    const remarked = round('ours', 'pause', 9_800, { remark: 'the lease ran out' });
    const text = renderReport(summarize([...ROUNDS, remarked], ['ours', 'other']), [...ROUNDS, remarked]);
    const rows = text.split('\n').map((line) => line.split(/ {2,}/));
    expect(rows[2]).to.deep.equal([
      'crash',
      'other',
      '3 (1 failed)',
      '2.00 s',
      '3.00 s',
      '3.00 s',
      '40x',
      '2.00 s',
      '7.0 ms in 2',
      '2 of 17',
    ]);
    const well = renderReport(summaries, [round('ours', 'crash', 5, { termEnded: 'deposed' }), ...ROUNDS]);
    expect(well).to.contain('All 1 terms of quartermaster ended as they should');
    expect(text).not.to.contain('ended as they should');
    expect(text).to.contain('ours, pause of x, 9.80 s: the lease ran out');
  });
});

describe('the numbers of rounds', () => {
  it('are 15 and 2 unless given', () => {
    expect(countsFrom({})).to.deep.equal({ rounds: 15, etcdctlRounds: 2 });
    expect(countsFrom({ ROUNDS: '3', ETCDCTL_ROUNDS: '0' })).to.deep.equal({ rounds: 3, etcdctlRounds: 0 });
  });

  it('are refused by name when they are none', () => {
    expect(() => countsFrom({ ROUNDS: '0' })).to.throw(
      'ROUNDS must be a whole number from 1 to 1000, but is "0".',
    );
    for (const text of ['', 'many', '1.5', '-1', '1e3', '5000']) {
      expect(() => countsFrom({ ETCDCTL_ROUNDS: text }), text).to.throw('ETCDCTL_ROUNDS must be');
    }
  });
});
