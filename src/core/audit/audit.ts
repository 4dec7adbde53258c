import { formatToken, sameToken, type FencingToken } from '../fencing-token.ts';
import type { ConfirmedTerm } from './confirmed-terms.ts';
import { ExecutorReplay } from './executor-journal.ts';
import { type ExecutorFacts, formatPlace, type MasterFacts, tokenOf } from './journal-facts.ts';
import { MasterReplay } from './master-journal.ts';
import type { Gaps } from './process-order.ts';
import { judgeRecords } from './records.ts';
import { judgeUsers } from './slot-users.ts';
import type { StoreFacts } from './store-facts.ts';
import type { WriteLog } from './store-writes.ts';
import { judgeHistory, Terms } from './terms.ts';
import type { Violation } from './violation.ts';
import { judgeWrites } from './write-judge.ts';

/** What journals say, each line once, and which lines of which file could not be read. */
export interface JournalsFacts {
  readonly executors: readonly ExecutorFacts[];
  readonly masters: readonly MasterFacts[];
  readonly gaps: Gaps;
  /** By how much clocks of two machines may differ, and a write to a journal be late. */
  readonly toleranceMs: number;
}

/** What the audit could not judge, and why. */
export interface BeyondJudgement {
  /** Earlier writes of keys of which only the last one was there to be read, at least so many. */
  readonly overwrittenWrites: number;
  /** How often compaction overtook the reading of writes: what was written in between is not known. */
  readonly gaps: number;
  /** Registrations that somebody deleted who did not say who he was, as an operator does. */
  readonly unattributedDeletions: number;
  /** Writes to keys that no rule knows. */
  readonly foreignWrites: number;
  /** Records of terms that history has dropped. */
  readonly recordsOfForgottenTerms: number;
  /** Terms whose end was found out by the confirm that followed; what they wrote in between counts as theirs. */
  readonly termsWithoutExactEnd: number;
  /** Tokens in journals of terms that history has dropped. */
  readonly tokensOfForgottenTerms: number;
  /** Processes of which no line tells what they remembered of the one before. */
  readonly unknownStarts: number;
  /** Slots in hand of which no task executor's journal tells, or whose claim no line tells. */
  readonly unattestedHoldings: number;
}

export interface AuditVerdict {
  readonly violations: readonly Violation[];
  /** Terms whose confirms the log of writes tells of, in the order of these. */
  readonly confirmed: readonly ConfirmedTerm[];
  readonly judged: {
    readonly terms: number;
    readonly historyRows: number;
    /** Writes of it that were read; without a log of writes the last one. Likewise the next ones. */
    readonly leaderRecords: number;
    readonly registrations: number;
    readonly historyWrites: number;
    readonly challenges: number;
    readonly taskExecutors: number;
    readonly taskExecutorProcesses: number;
    readonly jobMasters: number;
    readonly leases: number;
    readonly holdings: number;
    readonly tokens: number;
  };
  readonly beyond: BeyondJudgement;
}

/**
 * Judges what the store keeps, every write that `log` tells of by what stood before it and, when there are any, what
 * journals say. The log must reach as far as `store`. Pure: the same facts, the same verdict.
 */
