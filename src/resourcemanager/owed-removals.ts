import type { RecordKeeper } from './record-keeper.ts';

/**
 * Records of those that are gone, which the store had no space to remove. What stood there then is removed once
 * it has space again, unless its process has come back. The next leader finds what this one still owes.
 */
export class OwedRemovals<Id extends string> {
  readonly #owed = new Map<Id, bigint>();
  #paying = false;

  /** `modRevision` is that of the record that is to go. */
  add(id: Id, modRevision: bigint): void {
    if (modRevision !== 0n) this.#owed.set(id, modRevision);
  }

  /** Somebody of that name has registered. */
  cancel(id: Id): void {
    this.#owed.delete(id);
  }

  /** Tries one; after a success all the others, one after the other. */
  pay<R>(keeper: RecordKeeper<Id, R>): void {
    const [next] = this.#owed;
    if (next === undefined || this.#paying) return;
    const [id, modRevision] = next;
    this.#paying = true;
    keeper.change(
      id,
      // Asked when earlier changes are done, a registration among them.
      (held) =>
        this.#owed.get(id) === modRevision && held.modRevision === modRevision
          ? { kind: 'delete' }
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
