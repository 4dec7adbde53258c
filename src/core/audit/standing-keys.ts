import type { StoreWrite, Written, WrittenKey } from './store-writes.ts';

/** A key of one kind. */
export type KeyOf<Of extends Written['of']> = WrittenKey & {
  readonly is: Extract<Written, { readonly of: Of }>;
};

/** The keys of a cluster as they stand at one revision. */
export class StandingKeys {
  readonly #keys = new Map<string, WrittenKey>();
  /** Few, and looked at for each write. */
  readonly #candidates = new Map<string, KeyOf<'candidate'>>();

  constructor(keys: Iterable<WrittenKey>) {
    for (const key of keys) this.#put(key);
  }

  get empty(): boolean {
    return this.#keys.size === 0;
  }

  get(key: string): WrittenKey | undefined {
    return this.#keys.get(key);
  }

  all<Of extends Written['of']>(of: Of): KeyOf<Of>[] {
    return [...this.#keys.values()].filter((key): key is KeyOf<Of> => key.is.of === of);
  }

  /** Candidate keys, the head of the line first. */
  get line(): KeyOf<'candidate'>[] {
    return [...this.#candidates.values()].toSorted((a, b) => (a.createRevision < b.createRevision ? -1 : 1));
  }

  /** The candidate key of that epoch. */
  candidate(epoch: bigint): KeyOf<'candidate'> | undefined {
    return this.line.find(({ createRevision }) => createRevision === epoch);
  }

  /** Goes on to the revision that these writes made. */
  apply(writes: readonly StoreWrite[]): void {
    for (const { key, put } of writes) {
      if (put !== null) {
        this.#put(put);
        continue;
      }
      this.#keys.delete(key);
      this.#candidates.delete(key);
    }
  }

  #put(key: WrittenKey): void {
    this.#keys.set(key.key, key);
    if (isOf(key, 'candidate')) this.#candidates.set(key.key, key);
  }
}

/** Narrows a key to its kind. */
export function isOf<Of extends Written['of']>(key: WrittenKey, of: Of): key is KeyOf<Of> {
  return key.is.of === of;
}
