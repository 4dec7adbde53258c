import {
  StoreError,
  type Compare,
  type KeyRange,
  type KeyValue,
  type Operation,
  type OperationResult,
  type RangeOperation,
  type RangeResult,
  type Transaction,
  type TransactionResult,
  type WatchEvent,
} from '../coordination-store.ts';
import { compareKeys, covers, lowerBound } from './key-order.ts';

/** All that one revision changed, in the order of the operations. */
export interface Commit {
  readonly revision: bigint;
  readonly events: readonly WatchEvent[];
}

/** What stands, and the order of it. */
interface Keys {
  readonly sorted: readonly string[];
  readonly values: ReadonlyMap<string, KeyValue>;
}

/** Commits that are kept for watches; up to twice as many at times. */
const KEPT_COMMITS = 10_000;

/** What etcd compares with when nothing is there. */
const ABSENT: KeyValue = { key: '', value: '', createRevision: 0n, modRevision: 0n, version: 0n, lease: 0n };

/**
 * The versioned keys of an etcd (`mvcc` and `applyTxn` of etcd 3.4), in plain synchronous code: revisions, history
 * and transactions, without leases' times. Requests have been checked before.
 */
export class MvccState {
  /** Called after each commit, before the answer to it. */
  onCommit: (commit: Commit) => void = () => {};
  #revision = 1n;
  #compactedRevision = 0n;
  #sortedKeys: string[] = [];
  #values = new Map<string, KeyValue>();
  /** Keys as they stood at the compacted revision. */
  #base = new Map<string, KeyValue>();
  #history: Commit[] = [];

  /** Revision of the last commit; 1 at first, as in etcd. */
  get revision(): bigint {
    return this.#revision;
  }

  /** Revisions below this one are no longer in the history. */
  get compactedRevision(): bigint {
    return this.#compactedRevision;
  }

  get(key: string): KeyValue | undefined {
    return this.#values.get(key);
  }

