import {
  DRILL_GUARANTEES,
  type DrillVerdict,
  type DrillViolation,
} from '../../src/core/drill/drill-evidence.ts';

/** What came of a run. */
export interface ChaosReport {
  readonly seed: number;
  readonly minutes: number;
  readonly steps: number;
  /** Faults that were done, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  readonly faultsInAll: number;
  /** Faults that were done while another one lasted. */
  readonly overlapped: number;
  readonly refused: number;
  /** Leaders that were confirmed after the first. */
  readonly failovers: number;
  /** How their predecessors' terms ended, by history. */
  readonly endedBy: Readonly<Record<string, number>>;
  readonly longestLeaderlessMs: number;
  readonly requests: { readonly asked: number; readonly served: number; readonly failed: number };
  readonly staleRefused: number;
  /** From the last repair until the cluster was healthy and what waited then was served; null if that never came. */
  readonly convergedMs: number | null;
  readonly guarantees: DrillVerdict['guarantees'];
  readonly judged: DrillVerdict['judged'];
  readonly violations: readonly DrillViolation[];
  /** Where journals and logs are; null when they were not kept. */
  readonly kept: string | null;
}

/** The report for people. */
export function renderChaos(report: ChaosReport): string {
  const { seed, minutes, faults, endedBy, requests, guarantees, violations } = report;
  const counts = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of)
      .map(([what, number]) => `${what} ${number}`)
      .join(', ');
  const lines = [
    `Chaos of ${minutes} min, seed ${seed}`,
    `  faults: ${report.faultsInAll} in ${report.steps} steps, ${report.overlapped} while another one lasted, ${report.refused} refused`,
    ...Object.entries(faults).map(([kind, number]) => `    ${kind.padEnd(32)}${number}`),
    `  failovers: ${report.failovers} (terms ended by: ${counts(endedBy)})`,
    `  longest time without a serving leader: ${Math.round(report.longestLeaderlessMs)} ms`,
    `  requests: ${requests.asked} asked, ${requests.served} served, ${requests.failed} failed`,
    `  stale commands refused: ${report.staleRefused}`,
    report.convergedMs === null
      ? '  it did not converge'
      : `  converged ${(report.convergedMs / 1_000).toFixed(1)} s after the last repair`,
    `  judged: ${counts(report.judged)}`,
    `Guarantees: ${DRILL_GUARANTEES.map((name) => `${name} ${guarantees[name]}`).join(', ')}`,
    violations.length === 0 ? 'No guarantee was violated.' : `${violations.length} violations:`,
    ...violations.flatMap(({ guarantee, rule, detail, places }) => [
      `  ${guarantee} ${rule}: ${detail}`,
      ...places.map((place) => `     ${place}`),
    ]),
  ];
  if (report.kept !== null) lines.push(`Journals, logs and all writes are kept in ${report.kept}`);
  return lines.join('\n');
}
