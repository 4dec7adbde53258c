import { compareTokens, formatToken, type FencingToken } from '../fencing-token.ts';
import type { LeaderSessionId } from '../ids.ts';
import { HISTORY_ROWS_KEPT } from '../election/history-rows-kept.ts';
import type { HistoryFacts } from './store-facts.ts';
import type { Violation } from './violation.ts';

/** One confirmed term of office, by the revisions of its row. */
export interface Term {
  readonly key: string;
  readonly generation: number;
  readonly epoch: bigint;
  readonly leaderSessionId: LeaderSessionId | null;
  readonly confirmRevision: bigint;
  /** From this revision on it was over; null while it is open. */
  readonly endRevision: bigint | null;
  /** Its end was found out by the confirm that followed, so it was over at some time before `endRevision`. */
  readonly lost: boolean;
}

/** How history says that a term ended by its lease or by an operator. */
const LOST = 'lost';

type Epoch = Pick<FencingToken, 'generation' | 'epoch'>;

/** The confirmed terms that history still tells of. */
export class Terms {
  /** In the order of their tokens. */
  readonly all: readonly Term[];
  readonly #byEpoch: ReadonlyMap<string, Term>;
  readonly #oldest: Epoch | null;
  readonly #trimmed: boolean;

  constructor(history: readonly HistoryFacts[]) {
    this.all = history.flatMap(termOf).toSorted(compareTokens);
    this.#byEpoch = new Map(this.all.map((term) => [formatToken(term), term]));
    const named = history.flatMap((facts) => facts.named ?? []).toSorted(compareTokens);
    this.#oldest = named[0] ?? null;
    // With fewer rows none has been dropped.
    this.#trimmed = history.length >= HISTORY_ROWS_KEPT;
  }

  find(epoch: Epoch): Term | null {
    return this.#byEpoch.get(formatToken(epoch)) ?? null;
  }

  /** Whether the row of that epoch may have been dropped, or lost with an etcd that was wiped. */
  isForgotten(epoch: Epoch): boolean {
    const oldest = this.#oldest;
    if (oldest === null || compareTokens(epoch, oldest) >= 0) return false;
    return this.#trimmed || epoch.generation < oldest.generation;
  }

  /** How many terms have only a latest possible end: their rows were closed by the confirm that followed. */
  get withoutExactEnd(): number {
    return this.all.filter(({ lost }) => lost).length;
  }
}

function termOf({ key, row, createRevision, modRevision }: HistoryFacts): Term[] {
  if (row === null || row.neverConfirmed) return [];
  const { generation, epoch, leaderSessionId, ended } = row;
  const endRevision = ended === null ? null : modRevision;
  const lost = ended === LOST;
  return [{ key, generation, epoch, leaderSessionId, confirmRevision: createRevision, endRevision, lost }];
}

/**
 * Judges history by itself (G1): each of these rows written when it may be, epochs that grow, one open term at a time.
 * Only terms that `isJudged` names are held against the one before them.
 */
export function judgeHistory(
  history: readonly HistoryFacts[],
  terms: Terms,
  generation: number | null,
  isJudged: (term: Term) => boolean = () => true,
): Violation[] {
  const violations = history.flatMap((facts) => judgeRow(facts, generation));
  for (const [index, term] of terms.all.entries()) {
    const before = terms.all[index - 1];
    if (before !== undefined && isJudged(term)) violations.push(...judgeSuccession(before, term));
  }
  return violations;
}

function judgeRow(facts: HistoryFacts, generation: number | null): Violation[] {
  const { key, row, named, createRevision, modRevision, version } = facts;
  const found = (rule: string, detail: string): Violation => ({
    guarantee: 'G1',
    rule,
    detail,
    keys: [key],
    revisions: createRevision === modRevision ? [createRevision] : [createRevision, modRevision],
    places: [],
  });
  if (row === null) return [found('row-unreadable', 'The value is no row of history.')];
  const violations: Violation[] = [];
  if (named === null || compareTokens(named, row) !== 0) {
    violations.push(found('row-misplaced', `The row of term ${formatToken(row)} stands under another key.`));
  }
  if (row.epoch >= createRevision) {
    violations.push(
      found('epoch-not-yet', `Epoch ${row.epoch} is that of a key created at or after the confirm itself.`),
    );
  }
  if (generation !== null && row.generation > generation) {
    const detail = `Generation ${row.generation} is above the cluster's own, ${generation}.`;
    violations.push(found('generation-ahead', detail));
  }
  const writes = row.ended !== null && !row.neverConfirmed ? 2n : 1n;
  if (version > writes) {
    const when = row.ended !== null ? 'after the term had ended' : 'while the term was open';
    violations.push(found('row-rewritten', `The row was written again ${when}.`));
  }
  if (version < writes) {
    violations.push(found('row-late', 'The row was written when the term had ended, not in its confirm.'));
  }
  return violations;
}

function judgeSuccession(before: Term, term: Term): Violation[] {
  const found = (rule: string, detail: string, ...revisions: bigint[]): Violation => ({
    guarantee: 'G1',
    rule,
    detail,
    keys: [before.key, term.key],
    revisions,
    places: [],
  });
  if (term.confirmRevision <= before.confirmRevision) {
    const detail = `Term ${formatToken(term)} was confirmed before the lower term ${formatToken(before)}.`;
    return [found('epochs-fall', detail, before.confirmRevision, term.confirmRevision)];
  }
  const { endRevision } = before;
  if (endRevision !== null && endRevision <= term.confirmRevision) return [];
  const detail = `Term ${formatToken(before)} was still open when ${formatToken(term)} was confirmed.`;
  return [
    found('two-terms-open', detail, term.confirmRevision, ...(endRevision === null ? [] : [endRevision])),
  ];
}
