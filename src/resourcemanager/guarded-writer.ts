import type { Compare, KeyValue, Operation } from '../ha/coordination-store.ts';
import type { GuardedOutcome, Leadership } from '../ha/leader-election.ts';

/** One key to put or delete, if it is still as it was last seen. */
export interface KeyChange {
  readonly key: string;
  /** Null deletes the key. */
  readonly value: string | null;
  /** Revision of its last write as last seen; 0n when there was no key. */
  readonly expectedModRevision: bigint;
  /** Called once, in the turn of the answer. */
  readonly done: (result: KeyChangeResult) => void;
}

/**
 * `committed`: by this write or an earlier copy of it. `conflict`: the key is not as expected; here is what it
 * holds. `full`: the store has no space for it now; unless it `isCertain` it may be done all the same, or later. `over`: the term has ended, so nobody may be told that it is done.
 */
export type KeyChangeResult =
  | { readonly kind: 'committed'; readonly modRevision: bigint }
  | { readonly kind: 'conflict'; readonly keyValue: KeyValue | null }
  | { readonly kind: 'full'; readonly isCertain: boolean }
  | { readonly kind: 'over' };

/** etcd takes 128 operations in a transaction; the election adds a few of its own. */
const MOST_CHANGES = 100;

/**
 * Writes records in the name of one term: whatever has been asked for while a transaction was under way goes
 * into the next one. Changes of one key must not be under way together; the caller sees to it.
 */
export class GuardedWriter {
  readonly #leadership: Leadership;
  readonly #post: (event: () => void) => void;
  #waiting: KeyChange[] = [];
  #underWay = false;
  #ended = false;

  /** `post` brings the answer of a write back into the mailbox of the endpoint. */
  constructor(leadership: Leadership, post: (event: () => void) => void) {
    this.#leadership = leadership;
    this.#post = post;
  }

  /** Whether nothing waits for an answer. */
  get idle(): boolean {
    return !this.#underWay;
  }

  write(change: KeyChange): void {
    if (this.#ended) return change.done({ kind: 'over' });
    this.#waiting.push(change);
    // In the next turn of the mailbox, so that what comes in one turn goes out in one transaction.
    if (this.#underWay) return;
    this.#underWay = true;
    this.#post(() => this.#send());
  }

  /** Answers with `over` whatever has not been sent, and later whatever is under way. */
  end(): void {
    this.#ended = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const change of waiting) change.done({ kind: 'over' });
  }

  #send(): void {
    const changes = this.#waiting.splice(0, MOST_CHANGES);
    if (changes.length === 0) {
      this.#underWay = false;
      return;
    }
    const write = {
      alsoIf: changes.map(
        (change): Compare => ({
          key: change.key,
          target: 'mod',
          result: '==',
          operand: change.expectedModRevision,
        }),
      ),
      operations: changes.map(
        (change): Operation =>
          change.value === null
            ? { type: 'delete', key: change.key }
            : { type: 'put', key: change.key, value: change.value },
      ),
      readBack: changes.map((change): Operation => ({ type: 'range', key: change.key })),
    };
    this.#leadership.write(write).then(
      (outcome) => this.#post(() => this.#answered(changes, outcome)),
      () => this.#post(() => this.#answered(changes, { kind: 'abandoned' })),
    );
  }

  #answered(changes: readonly KeyChange[], outcome: GuardedOutcome): void {
    changes.forEach((change, index) => {
      if (this.#ended) return change.done({ kind: 'over' });
      switch (outcome.kind) {
        case 'committed':
          return change.done({ kind: 'committed', modRevision: outcome.revision });
        case 'refused': {
          const read = outcome.results[index];
          const keyValue = read?.type === 'range' ? (read.keyValues[0] ?? null) : null;
          return this.#refused(change, keyValue);
        }
        case 'full':
          return change.done(outcome);
        default:
          return change.done({ kind: 'over' });
      }
    });
    this.#send();
  }

  /** The key itself tells whether it stood in the way, another of the group did, or an earlier copy committed. */
  #refused(change: KeyChange, keyValue: KeyValue | null): void {
    const isDone = change.value === null ? keyValue === null : keyValue?.value === change.value;
    const modRevision = keyValue?.modRevision ?? 0n;
    if (isDone) return change.done({ kind: 'committed', modRevision });
    if (modRevision === change.expectedModRevision) this.#waiting.unshift(change);
    else change.done({ kind: 'conflict', keyValue });
  }
}
