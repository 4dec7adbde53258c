import type { Problem } from '../core/problem.ts';
import type { KeyValue } from '../ha/coordination-store.ts';
import type { GuardedWriter, KeyChangeResult } from './guarded-writer.ts';
import type { RecordFormat } from './records.ts';

/** What etcd is known to hold under one key. `record` null with a revision: something that cannot be read. */
export interface Held<R> {
  readonly record: R | null;
  /** 0n when there is no key. */
  readonly modRevision: bigint;
}

export type Decision<R> =
  | { readonly kind: 'put'; readonly record: R }
  | { readonly kind: 'delete' }
  /** It stands there as it should. */
  | { readonly kind: 'keep' }
  | { readonly kind: 'refuse'; readonly problem: Problem };

/** `done`: known to be in etcd. `full`: etcd has no space for it, deletions included: they are fenced by a put. `over`: the term has ended first; nobody may be told that it is done. */
export type ChangeOutcome<R> =
  | { readonly kind: 'done'; readonly before: Held<R>; readonly now: Held<R>; readonly written: boolean }
  | { readonly kind: 'refused'; readonly problem: Problem }
  | { readonly kind: 'full' }
  | { readonly kind: 'over' };

interface Change<R> {
  readonly decide: (held: Held<R>) => Decision<R>;
  readonly done: (outcome: ChangeOutcome<R>) => void;
}

const NOTHING: Held<never> = { record: null, modRevision: 0n };

/**
 * The leader's picture of one folder of records in etcd, and the only way to change it. Changes of one key
 * happen one after the other; each decides by what is known to stand there in its turn.
 */
export class RecordKeeper<Id extends string, R> {
  readonly #format: RecordFormat<R>;
  readonly #keyOf: (id: Id) => string;
  readonly #writer: GuardedWriter;
  readonly #signed: (record: R) => R;
  readonly #held = new Map<Id, Held<R>>();
  readonly #busy = new Map<Id, Change<R>[]>();
  /** A copy of their last write may have committed, or may later: what is held of them is written before anybody relies on it. */
  readonly #doubtful = new Set<Id>();

  /** `signed` gives the same record as one of this leader; what is put has been signed by whoever decided it. */
  constructor(
    format: RecordFormat<R>,
    keyOf: (id: Id) => string,
    writer: GuardedWriter,
    signed: (record: R) => R,
  ) {
    this.#format = format;
    this.#keyOf = keyOf;
    this.#writer = writer;
    this.#signed = signed;
  }

  /** Takes in what was read at take-over. Returns the record, or null when it cannot be read. */
  load(id: Id, keyValue: KeyValue): R | null {
    const held = this.#read(keyValue);
    this.#held.set(id, held);
    return held.record;
  }

  get(id: Id): Held<R> {
    return this.#held.get(id) ?? NOTHING;
  }

  /** Whether a change of it is under way, so that what stands there may be another one soon. */
  isChanging(id: Id): boolean {
    return this.#busy.has(id);
  }

  /** All that stands there. */
  entries(): Iterable<[Id, Held<R>]> {
    return this.#held.entries();
  }

  /** `decide` may be called again when the key turns out to hold something else; `done` is called once. */
  change(id: Id, decide: (held: Held<R>) => Decision<R>, done: (outcome: ChangeOutcome<R>) => void): void {
    const change = { decide, done };
    const queue = this.#busy.get(id);
    if (queue !== undefined) {
      queue.push(change);
      return;
    }
    this.#busy.set(id, []);
    this.#apply(id, change);
  }

  #apply(id: Id, change: Change<R>): void {
    const before = this.get(id);
    const decision = change.decide(before);
    if (decision.kind === 'refuse') {
      this.#finish(id, change, { kind: 'refused', problem: decision.problem });
    } else if (this.#stands(id, decision, before)) {
      this.#finish(id, change, { kind: 'done', before, now: before, written: false });
    } else {
      const record = this.#recordToWrite(decision, before);
      this.#writer.write({
        key: this.#keyOf(id),
        value: record === null ? null : this.#format.encode(record),
        expectedModRevision: before.modRevision,
        done: (result) => this.#written(id, change, before, record, result),
      });
    }
  }

  #recordToWrite(decision: Decision<R>, before: Held<R>): R | null {
    if (decision.kind === 'put') return decision.record;
    return decision.kind === 'keep' && before.record !== null ? this.#signed(before.record) : null;
  }

  /** Whether nothing needs to be written for it. */
  #stands(id: Id, decision: Decision<R>, { record, modRevision }: Held<R>): boolean {
    const isSame = decision.kind === 'keep' || (decision.kind === 'delete' && modRevision === 0n);
    const isUnreadable = record === null && modRevision !== 0n;
    return isSame && (!this.#doubtful.has(id) || isUnreadable);
  }

  #written(id: Id, change: Change<R>, before: Held<R>, record: R | null, result: KeyChangeResult): void {
    if (result.kind === 'full' && !result.isCertain) this.#doubtful.add(id);
    if (result.kind === 'full') return this.#finish(id, change, { kind: 'full' });
    if (result.kind === 'over') return this.#finish(id, change, result);
    this.#doubtful.delete(id);
    if (result.kind === 'conflict') {
      this.#set(id, result.keyValue === null ? NOTHING : this.#read(result.keyValue));
      return this.#apply(id, change);
    }
    const now = record === null ? NOTHING : { record, modRevision: result.modRevision };
    this.#set(id, now);
    this.#finish(id, change, { kind: 'done', before, now, written: true });
  }

  #finish(id: Id, change: Change<R>, outcome: ChangeOutcome<R>): void {
    const next = this.#busy.get(id)?.shift();
    if (next === undefined) this.#busy.delete(id);
    change.done(outcome);
    if (next !== undefined) this.#apply(id, next);
  }

  #set(id: Id, held: Held<R>): void {
    if (held.modRevision === 0n) this.#held.delete(id);
    else this.#held.set(id, held);
  }

  #read(keyValue: KeyValue): Held<R> {
    return { record: this.#format.decode(keyValue), modRevision: keyValue.modRevision };
  }
}
