import type {
  Compare,
  KeyRange,
  Operation,
  RangeOperation,
  Transaction,
} from '../../src/ha/coordination-store.ts';
import type { SeededRandomness } from '../support/testing-randomness.ts';

/**
 * One thing that is asked of etcd and of its model. Revisions of a drawn operation count back from the present one
 * (`placed`), so that it keeps its meaning when others before it are left out.
 */
export type StoreOperation =
  | ({ readonly type: 'transact' } & Transaction)
  | RangeOperation
  | { readonly type: 'grant'; readonly lease: bigint; readonly ttlSeconds: number }
  | { readonly type: 'keepAlive' | 'revoke'; readonly lease: bigint }
  /** Ends the watch of that number if there is one, then opens it anew. */
  | { readonly type: 'watch'; readonly watch: number; readonly range: KeyRange; readonly revision: bigint }
  /** Ends it, and compares all that it said. */
  | { readonly type: 'unwatch'; readonly watch: number }
  | { readonly type: 'compact'; readonly revision: bigint }
  /** All leases with a short time to live run out, but for those that are kept alive. */
  | { readonly type: 'expire'; readonly kept: readonly bigint[] };

/** Grants of at most this many seconds run out in an `expire`; all others outlive every run. */
export const MOST_SHORT_TTL_SECONDS = 60;
const LONG_TTL_SECONDS = 100_000;
const WATCHES = 5;

/** Every lease that is used. */
export const LEASES = [
  ...Array.from({ length: 40 }, (_, i) => BigInt(i + 1)),
  2n ** 53n + 1n,
  2n ** 63n - 1n,
];
/** So many of them are used more than the others, so that most of them are granted and have keys. */
const FAVOURITES = 6;
/** Among them prefixes of each other, what UTF-8 sorts in another way than UTF-16, and text that is not well formed. */
const KEYS = [
  'a',
  'a/',
  'a/1',
  'a/1/x',
  'a/2',
  'a0',
  'ab',
  'b',
  'b/\u0000',
  'é',
  '\uffee',
  '\u{1f600}',
  '\u{10ffff}',
];
const ODD_KEYS = ['', 'a\ud800', '\udc00'];
const PREFIXES = ['', 'a', 'a/', 'a/1', 'b/', 'é', '\u{1f600}', '\u{10ffff}', 'zz', '~'];
const VALUES = ['', 'x', 'y', 'xx', '\u{1f600}', 'é', 'x'.repeat(40)];
const RESULTS = ['==', '!=', '>', '<'] as const;
const NUMBERS = ['create', 'mod', 'version', 'lease'] as const;

/** Draws operations; those that follow each other share keys and leases, so that they meet. */
export class OperationDrawer {
  readonly #random: SeededRandomness;
  readonly #shortTtlSeconds: number;
  #count = 0;

  constructor(random: SeededRandomness, shortTtlSeconds: number) {
    this.#random = random;
    this.#shortTtlSeconds = shortTtlSeconds;
  }

