import type { FencingToken } from '../fencing-token.ts';
import type { LeaderSessionId } from '../ids.ts';

/** The revisions of one key as the store tells them. */
export interface KeyFacts {
  readonly key: string;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  /** Writes since the key's creation. */
  readonly version: bigint;
}

/** A row of history: its create revision is that of the confirm. */
export interface HistoryFacts extends KeyFacts {
  /** As the key names it; null when it names none. */
  readonly named: Pick<FencingToken, 'generation' | 'epoch'> | null;
  /** As the value says; null for a value that is no row of history. */
  readonly row: {
    readonly generation: number;
    readonly epoch: bigint;
    readonly leaderSessionId: LeaderSessionId | null;
    readonly neverConfirmed: boolean;
    /** Why the term ended; null while it is open. */
    readonly ended: string | null;
  } | null;
}

/** The last write of a leader record or a registration. */
export interface RecordFacts extends KeyFacts {
  readonly kind: 'leader' | 'registration';
  /** Of the leader that says to have written it; null for a value that cannot be read. */
  readonly token: FencingToken | null;
  /** Lease that the key is bound to; 0n when to none. */
  readonly lease: bigint;
}

/** All of a cluster in the store that an audit judges. History and leader record are of one revision. */
export interface StoreFacts {
  /** Null when there is no identity that can be read. */
  readonly generation: number | null;
  readonly history: readonly HistoryFacts[];
  readonly records: readonly RecordFacts[];
}
