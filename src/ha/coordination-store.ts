/** One key as the store holds it (etcd's `mvccpb.KeyValue`). Revisions and lease ids are 64 bit, hence bigint. */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** Revision of the store in which the key was created. */
  readonly createRevision: bigint;
  /** Revision of the last write to the key. */
  readonly modRevision: bigint;
  /** Writes to the key since its creation; 1 at first. */
  readonly version: bigint;
  /** Lease that the key is bound to; 0n when to none. */
  readonly lease: bigint;
}

/** One key, or with `prefix: true` every key that starts with it. */
export interface KeyRange {
  readonly key: string;
  readonly prefix?: boolean;
}

/** A condition on the state before a transaction. An absent key has revisions, version and lease 0. */
export type Compare = KeyRange & {
  readonly result: '==' | '!=' | '>' | '<';
} & (
    | { readonly target: 'create' | 'mod' | 'version' | 'lease'; readonly operand: bigint }
    | { readonly target: 'value'; readonly operand: string }
  );

export type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: string; readonly lease?: bigint }
  | ({ readonly type: 'delete' } & KeyRange)
  | RangeOperation;

/**
 * Keys come in ascending order; `limit` 0 or absent means all of them. With `revision` as they stood then, from the
 * revision of the last compaction on (`compacted` below it); without it as they stand now.
 */
export type RangeOperation = {
  readonly type: 'range';
  readonly limit?: number;
  readonly after?: string;
  readonly revision?: bigint;
} & KeyRange;

export type OperationResult =
  | { readonly type: 'put' }
  | { readonly type: 'delete'; readonly deleted: number }
  | { readonly type: 'range'; readonly keyValues: readonly KeyValue[]; readonly more: boolean };

/**
 * etcd's transaction: if every compare holds, the operations of `success`, else those of `failure`. A
 * transaction without a range or write in the branch taken may be answered from one member's stale store.
 */
export interface Transaction {
  readonly compare: readonly Compare[];
  readonly success: readonly Operation[];
  readonly failure: readonly Operation[];
}

export interface TransactionResult {
  readonly succeeded: boolean;
  /** Revision of the store after the transaction. */
  readonly revision: bigint;
  /** One for each operation of the branch taken, in order. */
  readonly results: readonly OperationResult[];
}

export interface RangeResult {
  readonly keyValues: readonly KeyValue[];
  readonly more: boolean;
  readonly revision: bigint;
}

export type WatchEvent =
  | { readonly type: 'put'; readonly keyValue: KeyValue }
  | { readonly type: 'delete'; readonly key: string; readonly modRevision: bigint };

/** Every method is called in revision order. After `onEnd`, which comes exactly once, nothing comes any more. */
export interface WatchListener {
  /** The watch stands; events from its start revision on will come. */
  onCreated(): void;
  /** All events of one revision, or of several, in order. `revision` is that of the last one. */
  onEvents(events: readonly WatchEvent[], revision: bigint): void;
  /** Lost, refused, compacted or cancelled by the caller; list again, then watch again. */
  onEnd(reason: WatchEnd): void;
}

export interface WatchEnd {
  readonly kind: 'lost' | 'compacted' | 'refused' | 'cancelled';
  readonly detail: string;
  /** With `compacted`: the revision as of which the store can still be read, and watched from. */
  readonly compactedRevision?: bigint;
}

export interface Watch {
  /** Ends the watch; `onEnd` is called with `cancelled` unless it was called before. */
  cancel(): void;
}

/** What went wrong with a call to the store, as far as the caller must tell it apart. */
export type StoreErrorKind =
  /** No answer in time, or the connection broke: a write may have committed, or may commit later. */
  | 'unknown-outcome'
  /** Definitely not done: refused before it was proposed (no connection, unavailable before send). */
  | 'not-sent'
  /** The lease does not exist (any more). */
  | 'lease-not-found'
  /** A lease of that id exists already. */
  | 'lease-exists'
  /** The revision asked for has been compacted. */
  | 'compacted'
  /** etcd is out of space: puts and grants fail, compares and deletes pass. */
  | 'no-space'
  /** The request itself is wrong or not allowed; sending it again does not help. */
  | 'rejected';

/** A failed call to the store. `definite` says that it has not been done and never will be. */
export class StoreError extends Error {
  readonly kind: StoreErrorKind;

  constructor(kind: StoreErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StoreError';
    this.kind = kind;
  }

  get definite(): boolean {
    return this.kind !== 'unknown-outcome';
  }
}

/**
 * One member of the store, as one client reaches it. Each call is sent once, never repeated, and settles
 * within `timeoutMs` of being made; a rejection is always a `StoreError`.
 */
export interface StoreEndpoint {
  /** As in the settings, for people. */
  readonly name: string;
  transact(transaction: Transaction, timeoutMs: number): Promise<TransactionResult>;
  /** Linearizable. */
  range(range: RangeOperation, timeoutMs: number): Promise<RangeResult>;
  /** Grants a lease under an id chosen by the caller; resolves to the time to live granted. */
  grantLease(leaseId: bigint, ttlSeconds: number, timeoutMs: number): Promise<{ ttlSeconds: number }>;
  /** Sends one keepalive; resolves to the time to live granted. `lease-not-found` when the lease is gone. */
  keepAlive(leaseId: bigint, timeoutMs: number): Promise<{ ttlSeconds: number }>;
  /** `lease-not-found` when there is none, which is what the caller wanted. */
  revokeLease(leaseId: bigint, timeoutMs: number): Promise<void>;
  /** Watches a key or a prefix from that revision on. A member that has lost its quorum ends the watch. */
  watch(range: KeyRange, startRevision: bigint, listener: WatchListener): Watch;
}

/** The whole store: its endpoints in the order of the settings, at least one. */
export interface CoordinationStore {
  readonly endpoints: readonly [StoreEndpoint, ...StoreEndpoint[]];
  /** Ends every call and watch and releases all connections; safe to call twice. */
  close(): Promise<void>;
}
