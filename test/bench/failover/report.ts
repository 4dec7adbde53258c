import { formatTable } from '../../../src/cli/table.ts';
import type { Round } from './round.ts';
import type { Summary } from './summary.ts';

const HEADINGS = [
  'FAULT',
  'SYSTEM',
  'ROUNDS',
  'P50',
  'P90',
  'MAX',
  'TIMES OURS',
  'FIRST EFFECT',
  'TWO LEADERS',
  'LATE EFFECTS',
];

const LEGEND = [
  'P50, P90, MAX: from the signal (SIGKILL, SIGTERM, SIGSTOP) until etcd shows a successor first in line and its process says',
  'that it leads. TIMES OURS compares P50. FIRST EFFECT (P50): until the successor has done something: quartermaster has given',
  'a slot to a job that waits; the others have nobody to order about, so to say that they lead is what they do.',
  'TWO LEADERS: how long two processes said so at once, at most, and in how many rounds; each says it every 10 ms, and a stopped',
  'one is woken half a second after its successor leads. LATE EFFECTS: what the old leader did after etcd showed the next one',
  'first, and was accepted, of all effects: by the task executor, which is fenced; by whoever reads "I lead", who is not.',
];

/** The table, what its columns say, and whatever was not as it should be. */
export function renderReport(summaries: readonly Summary[], rounds: readonly Round[]): string {
  const rows = summaries.map((summary) => {
    const { fault, system, failed, tookOverMs, firstEffectMs, effects, overlapMs, ratio } = summary;
    return [
      fault,
      system,
      failed === 0 ? String(summary.rounds) : `${summary.rounds} (${failed} failed)`,
      duration(tookOverMs?.p50),
      duration(tookOverMs?.p90),
      duration(tookOverMs?.max),
      ratio === null ? '-' : `${ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0)}x`,
      duration(firstEffectMs?.p50),
      atOnce(overlapMs),
      `${effects.late} of ${effects.accepted}`,
    ];
  });
  const remarks = rounds.flatMap(({ system, fault, from, tookOverMs, remark }) =>
    remark === null
      ? []
      : [`${system}, ${fault} of ${from}, ${duration(tookOverMs ?? undefined)}: ${remark}`],
  );
  return [
    formatTable(HEADINGS, rows),
    '',
    ...LEGEND,
    '',
    ...(remarks.length > 0 ? remarks : [allWell(rounds)]),
  ].join('\n');
}

function allWell(rounds: readonly Round[]): string {
  const terms = rounds.filter(({ termEnded }) => termEnded !== null).length;
  return `All ${terms} terms of quartermaster ended as they should by its history: none waited for its lease.`;
}

function atOnce({ max, rounds }: Summary['overlapMs']): string {
  return rounds === 0 ? 'no' : `${duration(max)} in ${rounds}`;
}

/** One line while it runs. */
export function renderRound(round: Round): string {
  const { system, fault, from, to, tookOverMs, overlapMs, termEnded, remark } = round;
  const end = to === null ? 'nobody took over' : `${to} leads after ${duration(tookOverMs ?? undefined)}`;
  const overlap = overlapMs > 0 ? `; two leaders for ${duration(overlapMs)}` : '';
  return `${fault} ${system}: ${from}, ${end}${overlap}${termEnded === null ? '' : ` (${termEnded})`}${remark === null ? '' : ` [${remark}]`}`;
}

function duration(ms: number | undefined): string {
  if (ms === undefined) return '-';
  return ms < 1_000 ? `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms` : `${(ms / 1_000).toFixed(2)} s`;
}
