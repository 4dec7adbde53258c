import { expect } from 'chai';
import { drillJson, renderDrill, roundLine } from '../../../../src/cli/drill/render-drill.ts';
import type { DrillReport, DrillRound } from '../../../../src/core/drill/drill-evidence.ts';
import { summarize } from '../../../../src/core/drill/summary.ts';
import { leaderOf, roundWith } from '../../core/drill/drill-rounds.ts';

function reportOf(rounds: readonly DrillRound[], given: Partial<DrillReport> = {}): DrillReport {
  const held = 'held' as const;
  return {
    ...summarize('kill-leader', rounds),
    guarantees: { G1: held, G2: held, G3: held, G4: held, G5: held, G6: held, G7: held, G8: held, G9: held },
    violations: [],
    judged: { leases: 12 },
    scenarios: [summarize('kill-leader', rounds)],
    perRound: rounds,
    startedWallMs: 0,
    endedWallMs: 1,
    conditions: { etcdMembers: 3 },
    limits: [],
    ...given,
  };
}

describe('a report of a drill', () => {
  it('begins as JSON with the fields that scripts rely on, in one line', () => {
    const text = drillJson(reportOf([roundWith({ leaderlessMs: 15.04, firstGrantMs: 20.06 })]));
    expect(text).to.not.include('\n');
    const parsed = JSON.parse(text) as Record<string, unknown>;
    expect(Object.keys(parsed).slice(0, 11)).to.deep.equal([
      'scenario',
      'rounds',
      'leaderlessMs',
      'firstGrantMs',
      'overlapMs',
      'needlessChanges',
      'sdkErrors',
      'staleRefused',
      'leasesLost',
      'doubleGrants',
      'requestsLost',
    ]);
    expect(parsed['leaderlessMs']).to.deep.equal({ p50: 15, p90: 15, p99: 15, max: 15 });
    expect(parsed['firstGrantMs']).to.deep.equal({ p50: 20.1, p90: 20.1, p99: 20.1, max: 20.1 });
    expect(parsed['guarantees']).to.include({ G1: 'held', G9: 'held' });
  });

  it('keeps the shape of JSON where no leader was lost', () => {
    const stayed = roundWith({ confirmMs: null, leaderlessMs: null, firstGrantMs: null });
    const parsed = JSON.parse(drillJson(reportOf([stayed]))) as Record<string, unknown>;
    expect(parsed['leaderlessMs']).to.deep.equal({ p50: null, p90: null, p99: null, max: null });
  });

  it('tells each mark after the fault, why the term ended, and the sums', () => {
    const marks = [
      { atWallMs: 1_000, kind: 'fault', lane: 'drill', label: 'SIGKILL to rm-1' },
      { atWallMs: 1_010.25, kind: 'leader', lane: 'rm-2', label: 'rm-2 is confirmed, epoch 4' },
    ] as const;
    const text = renderDrill(reportOf([roundWith({ marks })]));
    expect(text).to.include('+0.0 ms  SIGKILL to rm-1');
    expect(text).to.match(/\+10\.\d ms {2}rm-2 is confirmed, epoch 4/);
    expect(text).to.include('deposed: nobody listens there any more');
    expect(text).to.include('G1 held, G2 held');
    expect(text).to.match(/^kill-leader +1 +15\.0 .*20\.0/m);
  });

  it('names the rounds that fell back to the TTL, and what broke, with its places', () => {
    const rounds = [roundWith(), roundWith({ round: 2, fellBackToTtl: true })];
    const violations = [
      { guarantee: 'G3', rule: 'two-users', detail: 'Two had it.', places: ['te-1/0'], round: 2 } as const,
    ];
    const text = renderDrill(reportOf(rounds, { violations }));
    expect(text).to.include('Rounds that fell back to the TTL of the lease: 2');
    expect(text).to.include('G3 two-users (round 2): Two had it.\n     te-1/0');
  });

  it('says what the figures do not', () => {
    expect(renderDrill(reportOf([roundWith()], { limits: ['All on one machine.'] }))).to.match(
      /\nAll on one machine\.$/,
    );
  });

  it('has one line for a round while the drill runs', () => {
    const trouble = roundWith({ round: 3, fellBackToTtl: true, staleRefused: 2, overlapMs: 1.5 });
    expect(roundLine(trouble, 9)).to.equal(
      'round 3 of 9, SIGKILL to rm-1, rm-2 serves after 15.0 ms, first slot after 20.0 ms, ' +
        'FELL BACK TO THE TTL, 2 stale commands refused, 1.5 ms of overlap',
    );
    const stayed = roundWith({
      leaderAfter: leaderOf('rm-1', 3n),
      confirmMs: null,
      leaderlessMs: 40,
      firstGrantMs: null,
    });
    expect(roundLine(stayed, 9)).to.include('rm-1 leads on, not serving for 40.0 ms');
  });
});