  range(range: RangeOperation): RangeResult {
    const { keyValues, more } = this.#select(range, this.#keysAt(range.revision));
    return { keyValues, more, revision: this.#revision };
  }

  /** Compares see the state before; all writes of the branch taken make one revision. */
  transact(transaction: Transaction): TransactionResult {
    const succeeded = this.holds(transaction.compare);
    const branch = succeeded ? transaction.success : transaction.failure;
    for (const operation of branch) if (operation.type === 'range') this.#checkRevision(operation.revision);
    const events: WatchEvent[] = [];
    const results = branch.map((operation) => this.#apply(operation, events));
    this.#commit(events);
    return { succeeded, revision: this.#revision, results };
  }

  /** Whether all these conditions hold now. */
  holds(compares: readonly Compare[]): boolean {
    return compares.every((compare) => {
      const { keyValues } = this.#select(compare);
      if (keyValues.length > 0) return keyValues.every((keyValue) => satisfies(compare, keyValue));
      // No value at all differs from the empty value, but etcd cannot say so and answers "no".
      return compare.target !== 'value' && satisfies(compare, ABSENT);
    });
  }

  /** Keys bound to the lease, in order. */
  keysOfLease(leaseId: bigint): string[] {
    return this.#sortedKeys.filter((key) => this.#values.get(key)?.lease === leaseId);
  }

  /** Deletes these keys in one revision. */
  deleteKeys(keys: readonly string[]): void {
    const events: WatchEvent[] = [];
    for (const key of keys) this.#delete(key, events);
    this.#commit(events);
  }

  /** Forgets the history below this revision; `compacted` or `rejected` as etcd does when it cannot. */
  compact(revision: bigint): void {
    if (revision <= this.#compactedRevision) {
      throw new StoreError('compacted', `revision ${revision} has been compacted already`);
    }
    if (revision > this.#revision) {
      throw new StoreError('rejected', `revision ${revision} is a future revision`);
    }
    for (const commit of this.#history) {
      if (commit.revision > this.#compactedRevision && commit.revision <= revision) carry(this.#base, commit);
    }
    this.#compactedRevision = revision;
    // Of the compacted revision itself etcd keeps what stands then, and no deletion.
    this.#history = this.#history
      .filter((commit) => commit.revision >= revision)
      .map((commit) =>
        commit.revision > revision
          ? commit
          : { revision, events: commit.events.filter(({ type }) => type === 'put') },
      );
  }

  /** What happened in this range from that revision on; undefined when a part of it has been compacted. */
  eventsSince(range: KeyRange, startRevision: bigint): Commit[] | undefined {
    if (startRevision < this.#compactedRevision) return undefined;
    const commits: Commit[] = [];
    for (const commit of this.#history) {
      if (commit.revision < startRevision) continue;
      const events = eventsIn(range, commit);
      if (events.length > 0) commits.push({ revision: commit.revision, events });
    }
    return commits;
  }

  /** The state as it is now, which stays so while this one goes on; without its listener. */
  copy(): MvccState {
    const copy = new MvccState();
    copy.#revision = this.#revision;
    copy.#compactedRevision = this.#compactedRevision;
    copy.#sortedKeys = [...this.#sortedKeys];
    copy.#values = new Map(this.#values);
    copy.#base = new Map(this.#base);
    copy.#history = [...this.#history];
    return copy;
  }

  #commit(events: readonly WatchEvent[]): void {
    if (events.length === 0) return;
    this.#revision += 1n;
    const commit = { revision: this.#revision, events };
    this.#history.push(commit);
    // As with etcd's auto-compaction: without it the history would grow for ever.
    if (this.#history.length >= 2 * KEPT_COMMITS) this.compact(this.#revision - BigInt(KEPT_COMMITS));
    this.onCommit(commit);
  }

  #apply(operation: Operation, events: WatchEvent[]): OperationResult {
    switch (operation.type) {
      case 'put':
        this.#put(operation.key, operation.value, operation.lease ?? 0n, events);
        return { type: 'put' };
      case 'delete': {
        const { keyValues } = this.#select(operation);
        for (const { key } of keyValues) this.#delete(key, events);
        return { type: 'delete', deleted: keyValues.length };
      }
      case 'range':
        return {
          type: 'range',
          ...this.#select(operation, this.#keysAt(operation.revision, events.length > 0)),
        };
    }
  }

  #put(key: string, value: string, lease: bigint, events: WatchEvent[]): void {
    const before = this.#values.get(key);
    const revision = this.#revision + 1n;
    const keyValue: KeyValue = {
      key,
      value,
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0n) + 1n,
      lease,
    };
    if (before === undefined) this.#sortedKeys.splice(lowerBound(this.#sortedKeys, key), 0, key);
    this.#values.set(key, keyValue);
    events.push({ type: 'put', keyValue });
  }

  #delete(key: string, events: WatchEvent[]): void {
    if (!this.#values.delete(key)) return;
    this.#sortedKeys.splice(lowerBound(this.#sortedKeys, key), 1);
    events.push({ type: 'delete', key, modRevision: this.#revision + 1n });
  }

  #checkRevision(revision = this.#revision): void {
    if (revision > this.#revision) {
      throw new StoreError('rejected', `revision ${revision} is a future revision`);
    }
    if (revision < this.#compactedRevision) {
      throw new StoreError('compacted', `revision ${revision} has been compacted`);
    }
  }

  /** With `writing`, what a transaction has written so far stands, but belongs to no revision yet. */
  #keysAt(revision?: bigint, writing = false): Keys {
    this.#checkRevision(revision);
    if (revision === undefined || (revision === this.#revision && !writing)) {
      return { sorted: this.#sortedKeys, values: this.#values };
    }
    const values = new Map(this.#base);
    for (const commit of this.#history) {
      if (commit.revision > this.#compactedRevision && commit.revision <= revision) carry(values, commit);
    }
    return { sorted: [...values.keys()].sort(compareKeys), values };
  }

  #select(
    range: KeyRange & { readonly limit?: number; readonly after?: string },
    { sorted, values }: Keys = { sorted: this.#sortedKeys, values: this.#values },
  ): { keyValues: KeyValue[]; more: boolean } {
    const keyValues: KeyValue[] = [];
    const limit = range.limit === undefined || range.limit === 0 ? Infinity : range.limit;
    for (let index = lowerBound(sorted, range.key); ; index++) {
      const key = sorted[index];
      if (key === undefined || !covers(range, key)) return { keyValues, more: false };
      if (range.after !== undefined && compareKeys(key, range.after) <= 0) continue;
      if (keyValues.length >= limit) return { keyValues, more: true };
      const keyValue = values.get(key);
      if (keyValue !== undefined) keyValues.push(keyValue);
    }
  }
}

function carry(values: Map<string, KeyValue>, { events }: Commit): void {
  for (const event of events) {
    if (event.type === 'put') values.set(event.keyValue.key, event.keyValue);
    else values.delete(event.key);
  }
}

/** The events of a commit that belong to a range. */
export function eventsIn(range: KeyRange, commit: Commit): WatchEvent[] {
  return commit.events.filter((event) =>
    covers(range, event.type === 'put' ? event.keyValue.key : event.key),
  );
}

function order(compare: Compare, keyValue: KeyValue): number {
  if (compare.target === 'value') return compareKeys(keyValue.value, compare.operand);
  const actual = {
    create: keyValue.createRevision,
    mod: keyValue.modRevision,
    version: keyValue.version,
    lease: keyValue.lease,
  }[compare.target];
  if (actual === compare.operand) return 0;
  return actual < compare.operand ? -1 : 1;
}

function satisfies(compare: Compare, keyValue: KeyValue): boolean {
  const sign = order(compare, keyValue);
  switch (compare.result) {
    case '==':
      return sign === 0;
    case '!=':
      return sign !== 0;
    case '>':
      return sign > 0;
    case '<':
      return sign < 0;
  }
}
