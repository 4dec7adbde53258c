import {
  StoreError,
  type Operation,
  type RangeOperation,
  type RangeResult,
  type Transaction,
  type TransactionResult,
} from '../coordination-store.ts';
import { MOST_TRANSACTION_OPERATIONS } from '../store-request.ts';
import { covers } from './key-order.ts';
import { MvccState } from './mvcc-state.ts';

/** About etcd's default for `--max-request-bytes`. */
const LARGEST_REQUEST_CHARACTERS = 1.5 * 1024 * 1024;

interface Lease {
  readonly ttlSeconds: number;
  expiresAtMs: number;
}

/**
 * Everything that etcd's members agree on: keys and leases. Plain synchronous code; time is an argument. Failures
 * are thrown as `StoreError`s with the kind that etcd's answer would have, and change nothing.
 */
export class StoreState {
  readonly mvcc: MvccState;
  /** While true, puts and grants fail with `no-space`. */
  noSpace = false;
  readonly #minTtlSeconds: number;
  readonly #leases = new Map<bigint, Lease>();

  constructor(minTtlSeconds: number, mvcc = new MvccState()) {
    this.#minTtlSeconds = minTtlSeconds;
    this.mvcc = mvcc;
  }

  get leaseIds(): bigint[] {
    return [...this.#leases.keys()];
  }

  transact(transaction: Transaction): TransactionResult {
    checkBranch(transaction.success);
    checkBranch(transaction.failure);
    if (transaction.compare.length > MOST_TRANSACTION_OPERATIONS) rejectTooMany();
    if (this.noSpace && [...transaction.success, ...transaction.failure].some(isPut)) throw outOfSpace();
    const taken = this.mvcc.holds(transaction.compare) ? transaction.success : transaction.failure;
    for (const operation of taken) {
      if (operation.type === 'put' && (operation.lease ?? 0n) !== 0n) this.#lease(operation.lease ?? 0n);
    }
    return this.mvcc.transact(transaction);
  }

  range(range: RangeOperation): RangeResult {
    return this.mvcc.range(range);
  }

  grantLease(leaseId: bigint, ttlSeconds: number, nowMs: number): { ttlSeconds: number } {
    if (this.noSpace) throw outOfSpace();
    if (this.#leases.has(leaseId))
      throw new StoreError('lease-exists', `lease ${hex(leaseId)} exists already`);
    const granted = Math.max(ttlSeconds, this.#minTtlSeconds);
    this.#leases.set(leaseId, { ttlSeconds: granted, expiresAtMs: nowMs + granted * 1_000 });
    return { ttlSeconds: granted };
  }

  /** Looks at the lease only: whether its keys still stand makes no difference. */
  keepAlive(leaseId: bigint, nowMs: number): { ttlSeconds: number } {
    const lease = this.#lease(leaseId);
    // etcd too lets nobody bring a lease back that has run out and only waits to be revoked.
    if (lease.expiresAtMs <= nowMs) throw leaseNotFound(leaseId);
    lease.expiresAtMs = nowMs + lease.ttlSeconds * 1_000;
    return { ttlSeconds: lease.ttlSeconds };
  }

  /** Takes the lease's keys along, in one revision. */
  revokeLease(leaseId: bigint): void {
    this.#lease(leaseId);
    this.#leases.delete(leaseId);
    this.mvcc.deleteKeys(this.mvcc.keysOfLease(leaseId));
  }

  /** Revokes every lease whose time is up, each in a revision of its own. */
  expireLeases(nowMs: number): void {
    for (const [leaseId, lease] of this.#leases) if (lease.expiresAtMs <= nowMs) this.revokeLease(leaseId);
  }

  /** Gives each lease its full time again, as etcd does when its own leader changes. */
  extendLeases(nowMs: number): void {
    for (const lease of this.#leases.values()) lease.expiresAtMs = nowMs + lease.ttlSeconds * 1_000;
  }

  /** The keys and leases of this moment, for a member that learns of nothing newer. */
  copy(): StoreState {
    const copy = new StoreState(this.#minTtlSeconds, this.mvcc.copy());
    copy.noSpace = this.noSpace;
    for (const [leaseId, lease] of this.#leases) copy.#leases.set(leaseId, { ...lease });
    return copy;
  }

  #lease(leaseId: bigint): Lease {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) throw leaseNotFound(leaseId);
    return lease;
  }
}

function hex(leaseId: bigint): string {
  return leaseId.toString(16);
}

function leaseNotFound(leaseId: bigint): StoreError {
  return new StoreError('lease-not-found', `lease ${hex(leaseId)} does not exist`);
}

function outOfSpace(): StoreError {
  return new StoreError('no-space', 'database space exceeded');
}

function rejectTooMany(): never {
  throw new StoreError('rejected', 'too many operations in txn request');
}

function isPut(operation: Operation): boolean {
  return operation.type === 'put';
}

function sizeOf(operation: Operation): number {
  return operation.key.length + (operation.type === 'put' ? operation.value.length : 0);
}

/** etcd writes a key once in a transaction at most, and does not both put and delete it, in whatever order. */
function checkBranch(operations: readonly Operation[]): void {
  if (operations.length > MOST_TRANSACTION_OPERATIONS) rejectTooMany();
  const size = operations.reduce((sum, operation) => sum + sizeOf(operation), 0);
  if (size > LARGEST_REQUEST_CHARACTERS) throw new StoreError('rejected', 'request is too large');
  // etcd takes the deletion of all keys for one of none here, and carries out both, in their order.
  const deletions = operations.filter((operation) => operation.type === 'delete' && operation.key !== '');
  const put = new Set<string>();
  for (const operation of operations) {
    if (operation.type !== 'put') continue;
    const { key } = operation;
    if (put.has(key) || deletions.some((deletion) => covers(deletion, key))) {
      throw new StoreError('rejected', `duplicate key given in txn request: ${key}`);
    }
    put.add(key);
  }
}
