/** One key as it stood at some revision, as etcd tells it. */
export interface StoredKey {
  readonly key: string;
  readonly value: string;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  readonly version: bigint;
  /** Lease that the key is bound to; 0n when to none. */
  readonly lease: bigint;
}

/** One write to a key, as a watch told it; a lease that ends deletes all of its keys at once. */
export interface StoreEvent {
  /** Revision of the transaction; events of one transaction share it, in their order. */
  readonly revision: bigint;
  readonly kind: 'put' | 'delete';
  readonly key: string;
  /** Empty for a deletion. */
  readonly value: string;
  /** 0n for a deletion. */
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  /** Lease that the key is bound to; 0n for none, and for a deletion. */
  readonly lease: bigint;
  /** Time of day, in ms since 1970, at which the watcher was told; etcd itself keeps none. */
  readonly receivedWallMs: number;
}

/** What stood at a revision, and every write of the prefix after it, in order and without a gap. */
export interface StoreSegment {
  readonly base: { readonly revision: bigint; readonly keys: readonly StoredKey[] };
  readonly events: readonly StoreEvent[];
}

/** Segments in order: one, unless compaction overtook whoever recorded; what lies between two is lost. */
export type StoreLog = readonly StoreSegment[];
