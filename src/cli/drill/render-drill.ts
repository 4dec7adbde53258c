import {
  DRILL_GUARANTEES,
  type Distribution,
  type DrillReport,
  type DrillRound,
  type DrillSummary,
  type DrillViolation,
} from '../../core/drill/drill-evidence.ts';
import { toJson } from '../../rpc/wire-format.ts';
import { formatTable } from '../table.ts';

const NOTHING: Record<keyof Distribution, null> = { p50: null, p90: null, p99: null, max: null };

/** One line for a round, while the drill runs. */
export function roundLine(round: DrillRound, ofRounds: number): string {
  const parts = [`round ${round.round} of ${ofRounds}`, round.fault];
  if (round.firstGrantMs === null) {
    parts.push(`${round.leaderBefore.resourceManagerId} leads on`);
    if (round.leaderlessMs !== null) parts.push(`not serving for ${ms(round.leaderlessMs)}`);
  } else {
    parts.push(
      `${round.leaderAfter.resourceManagerId} serves after ${ms(round.leaderlessMs)}`,
      `first slot after ${ms(round.firstGrantMs)}`,
    );
  }
  if (round.fellBackToTtl) parts.push('FELL BACK TO THE TTL');
  const trouble = troubleOf(round);
  if (trouble !== '') parts.push(trouble);
  return parts.join(', ');
}

/** The report for people: a timeline for each round, the table, the verdict. */
export function renderDrill(report: DrillReport): string {
  const conditions = Object.entries(report.conditions).map(([name, value]) => `${name} ${value}`);
  const { scenarios } = report;
  const rows = scenarios.length > 1 ? [...scenarios, report] : scenarios;
  const lines = [
    `Drill ${report.scenario}: ${report.rounds} ${report.rounds === 1 ? 'round' : 'rounds'}`,
    `  ${conditions.join(', ')}`,
    '',
    ...report.perRound.flatMap(timeline),
    ...summaryTables(rows),
    '',
    `Guarantees: ${DRILL_GUARANTEES.map((name) => `${name} ${report.guarantees[name]}`).join(', ')}`,
  ];
  if (report.fellBackToTtl > 0) {
    const named = report.perRound.filter(({ fellBackToTtl }) => fellBackToTtl).map(({ round }) => round);
    lines.push(`Rounds that fell back to the TTL of the lease: ${named.join(', ')}`);
  }
  if (report.violations.length > 0) {
    lines.push(`${report.violations.length} violations:`, ...report.violations.flatMap(violationLines));
  }
  if (report.limits.length > 0) lines.push('', ...report.limits);
  return lines.join('\n');
}

/** The report as one line of JSON; a percentile of nothing is null. */
export function drillJson(report: DrillReport): string {
  const flat = (summary: DrillSummary): Record<string, unknown> => ({
    ...summary,
    leaderlessMs: rounded(summary.leaderlessMs),
    firstGrantMs: rounded(summary.firstGrantMs),
    overlapMs: { max: tenth(summary.overlapMs.max) },
  });
  return toJson({ ...flat(report), scenarios: report.scenarios.map(flat) });
}

function timeline(round: DrillRound): string[] {
  const { faultAtWallMs, ended, fellBackToTtl } = round;
  const lines = [`Round ${round.round}, ${round.scenario}: ${round.waitingAtFault} requests wait`];
  for (const { atWallMs, label } of round.marks) {
    const after = `+${(atWallMs - faultAtWallMs).toFixed(1)} ms`;
    lines.push(`${after.padStart(14)}  ${label}`);
  }
  if (ended !== null) lines.push(`${''.padStart(14)}  ${ended.reason}: ${ended.evidence}`);
  if (fellBackToTtl) lines.push(`${''.padStart(14)}  the term ended only by the TTL of its lease`);
  const trouble = troubleOf(round);
  if (trouble !== '') lines.push(`${''.padStart(14)}  ${trouble}`);
  return [...lines, ''];
}

function troubleOf(round: DrillRound): string {
  const counts: readonly (readonly [number, string])[] = [
    [round.needlessChanges, 'needless changes of leader'],
    [round.sdkErrors, 'errors at the SDK'],
    [round.leasesLost, 'leases lost'],
    [round.requestsLost, 'requests lost'],
    [round.doubleGrants, 'slots granted twice'],
    [round.staleRefused, 'stale commands refused'],
    [tenth(round.overlapMs), 'ms of overlap'],
  ];
  return counts
    .filter(([number]) => number > 0)
    .map(([number, what]) => `${number} ${what}`)
    .join(', ');
}

function summaryTables(rows: readonly DrillSummary[]): string[] {
  const times = rows.map((row) => [
    row.scenario,
    String(row.rounds),
    ...percentiles(row.leaderlessMs),
    ...percentiles(row.firstGrantMs),
    String(row.fellBackToTtl),
  ]);
  const counts = rows.map((row) => [
    row.scenario,
    String(row.needlessChanges),
    String(row.sdkErrors),
    String(row.staleRefused),
    String(row.leasesLost),
    String(row.doubleGrants),
    String(row.requestsLost),
    tenth(row.overlapMs.max).toFixed(1),
  ]);
  return [
    'Time without a serving leader, and to the first slot of a request that waited, in ms:',
    ...formatTable(
      ['SCENARIO', 'ROUNDS', 'P50', 'P90', 'P99', 'MAX', 'SLOT P50', 'P90', 'P99', 'MAX', 'BY TTL'],
      times,
    ).split('\n'),
    '',
    ...formatTable(
      [
        'SCENARIO',
        'NEEDLESS',
        'SDK ERRORS',
        'STALE REFUSED',
        'LEASES LOST',
        'TWICE',
        'REQUESTS LOST',
        'OVERLAP MS',
      ],
      counts,
    ).split('\n'),
  ];
}

function percentiles(distribution: Distribution | null): string[] {
  if (distribution === null) return ['-', '-', '-', '-'];
  return [distribution.p50, distribution.p90, distribution.p99, distribution.max].map((value) =>
    value.toFixed(1),
  );
}

function violationLines({ guarantee, rule, detail, places, round }: DrillViolation): string[] {
  const when = round === null ? '' : ` (round ${round})`;
  return [`  ${guarantee} ${rule}${when}: ${detail}`, ...places.map((place) => `     ${place}`)];
}

function rounded(distribution: Distribution | null): Record<keyof Distribution, number | null> {
  if (distribution === null) return NOTHING;
  const { p50, p90, p99, max } = distribution;
  return { p50: tenth(p50), p90: tenth(p90), p99: tenth(p99), max: tenth(max) };
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}

function ms(value: number | null): string {
  return value === null ? '?' : `${value.toFixed(1)} ms`;
}
