import { leaseKey } from '../audit/executor-journal.ts';
import { type ExecutorFacts, formatPlace, type MasterFacts } from '../audit/journal-facts.ts';
import { slotKey } from '../ids.ts';
import type { DrillEvidence } from './drill-evidence.ts';
import type { DrillFindings } from './findings.ts';

type ExecutorEnd = Extract<ExecutorFacts, { readonly event: 'end' }>;
type MasterEnd = Extract<MasterFacts, { readonly event: 'lease-ended' }>;

/** How a lease ends at a job master that neither released it nor gave up. */
const AGAINST_ITS_WILL = new Set(['expired', 'refused']);

/**
 * Judges that running work was left alone (G9): a claimed lease is ended by its holder, by its time when the holder is
 * dead, or with its task executor, and by nobody else. Returns how many renewals were seen.
 */
export function judgeLeases(evidence: DrillEvidence, findings: DrillFindings): number {
  const { executors, masters } = evidence.journals;
  const facts = new LeaseFacts(evidence);
  for (const line of executors) if (line.event === 'end') judgeExecutorEnd(line, facts, findings);
  for (const line of masters) if (line.event === 'lease-ended') judgeMasterEnd(line, facts, findings);
  return (
    executors.filter(({ event }) => event === 'renew').length +
    masters.filter(({ event }) => event === 'lease-renewed').length
  );
}

/** What a judge of lease ends looks up. */
class LeaseFacts {
  readonly #claimed = new Set<string>();
  readonly #endedByHolder = new Set<string>();
  readonly #excused = new Set<string>();
  /** When a process wrote its last line. */
  readonly #lastWallMs = new Map<string, number>();

  constructor({ journals, observations }: DrillEvidence) {
    for (const line of journals.executors) {
      if (line.event === 'claim') this.#claimed.add(leaseOf(line));
      this.#heard(line.process, line.wallMs);
    }
    for (const line of journals.masters) {
      if (line.event === 'lease-ended') this.#endedByHolder.add(leaseOf(line));
      this.#heard(line.jobMasterId, line.wallMs);
    }
    for (const seen of observations) {
      if (seen.type === 'lost' && seen.excused !== null)
        this.#excused.add(leaseKey(seen.slot, seen.grantNumber));
    }
  }

  isClaimed(line: ExecutorEnd): boolean {
    return this.#claimed.has(leaseOf(line));
  }

  isEndedByHolder(line: ExecutorEnd): boolean {
    return this.#endedByHolder.has(leaseOf(line));
  }

  isExcused(line: ExecutorEnd | MasterEnd): boolean {
    return this.#excused.has(leaseOf(line));
  }

  /** Whether that process has written anything after that time. */
  livedAfter(process: string, wallMs: number): boolean {
    return (this.#lastWallMs.get(process) ?? -Infinity) > wallMs;
  }

  #heard(process: string, wallMs: number): void {
    this.#lastWallMs.set(process, Math.max(wallMs, this.#lastWallMs.get(process) ?? -Infinity));
  }
}

function judgeExecutorEnd(line: ExecutorEnd, facts: LeaseFacts, findings: DrillFindings): void {
  if (!facts.isClaimed(line)) return;
  if (line.reason === 'freed') {
    const detail = `Grant ${line.grantNumber} was freed by a leader although it was claimed.`;
    findings.add('G9', 'freed-while-claimed', detail, [leaseOf(line), formatPlace(line)], line.wallMs);
  }
  if (line.reason !== 'lapsed' || facts.isEndedByHolder(line) || facts.isExcused(line)) return;
  if (!facts.livedAfter(line.jobMasterId, line.wallMs)) return;
  const detail = `Grant ${line.grantNumber} ran out while its job master lived and had not ended it.`;
  findings.add('G9', 'lapsed-under-holder', detail, [leaseOf(line), formatPlace(line)], line.wallMs);
}

function judgeMasterEnd(line: MasterEnd, facts: LeaseFacts, findings: DrillFindings): void {
  if (!AGAINST_ITS_WILL.has(line.reason) || facts.isExcused(line)) return;
  // With its task executor the lease may end, and so it may when nothing tells of that one any more.
  if (!facts.livedAfter(line.instanceId, line.wallMs)) return;
  const detail = `Grant ${line.grantNumber} ended (${line.reason}) while its task executor lived.`;
  findings.add('G9', 'ended-under-holder', detail, [leaseOf(line), formatPlace(line)], line.wallMs);
}

function leaseOf(line: {
  readonly resourceId: ExecutorEnd['resourceId'];
  readonly slotNumber: number;
  readonly grantNumber: number;
}): string {
  return leaseKey(slotKey(line), line.grantNumber);
}