export function audit(store: StoreFacts, journals: JournalsFacts | null, log: WriteLog = []): AuditVerdict {
  const terms = new Terms(store.history);
  const writes = judgeWrites(log);
  const isLogged = ({ modRevision }: { readonly modRevision: bigint }): boolean => tellsOf(log, modRevision);
  // What the log does not tell of is judged by what it has left behind.
  const lastWrites = store.records.filter((record) => !isLogged(record));
  const rows = store.history.filter((row) => !isLogged(row));
  const records = judgeRecords(lastWrites, terms);
  const { executors, masters, gaps, toleranceMs } = journals ?? NO_JOURNALS;
  const replays = replayExecutors(executors, gaps, toleranceMs);
  const ofMasters = new MasterReplay(masters);
  const users = judgeUsers(ofMasters.holdings, replays, toleranceMs);
  const tokens = judgeTokens([...executors, ...masters], terms, writes.terms);
  const all = [...replays.values()];
  return {
    violations: [
      ...judgeHistory(
        rows,
        terms,
        store.generation,
        ({ confirmRevision: modRevision }) => !isLogged({ modRevision }),
      ),
      ...records.violations,
      ...writes.violations,
      ...all.flatMap(({ violations }) => violations),
      ...ofMasters.violations,
      ...users.violations,
      ...tokens.violations,
    ],
    confirmed: writes.terms,
    judged: {
      terms: terms.all.length,
      historyRows: store.history.length,
      leaderRecords: count(lastWrites, 'leader') + writes.judged.leaderRecords,
      registrations: count(lastWrites, 'registration') - records.forgotten + writes.judged.registrations,
      historyWrites: rows.length + writes.judged.historyRows,
      challenges: writes.judged.challenges,
      taskExecutors: all.length,
      taskExecutorProcesses: sum(all.map(({ starts }) => starts.size)),
      jobMasters: ofMasters.processes,
      leases: sum(all.map(({ leases }) => leases.size)),
      holdings: ofMasters.holdings.length,
      tokens: tokens.judged,
    },
    beyond: {
      overwrittenWrites: overwritten(store, log),
      gaps: Math.max(0, log.length - 1),
      unattributedDeletions: writes.unattributedDeletions,
      foreignWrites: writes.foreignWrites,
      recordsOfForgottenTerms: records.forgotten,
      termsWithoutExactEnd: terms.withoutExactEnd,
      tokensOfForgottenTerms: tokens.forgotten,
      unknownStarts: sum(all.map(({ unknownStarts }) => unknownStarts)),
      unattestedHoldings: users.unattested + ofMasters.withoutClaim,
    },
  };
}

/** Whether the log has the write of that revision, if there was one. */
function tellsOf(log: WriteLog, revision: bigint): boolean {
  return log.some(({ base, writes }, index) => {
    const isLast = index === log.length - 1;
    return revision > base.revision && (isLast || revision <= (writes.at(-1)?.revision ?? 0n));
  });
}

function overwritten(store: StoreFacts, log: WriteLog): number {
  const [first] = log;
  const keys =
    first?.base.keys.filter(({ is: { of } }) => of === 'registration' || of === 'leader') ?? store.records;
  return Number(keys.reduce((total, { version }) => total + version - 1n, 0n));
}

function count(records: StoreFacts['records'], kind: 'leader' | 'registration'): number {
  return records.filter((record) => record.kind === kind).length;
}

const NO_JOURNALS: JournalsFacts = { executors: [], masters: [], gaps: new Map(), toleranceMs: 0 };

function replayExecutors(
  lines: readonly ExecutorFacts[],
  gaps: Gaps,
  toleranceMs: number,
): Map<string, ExecutorReplay> {
  const byResource = new Map<string, ExecutorFacts[]>();
  for (const line of lines) {
    const own = byResource.get(line.resourceId);
    if (own === undefined) byResource.set(line.resourceId, [line]);
    else own.push(line);
  }
  return new Map([...byResource].map(([id, own]) => [id, new ExecutorReplay(own, gaps, toleranceMs)]));
}

/** A token that anybody has accepted is that of a confirmed term (G5). */
function judgeTokens(
  lines: readonly (ExecutorFacts | MasterFacts)[],
  terms: Terms,
  logged: readonly ConfirmedTerm[],
): { violations: Violation[]; judged: number; forgotten: number } {
  const seen = new Map<string, { readonly token: FencingToken; readonly place: string }>();
  for (const line of lines) {
    if (line.event !== 'token-adopted' && line.event !== 'grant') continue;
    const token = tokenOf(line);
    const name = `${formatToken(token)} ${token.leaderSessionId}`;
    if (!seen.has(name)) seen.set(name, { token, place: formatPlace(line) });
  }
  const violations: Violation[] = [];
  let forgotten = 0;
  for (const { token, place } of seen.values()) {
    if (logged.some((confirmed) => sameToken(confirmed.token, token))) continue;
    const term = terms.find(token);
    if (term === null && terms.isForgotten(token)) forgotten += 1;
    if (term?.leaderSessionId === token.leaderSessionId || (term === null && terms.isForgotten(token)))
      continue;
    violations.push({
      guarantee: 'G5',
      rule: 'token-never-confirmed',
      detail: `Token ${formatToken(token)} was accepted, but no such leader session was ever confirmed.`,
      keys: term === null ? [] : [term.key],
      revisions: term === null ? [] : [term.confirmRevision],
      places: [place],
    });
  }
  return { violations, judged: seen.size - forgotten, forgotten };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
