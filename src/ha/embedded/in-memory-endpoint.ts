import type { Clock } from '../../runtime/clock.ts';
import {
  StoreError,
  type KeyRange,
  type RangeOperation,
  type RangeResult,
  type StoreEndpoint,
  type Transaction,
  type TransactionResult,
  type Watch,
  type WatchEnd,
  type WatchListener,
} from '../coordination-store.ts';
import {
  checkKeyRange,
  checkLeaseId,
  checkRangeOperation,
  checkStartRevision,
  checkTimeout,
  checkTransaction,
  checkTtl,
} from '../store-request.ts';
import type { InMemoryEtcd } from './in-memory-etcd.ts';
import { InMemoryWatch } from './in-memory-watch.ts';
import type { MemberBehaviour, StoreRequest } from './member-behaviour.ts';
import type { StoreState } from './store-state.ts';

const CLOSED = 'the store was closed';

/** One member of an `InMemoryEtcd`, as one client reaches it. */
export class InMemoryEndpoint implements StoreEndpoint {
  readonly name: string;
  readonly #client: string;
  readonly #etcd: InMemoryEtcd;
  readonly #behaviour: MemberBehaviour;
  readonly #clock: Clock;
  readonly #abandon = new Set<(error: StoreError) => void>();
  readonly #watches = new Set<InMemoryWatch>();
  #closed = false;

  constructor(etcd: InMemoryEtcd, member: string, behaviour: MemberBehaviour, client: string) {
    this.name = member;
    this.#client = client;
    this.#etcd = etcd;
    this.#behaviour = behaviour;
    this.#clock = etcd.clock;
  }

  transact(transaction: Transaction, timeoutMs: number): Promise<TransactionResult> {
    const check = (): void => checkTransaction(transaction);
    return this.#call({ method: 'transact', transaction }, timeoutMs, check, (state) =>
      state.transact(transaction),
    );
  }

  range(range: RangeOperation, timeoutMs: number): Promise<RangeResult> {
    const check = (): void => checkRangeOperation(range);
    return this.#call({ method: 'range', range }, timeoutMs, check, (state) => state.range(range));
  }

  grantLease(leaseId: bigint, ttlSeconds: number, timeoutMs: number): Promise<{ ttlSeconds: number }> {
    const check = (): void => {
      checkLeaseId(leaseId);
      checkTtl(ttlSeconds);
    };
    return this.#call({ method: 'grantLease', leaseId, ttlSeconds }, timeoutMs, check, (state) =>
      state.grantLease(leaseId, ttlSeconds, this.#clock.monotonicMs()),
    );
  }

  keepAlive(leaseId: bigint, timeoutMs: number): Promise<{ ttlSeconds: number }> {
    const check = (): void => checkLeaseId(leaseId);
    return this.#call({ method: 'keepAlive', leaseId }, timeoutMs, check, (state) =>
      state.keepAlive(leaseId, this.#clock.monotonicMs()),
    );
  }

  revokeLease(leaseId: bigint, timeoutMs: number): Promise<void> {
    const check = (): void => checkLeaseId(leaseId);
    return this.#call({ method: 'revokeLease', leaseId }, timeoutMs, check, (state) =>
      state.revokeLease(leaseId),
    );
  }

  watch(range: KeyRange, startRevision: bigint, listener: WatchListener): Watch {
    const place = { member: this.name, client: this.#client, behaviour: this.#behaviour };
    const watch = new InMemoryWatch(place, this.#clock, range, listener, (ended) => {
      this.#watches.delete(ended);
      this.#etcd.removeWatch(ended);
    });
    const refusal = this.#refusal(range, startRevision);
    if (refusal !== null) {
      this.#clock.schedule(0, () => watch.finish(refusal));
      return watch;
    }
    this.#watches.add(watch);
    this.#etcd.addWatch(watch);
    watch.open(this.#etcd.state.mvcc, startRevision);
    return watch;
  }

  /** Rejects what is under way and ends the watches. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const abandon of this.#abandon) abandon(new StoreError('unknown-outcome', CLOSED));
    for (const watch of this.#watches) watch.finish({ kind: 'lost', detail: CLOSED });
  }

  #refusal(range: KeyRange, startRevision: bigint): WatchEnd | null {
    if (this.#closed) return { kind: 'lost', detail: CLOSED };
    try {
      checkKeyRange(range);
      checkStartRevision(startRevision);
      return null;
    } catch (error) {
      if (error instanceof StoreError) return { kind: 'refused', detail: error.message };
      throw error;
    }
  }

  #call<T>(
    request: StoreRequest,
    timeoutMs: number,
    check: () => void,
    execute: (state: StoreState) => T,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      checkTimeout(timeoutMs);
      check();
      if (this.#closed) throw new StoreError('not-sent', CLOSED);
      let outcome: { readonly value: T } | { readonly error: StoreError } | null = null;
      const settle = (): void => {
        timer.cancel();
        this.#abandon.delete(fail);
      };
      const fail = (error: StoreError): void => {
        settle();
        reject(error);
      };
      const timer = this.#clock.schedule(timeoutMs, () =>
        fail(new StoreError('unknown-outcome', `${this.name} did not answer within ${timeoutMs} ms`)),
      );
      this.#abandon.add(fail);
      this.#behaviour.handle({
        client: this.#client,
        request,
        apply: (state = this.#etcd.state) => {
          try {
            outcome = { value: execute(state) };
          } catch (error) {
            if (!(error instanceof StoreError)) throw error;
            outcome = { error };
          }
          this.#etcd.afterRequest();
        },
        answer: () => {
          if (outcome === null) return;
          if ('error' in outcome) return fail(outcome.error);
          settle();
          resolve(outcome.value);
        },
        fail,
      });
    });
  }
}
