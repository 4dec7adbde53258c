import {
  StoreError,
  type Compare,
  type KeyRange,
  type Operation,
  type RangeOperation,
  type Transaction,
} from './coordination-store.ts';

const GREATEST_INT64 = 2n ** 63n - 1n;
const LONE_SURROGATE = /\p{Surrogate}/u;
const GREATEST_TTL_SECONDS = 9_000_000_000;
/** etcd's default for `--max-txn-ops`: each list of a transaction may be this long. */
export const MOST_TRANSACTION_OPERATIONS = 128;

function reject(sentence: string): never {
  throw new StoreError('rejected', sentence);
}

/**
 * Refuses what is no unsigned 63 bit number. An encoder would silently turn `undefined` and NaN into 0, and
 * `create == 0` is true of an absent key: a fence that lets everybody pass.
 */
function checkInt64(value: bigint, what: string): bigint {
  if (typeof value !== 'bigint') reject(`${what} must be a bigint, but is ${String(value)}.`);
  if (value < 0n || value > GREATEST_INT64) reject(`${what} must be within 63 bits, but is ${value}.`);
  return value;
}

function checkText(value: string, what: string): void {
  if (typeof value !== 'string') reject(`${what} must be a string, but is ${String(value)}.`);
  // An encoder would silently turn half a surrogate pair into another character, and so name another key.
  if (LONE_SURROGATE.test(value))
    reject(`${what} must be well-formed text, but is ${JSON.stringify(value)}.`);
}

/** An empty key stands for all keys, and only together with `prefix`. */
export function checkKeyRange(range: KeyRange): void {
  checkText(range.key, 'A key');
  if (range.key === '' && range.prefix !== true) reject('A key must not be empty.');
}

/** A range as the store takes it: `after` only makes sense among the keys of a prefix. */
export function checkRangeOperation(range: RangeOperation): void {
  checkKeyRange(range);
  if (range.limit !== undefined && !(Number.isSafeInteger(range.limit) && range.limit >= 0)) {
    reject(`The limit of a range must be a whole number, but is ${range.limit}.`);
  }
  if (range.revision !== undefined && checkInt64(range.revision, 'The revision of a range') === 0n) {
    reject('The revision of a range must not be 0.');
  }
  if (range.after === undefined) return;
  checkText(range.after, 'The key after which a range starts');
  if (range.prefix !== true) reject('Only the range of a prefix can start after a key.');
}

/** Refuses an id that would let the store choose one (0) or that it cannot hold. */
export function checkLeaseId(leaseId: bigint): void {
  if (checkInt64(leaseId, 'A lease id') === 0n) reject('A lease id must not be 0.');
}

/** Refuses a revision that would let the store choose where a watch starts (0). */
export function checkStartRevision(revision: bigint): void {
  if (checkInt64(revision, 'The start revision of a watch') === 0n) reject('A watch must not start at 0.');
}

/** Refuses a time to live that is not a whole number of seconds, at least 1. */
export function checkTtl(ttlSeconds: number): void {
  if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > GREATEST_TTL_SECONDS) {
    reject(`A time to live must be a whole number of seconds, at least 1, but is ${ttlSeconds}.`);
  }
}

/** Refuses a deadline that would never come. */
export function checkTimeout(timeoutMs: number): void {
  if (!Number.isFinite(timeoutMs) || timeoutMs <= 0) {
    reject(`A timeout must be a positive number of milliseconds, but is ${timeoutMs}.`);
  }
}

function checkCompare(compare: Compare): void {
  checkKeyRange(compare);
  if (compare.target === 'value') checkText(compare.operand, 'A value to compare with');
  else checkInt64(compare.operand, `The operand of a compare of ${compare.key} (${compare.target})`);
}

function checkOperation(operation: Operation): void {
  switch (operation.type) {
    case 'put':
      checkKeyRange({ key: operation.key });
      checkText(operation.value, 'A value');
      if (operation.lease !== undefined) checkInt64(operation.lease, 'The lease of a put');
      return;
    case 'delete':
      checkKeyRange(operation);
      return;
    case 'range':
      checkRangeOperation(operation);
  }
}

/** Refuses, before anything is encoded or applied, what an encoder would silently turn into something else. */
export function checkTransaction(transaction: Transaction): void {
  transaction.compare.forEach(checkCompare);
  transaction.success.forEach(checkOperation);
  transaction.failure.forEach(checkOperation);
}
