import { formatToken, type FencingToken } from '../fencing-token.ts';
import { ExecutorReplay } from './executor-journal.ts';
import { type ExecutorFacts, formatPlace, type MasterFacts, tokenOf } from './journal-facts.ts';
import { MasterReplay } from './master-journal.ts';
import type { Gaps } from './process-order.ts';
import { judgeRecords } from './records.ts';
import { judgeUsers } from './slot-users.ts';
import type { StoreFacts } from './store-facts.ts';
import { judgeHistory, Terms } from './terms.ts';
import type { Violation } from './violation.ts';

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
  /** Earlier writes of keys that stand, and of history rows that were closed since: the store keeps the last one. */
  readonly overwrittenWrites: number;
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
  readonly judged: {
    readonly terms: number;
    readonly historyRows: number;
    readonly leaderRecords: number;
    readonly registrations: number;
    readonly taskExecutors: number;
    readonly taskExecutorProcesses: number;
    readonly jobMasters: number;
    readonly leases: number;
    readonly holdings: number;
    readonly tokens: number;
  };
  readonly beyond: BeyondJudgement;
}

/** Judges what the store keeps and, when there are any, what journals say. Pure: the same facts, the same verdict. */
export function audit(store: StoreFacts, journals: JournalsFacts | null): AuditVerdict {
  const terms = new Terms(store.history);
  const records = judgeRecords(store.records, terms);
  const { executors, masters, gaps, toleranceMs } = journals ?? NO_JOURNALS;
  const replays = replayExecutors(executors, gaps, toleranceMs);
  const ofMasters = new MasterReplay(masters);
  const users = judgeUsers(ofMasters.holdings, replays, toleranceMs);
  const tokens = judgeTokens([...executors, ...masters], terms);
  const all = [...replays.values()];
  return {
    violations: [
      ...judgeHistory(store.history, terms, store.generation),
      ...records.violations,
      ...all.flatMap(({ violations }) => violations),
      ...ofMasters.violations,
      ...users.violations,
      ...tokens.violations,
    ],
    judged: {
      terms: terms.all.length,
      historyRows: store.history.length,
      leaderRecords: store.records.filter(({ kind }) => kind === 'leader').length,
      registrations: store.records.filter(({ kind }) => kind === 'registration').length - records.forgotten,
      taskExecutors: all.length,
      taskExecutorProcesses: sum(all.map(({ starts }) => starts.size)),
      jobMasters: ofMasters.processes,
      leases: sum(all.map(({ leases }) => leases.size)),
      holdings: ofMasters.holdings.length,
      tokens: tokens.judged,
    },
    beyond: {
      overwrittenWrites: Number([...store.records].reduce((total, { version }) => total + version - 1n, 0n)),
      recordsOfForgottenTerms: records.forgotten,
      termsWithoutExactEnd: terms.withoutExactEnd,
      tokensOfForgottenTerms: tokens.forgotten,
      unknownStarts: sum(all.map(({ unknownStarts }) => unknownStarts)),
      unattestedHoldings: users.unattested + ofMasters.withoutClaim,
    },
  };
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