  /** `expireEvery` operations there is one that waits for leases to run out. */
  next(expireEvery: number): StoreOperation {
    this.#count += 1;
    if (this.#count % expireEvery === 0) {
      return { type: 'expire', kept: LEASES.filter(() => this.#chance(0.3)) };
    }
    const dice = this.#random.fraction();
    if (dice < 0.3) return this.#transact([], [this.#put()], []);
    if (dice < 0.4) return this.#transact([], [{ type: 'delete', ...this.#range() }], []);
    if (dice < 0.6) return this.#transaction();
    if (dice < 0.75) return this.#rangeOperation();
    if (dice < 0.82) {
      const ttlSeconds = this.#chance(0.5) ? this.#shortTtlSeconds : LONG_TTL_SECONDS;
      return {
        type: 'grant',
        lease: this.#lease(),
        ttlSeconds: this.#chance(0.04) ? this.#random.between(0, 2) : ttlSeconds,
      };
    }
    if (dice < 0.88) return { type: 'keepAlive', lease: this.#lease() };
    if (dice < 0.93) return { type: 'revoke', lease: this.#lease() };
    const watch = this.#random.between(1, WATCHES);
    if (dice < 0.97) return { type: 'watch', watch, range: this.#range(), revision: this.#revision() };
    if (dice < 0.99) return { type: 'unwatch', watch };
    return { type: 'compact', revision: this.#revision() };
  }

  #transact(compare: Compare[], success: Operation[], failure: Operation[]): StoreOperation {
    return { type: 'transact', compare, success, failure };
  }

  #transaction(): StoreOperation {
    if (this.#chance(0.01)) {
      // Up to and beyond the 128 operations that etcd takes.
      const key = (i: number): string => `many/${i}`;
      const length = this.#random.between(126, 130);
      const puts = Array.from({ length }, (_, i): Operation => ({ type: 'put', key: key(i), value: 'x' }));
      return this.#transact([], puts, [{ type: 'delete', key: 'many/', prefix: true }]);
    }
    return this.#transact(
      this.#list(2, () => this.#compare()),
      this.#list(4, () => this.#operation()),
      this.#list(3, () => this.#operation()),
    );
  }

  #compare(): Compare {
    const on = { ...this.#range(), result: this.#pick(RESULTS) };
    if (this.#chance(0.2)) return { ...on, target: 'value', operand: this.#pick(VALUES) };
    const target = this.#pick(NUMBERS);
    if (this.#chance(0.3)) return { ...on, target, operand: 0n };
    if (target === 'version') return { ...on, target, operand: BigInt(this.#random.between(1, 4)) };
    return { ...on, target, operand: target === 'lease' ? this.#lease() : this.#revision() };
  }

  #operation(): Operation {
    const dice = this.#random.fraction();
    if (dice < 0.5) return this.#put();
    return dice < 0.75 ? { type: 'delete', ...this.#range() } : this.#rangeOperation();
  }

  #put(): Operation {
    const put = { type: 'put' as const, key: this.#key(), value: this.#pick(VALUES) };
    if (this.#chance(0.01)) return { ...put, value: '\ud800' };
    return this.#chance(0.6) ? { ...put, lease: this.#lease() } : put;
  }

  #rangeOperation(): RangeOperation {
    const range = { type: 'range' as const, ...this.#range() };
    return {
      ...range,
      ...(this.#chance(0.4) && { limit: this.#random.between(0, 4) }),
      ...(this.#chance(0.3) && { revision: this.#revision() }),
      ...((range.prefix === true ? this.#chance(0.3) : this.#chance(0.01)) && { after: this.#key() }),
    };
  }

  #range(): KeyRange {
    return this.#chance(0.5) ? { key: this.#key() } : { key: this.#pick(PREFIXES), prefix: true };
  }

  #key(): string {
    return this.#pick(this.#chance(0.01) ? ODD_KEYS : KEYS);
  }

  #lease(): bigint {
    if (this.#chance(0.01)) return 0n;
    return this.#pick(this.#chance(0.5) ? LEASES.slice(0, FAVOURITES) : LEASES);
  }

  /** Mostly recent: 1 stands for the next revision, 2 for the present one; 0 for the one of the last compaction. */
  #revision(): bigint {
    if (this.#chance(0.05)) return 0n;
    return BigInt(this.#random.between(1, this.#pick([4, 20, 20, 200, 3_000])));
  }

  #list<T>(most: number, draw: () => T): T[] {
    return Array.from({ length: this.#random.between(0, most) }, draw);
  }

  #chance(probability: number): boolean {
    return this.#random.fraction() < probability;
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#random.between(0, items.length - 1)] as T;
  }
}

/** Several revisions in which leases ran out, in an order that etcd does not promise. */
export interface ExpiryWindow {
  readonly first: bigint;
  readonly last: bigint;
}

/** What is known of the revisions of a store. */
export interface StoreRevisions {
  readonly revision: bigint;
  readonly compacted: bigint;
  readonly windows: readonly ExpiryWindow[];
}

/** The operation with real revisions, none of which depends on the order in which leases ran out. */
export function placed(operation: StoreOperation, store: StoreRevisions): StoreOperation {
  const { windows } = store;
  const at = (back: bigint): bigint => {
    const revision = back === 0n ? store.compacted : store.revision + 2n - back;
    return revision < 1n ? 1n : revision;
  };
  const after = (back: bigint): bigint => {
    const revision = at(back);
    return windows.find(({ first, last }) => first <= revision && revision <= last)?.last ?? revision;
  };
  const placeRange = <T extends { readonly revision?: bigint }>(range: T): T =>
    range.revision === undefined ? range : { ...range, revision: after(range.revision) };
  const place = (step: Operation): Operation => (step.type === 'range' ? placeRange(step) : step);
  switch (operation.type) {
    case 'transact':
      return {
        ...operation,
        compare: operation.compare.map((compare) =>
          (compare.target === 'create' || compare.target === 'mod') && compare.operand > 0n
            ? { ...compare, operand: at(compare.operand) }
            : compare,
        ),
        success: operation.success.map(place),
        failure: operation.failure.map(place),
      };
    case 'range':
      return placeRange(operation);
    case 'compact':
      return { ...operation, revision: after(operation.revision) };
    case 'watch': {
      const revision = at(operation.revision);
      const window = windows.find(({ first, last }) => first <= revision && revision <= last);
      return { ...operation, revision: window?.first ?? revision };
    }
    default:
      return operation;
  }
}
