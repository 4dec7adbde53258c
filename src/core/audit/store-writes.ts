import type { FencingToken } from '../fencing-token.ts';
import type { LeaderSessionId } from '../ids.ts';

type Epoch = Pick<FencingToken, 'generation' | 'epoch'>;

/** A row of history, as its value says. */
export interface WrittenRow extends Epoch {
  readonly leaderSessionId: LeaderSessionId | null;
  readonly neverConfirmed: boolean;
  /** Null while the term is open. */
  readonly ended: { readonly reason: string; readonly evidence: string; readonly by: string } | null;
}

/** What a key of a cluster is, by its name, and what its value says; null for a value that cannot be read. */
export type Written =
  | { readonly of: 'candidate'; readonly resourceManagerId: string | null }
  /** `confirmedAtMs`: when its writer decided it, by the time of day of its machine. */
  | { readonly of: 'leader'; readonly token: FencingToken | null; readonly confirmedAtMs: number | null }
  | { readonly of: 'identity'; readonly generation: number | null }
  | { readonly of: 'registration'; readonly token: FencingToken | null }
  | { readonly of: 'challenge'; readonly named: Epoch | null }
  | { readonly of: 'history'; readonly named: Epoch | null; readonly row: WrittenRow | null }
  /** A key that this version knows nothing of. */
  | { readonly of: 'foreign' };

/** A key as it stands after a write. */
export interface WrittenKey {
  readonly key: string;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  /** Lease that it is bound to; 0n when to none. */
  readonly lease: bigint;
  readonly is: Written;
}

/** One write of one key; `put` null when it deleted the key. Writes of one revision were made together. */
export interface StoreWrite {
  readonly revision: bigint;
  readonly key: string;
  readonly put: WrittenKey | null;
  readonly receivedWallMs: number;
}

/** As a `StoreLog`, read: what stood, and every write after it. */
export interface WriteSegment {
  readonly base: {
    readonly revision: bigint;
    readonly keys: readonly (WrittenKey & { readonly version: bigint })[];
  };
  readonly writes: readonly StoreWrite[];
}

export type WriteLog = readonly WriteSegment[];
