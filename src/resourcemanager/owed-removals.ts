import type { Decision, Held, RecordKeeper } from './record-keeper.ts';

/** What is to become of a record; it is deleted as a rule. */
type Decide<R> = (held: Held<R>) => Decision<R>;

/** What is owed, and the mod revision of the record that is meant. */
interface Owed<R> {
  readonly modRevision: bigint;
  readonly decide: Decide<R>;
}

/**
 * Records of those that are gone, which the store had no space to remove. What stood there then is removed once
 * it has space again, unless its process has come back. The next leader finds what this one still owes.
 */
export class OwedRemovals<Id extends string, R> {
  readonly #owed = new Map<Id, Owed<R>>();
  #paying = false;

  /** `modRevision` is that of the record that is to go. */
  add(id: Id, modRevision: bigint, decide: Decide<R> = () => ({ kind: 'delete' })): void {
    if (modRevision !== 0n) this.#owed.set(id, { modRevision, decide });
  }

  /** Somebody of that name has registered. */
  cancel(id: Id): void {
    this.#owed.delete(id);
  }

  /** Tries one; after a success all the others, one after the other. */
  pay(keeper: RecordKeeper<Id, R>): void {
    const [next] = this.#owed;
    if (next === undefined || this.#paying) return;
    const [id, owed] = next;
    this.#paying = true;
    keeper.change(
      id,
      // Asked when earlier changes are done, a registration among them.
      (held) =>
        this.#owed.get(id) === owed && held.modRevision === owed.modRevision
          ? owed.decide(held)
          : { kind: 'keep' },
      ({ kind }) => {
        this.#paying = false;
        if (kind === 'full' || kind === 'over') return;
        this.#owed.delete(id);
        this.pay(keeper);
      },
    );
  }
}
