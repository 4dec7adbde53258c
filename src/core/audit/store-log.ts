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

/** One write to a key, as a watch told it. Those of one revision were made by one transaction, or by one lease's end. */
export interface StoreEvent {
  readonly revision: bigint;
  readonly kind: 'put' | 'delete';
  readonly key: string;
  /** Empty for a deletion, as are the revision of creation and the lease 0n. */
  readonly value: string;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  readonly lease: bigint;
  /** Time of day at which the watcher was told; etcd itself keeps none. */
  readonly receivedWallMs: number;
}

/** What stood at a revision, and every write of the prefix after it, in order and without a gap. */
export interface StoreSegment {
  readonly base: { readonly revision: bigint; readonly keys: readonly StoredKey[] };
  readonly events: readonly StoreEvent[];
}

/** Segments in order: one, unless compaction overtook whoever recorded; what lies between two is lost. */
export type StoreLog = readonly StoreSegment[];
