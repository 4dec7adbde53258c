import type { Clock } from '../../runtime/clock.ts';
import type { RangeOperation, StoreError, Transaction } from '../coordination-store.ts';
import type { StoreState } from './store-state.ts';

/** What a client asked of a member. */
export type StoreRequest =
  | { readonly method: 'transact'; readonly transaction: Transaction }
  | { readonly method: 'range'; readonly range: RangeOperation }
  | { readonly method: 'grantLease'; readonly leaseId: bigint; readonly ttlSeconds: number }
  | { readonly method: 'keepAlive'; readonly leaseId: bigint }
  | { readonly method: 'revokeLease'; readonly leaseId: bigint };

/** One call on its way. Whether, when and on what state it is applied and answered is the member's behaviour. */
export interface MemberCall {
  /** Name of the client, as given to `InMemoryEtcd.connect`. */
  readonly client: string;
  readonly request: StoreRequest;
  /** Applies the request, now: to what all members agree on, or to the state given. */
  apply(state?: StoreState): void;
  /** Hands the outcome of `apply` to the caller, if it still waits. */
  answer(): void;
  /** Hands this failure to the caller, if it still waits. */
  fail(error: StoreError): void;
}

/** How a member of the in-memory etcd treats its clients: the place where a simulator puts its faults. */
export interface MemberBehaviour {
  /** Takes a call in the turn in which the client makes it; must not answer in that turn. */
  handle(call: MemberCall): void;
  /**
   * Carries one message of a watch to or from a client, not in this turn. Messages of one watch are handed over
   * one after the other; one that is never delivered stalls its watch.
   */
  carry(client: string, deliver: () => void): void;
}

/** A member without faults: each way takes `latencyMs`. */
export function promptMember(clock: Clock, latencyMs = 0): MemberBehaviour {
  return {
    handle(call) {
      clock.schedule(latencyMs, () => {
        call.apply();
        if (latencyMs === 0) call.answer();
        else clock.schedule(latencyMs, () => call.answer());
      });
    },
    carry(_client, deliver) {
      clock.schedule(latencyMs, deliver);
    },
  };
}
