import type { Deposition, ElectionEffect } from '../../src/core/election/election-events.ts';
import type { Identity } from '../../src/core/election/identity.ts';
import type { FencingToken } from '../../src/core/fencing-token.ts';
import type { Transaction, TransactionResult } from '../../src/ha/coordination-store.ts';
import type { DeposedKeys } from '../../src/ha/election-transactions.ts';
import type { TermToConfirm } from '../../src/ha/confirm-term.ts';

type EffectOf<T extends ElectionEffect['type']> = Extract<ElectionEffect, { readonly type: T }>;

/** What a call asks of the store. */
export type StoreRequest =
  | { readonly kind: 'transact'; readonly transaction: Transaction }
  | { readonly kind: 'grantLease' | 'keepAlive' | 'revokeLease'; readonly leaseId: bigint };

/** What it is for, so that its answer can be used. */
export type Purpose =
  | { readonly kind: 'list' }
  | { readonly kind: 'identity'; readonly minted: Identity }
  | { readonly kind: 'grantLease' | 'putKey' | 'keepAlive' | 'revoke' | 'depart' }
  | { readonly kind: 'readAhead' }
  | { readonly kind: 'rows'; readonly wanted: EffectOf<'confirm'> | EffectOf<'depose'> }
  | {
      readonly kind: 'confirm';
      readonly term: TermToConfirm;
      readonly deposed: DeposedKeys | undefined;
      /** What to do once history was read, if a `no` may mean no more than that it was not. */
      readonly unread: EffectOf<'confirm'> | null;
    }
  | { readonly kind: 'depose'; readonly deposition: Deposition }
  | { readonly kind: 'challenge'; readonly effect: EffectOf<'putChallenge'> }
  | { readonly kind: 'readChallenge'; readonly effect: EffectOf<'readChallenge'> }
  | { readonly kind: 'check'; readonly effect: EffectOf<'sendCheck'> }
  | { readonly kind: 'write'; readonly token: FencingToken };

/** One call under way; the same is sent again until it is answered, unless it is sent `once`. */
export interface Call {
  readonly id: number;
  readonly candidacy: number;
  readonly purpose: Purpose;
  readonly request: StoreRequest;
  /** When the copy was sent that has not been answered yet. */
  readonly sentMs: number;
  readonly once: boolean;
  /** Nothing will answer that copy. */
  readonly lost: boolean;
}

/** What the store answers: a failure stands for "no such lease". */
export type StoreAnswer =
  | { readonly kind: 'transacted'; readonly result: TransactionResult }
  | { readonly kind: 'lease'; readonly ttlSeconds: number }
  | { readonly kind: 'failed'; readonly error: string };
