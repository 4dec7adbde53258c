import type { AuditVerdict } from '../../core/audit/audit.ts';
import type { Violation } from '../../core/audit/violation.ts';

/** A verdict with what was read for it. */
export interface AuditReport extends Omit<AuditVerdict, 'confirmed'> {
  readonly cluster: string;
  /** Revision of etcd that the verdict is about. */
  readonly revision: bigint;
  /** The writes that etcd still had: those after `after`, up to `through`. */
  readonly writes: { readonly after: bigint; readonly through: bigint; readonly count: number };
  readonly journals: {
    readonly files: number;
    readonly lines: number;
    readonly repeatedLines: number;
    readonly tornLines: number;
    readonly unreadableLines: number;
    readonly toleranceMs: number;
  } | null;
}

/** The report for people: what was judged, what is beyond judgement, and each violation. */
export function formatAudit(report: AuditReport): string {
  const { cluster, revision, writes, judged, violations, journals } = report;
  const lines = [
    `Cluster ${cluster} at revision ${revision} of etcd`,
    `  judged: ${count(judged.historyRows, 'history row')} (${count(judged.terms, 'term')}), ` +
      `${count(judged.leaderRecords, 'write')} of the leader record, ${judged.registrations} of registrations, ` +
      `${judged.historyWrites} of history, ${count(judged.challenges, 'challenge')}`,
    writes.after === 0n
      ? `  etcd still had every write, ${writes.count} under this cluster's keys`
      : `  etcd had the writes after revision ${writes.after}, ${writes.count} of them under this cluster's keys`,
  ];
  if (journals !== null) {
    lines.push(
      `Journals: ${count(journals.lines, 'line')} in ${count(journals.files, 'file')}, ` +
        `clocks trusted to ${journals.toleranceMs} ms`,
      `  judged: ${count(judged.taskExecutors, 'task executor')} in ${judged.taskExecutorProcesses} processes, ` +
        `${count(judged.leases, 'lease')}, ${count(judged.jobMasters, 'job master')} with ` +
        `${count(judged.holdings, 'slot')} in hand, ${count(judged.tokens, 'token')}`,
    );
  }
  const beyond = beyondLines(report);
  lines.push('Beyond judgement:', ...(beyond.length === 0 ? ['nothing'] : beyond).map((text) => `  ${text}`));
  if (violations.length === 0) lines.push('No guarantee was violated.');
  else lines.push(`${count(violations.length, 'violation')}:`, ...violations.flatMap(formatViolation));
  return lines.join('\n');
}

function beyondLines({ beyond, journals }: AuditReport): string[] {
  const rows: readonly (readonly [number, string])[] = [
    [beyond.overwrittenWrites, 'earlier writes of these records, at least, that etcd has compacted'],
    [beyond.gaps, 'times that compaction overtook the reading of writes'],
    [beyond.unattributedDeletions, 'registrations deleted by whom nothing tells'],
    [beyond.foreignWrites, 'writes of keys that this version does not know'],
    [beyond.recordsOfForgottenTerms, 'records of terms that history has dropped'],
    [beyond.termsWithoutExactEnd, 'terms whose end is known only to lie before the next confirm'],
    [beyond.tokensOfForgottenTerms, 'tokens in journals of terms that history has dropped'],
    [beyond.unknownStarts, 'processes of which no line tells what they remembered'],
    [beyond.unattestedHoldings, "slots in hand that no task executor's journal tells of"],
    [journals?.tornLines ?? 0, 'last lines that were cut off'],
    [journals?.unreadableLines ?? 0, 'lines that cannot be read, and what slots held around them'],
  ];
  return rows.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`);
}

function formatViolation({ guarantee, rule, detail, keys, revisions, places }: Violation): string[] {
  const where = [
    ...keys,
    ...(revisions.length === 0 ? [] : [`revisions ${revisions.join(', ')}`]),
    ...places,
  ];
  return [`  ${guarantee} ${rule}: ${detail}`, ...where.map((text) => `     ${text}`)];
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
