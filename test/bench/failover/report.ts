import { formatTable } from '../../../src/cli/table.ts';
import type { Round } from './round.ts';
import type { Summary } from './summary.ts';

const HEADINGS = ['FAULT', 'SYSTEM', 'ROUNDS', 'P50', 'P90', 'MAX', 'TIMES OURS', 'TWO LEADERS AT ONCE'];

const LEGEND = [
  'Time: from the signal (SIGKILL, SIGTERM, SIGSTOP) until etcd shows a successor at the head of the line and that process',
  'itself says that it leads. TIMES OURS: median against median. TWO LEADERS AT ONCE: how long two processes said so, each of',
  'them every 10 ms, and in how many rounds; a stopped leader is woken half a second after its successor leads.',
];

/** The table, what its columns say, and whatever was not as it should be. */
export function renderReport(summaries: readonly Summary[], rounds: readonly Round[]): string {
  const rows = summaries.map((summary) => {
    const { fault, system, failed, tookOverMs, overlapMs, ratio } = summary;
    return [
      fault,
      system,
      failed === 0 ? String(summary.rounds) : `${summary.rounds} (${failed} failed)`,
      duration(tookOverMs?.p50),
      duration(tookOverMs?.p90),
      duration(tookOverMs?.max),
      ratio === null ? '-' : `${ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0)}x`,
      atOnce(overlapMs),
    ];
  });
  const remarks = rounds.flatMap(({ system, fault, from, tookOverMs, remark }) =>
    remark === null
      ? []
      : [`${system}, ${fault} of ${from}, ${duration(tookOverMs ?? undefined)}: ${remark}`],
  );
  return [formatTable(HEADINGS, rows), '', ...LEGEND, ...remarks].join('\n');
}

function atOnce({ max, rounds }: Summary['overlapMs']): string {
  return rounds === 0 ? 'no' : `${duration(max)} at most, in ${rounds} ${rounds === 1 ? 'round' : 'rounds'}`;
}

/** One line while it runs. */
export function renderRound(round: Round): string {
  const { system, fault, from, to, tookOverMs, overlapMs, remark } = round;
  const end = to === null ? 'nobody took over' : `${to} leads after ${duration(tookOverMs ?? undefined)}`;
  const overlap = overlapMs > 0 ? `; two leaders for ${duration(overlapMs)}` : '';
  return `${fault} ${system}: ${from}, ${end}${overlap}${remark === null ? '' : ` [${remark}]`}`;
}

function duration(ms: number | undefined): string {
  if (ms === undefined) return '-';
  return ms < 1_000 ? `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms` : `${(ms / 1_000).toFixed(2)} s`;
}
