import { formatToken } from '../fencing-token.ts';
import type { RecordFacts } from './store-facts.ts';
import type { Term, Terms } from './terms.ts';
import type { Violation } from './violation.ts';

/** What became of the records: how many history is silent about, and what is wrong with the others. */
export interface RecordVerdict {
  readonly violations: readonly Violation[];
  readonly forgotten: number;
}

/**
 * Judges each record by its last write (G1): a leader record stands since the very confirm of its term, a
 * registration was written at or after that confirm and before the revision that ended the term.
 */
export function judgeRecords(records: readonly RecordFacts[], terms: Terms): RecordVerdict {
  const violations: Violation[] = [];
  let forgotten = 0;
  for (const record of records) {
    const { token } = record;
    if (token === null) {
      violations.push(found(record, null, 'record-unreadable', 'The value is none that a leader writes.'));
      continue;
    }
    const term = terms.find(token);
    if (term !== null) {
      violations.push(...judgeRecord(record, term, token.leaderSessionId));
    } else if (terms.isForgotten(token)) {
      forgotten += 1;
    } else {
      const detail = `It names term ${formatToken(token)}, of which history has no confirm.`;
      violations.push(found(record, null, 'term-unknown', detail));
    }
  }
  return { violations, forgotten };
}

function judgeRecord(record: RecordFacts, term: Term, session: string): Violation[] {
  const name = formatToken(term);
  const { modRevision } = record;
  const violations: Violation[] = [];
  const add = (rule: string, detail: string): void => {
    violations.push(found(record, term, rule, detail));
  };
  if (term.leaderSessionId !== session) {
    add('session-differs', `It names term ${name} with a leader session id that was not confirmed.`);
  }
  if (record.kind === 'leader') {
    if (modRevision !== term.confirmRevision) {
      add('leader-not-confirmed', `The leader record was not written in the confirm of its term ${name}.`);
    }
    if (record.lease === 0n) add('leader-unbound', 'The leader record is bound to no lease.');
  } else if (modRevision < term.confirmRevision) {
    add('before-confirm', `It was written before its term ${name} was confirmed.`);
  } else if (term.endRevision !== null && modRevision >= term.endRevision) {
    add('after-end', `It was written when its term ${name} had ended.`);
  }
  return violations;
}

function found(record: RecordFacts, term: Term | null, rule: string, detail: string): Violation {
  const span =
    term === null ? [] : [term.confirmRevision, ...(term.endRevision === null ? [] : [term.endRevision])];
  return {
    guarantee: 'G1',
    rule,
    detail,
    keys: [record.key, ...(term === null ? [] : [term.key])],
    revisions: [record.modRevision, ...span],
    places: [],
  };
}
