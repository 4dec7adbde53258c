import type {
  ICompare,
  IKeyValue,
  IEvent,
  IRangeRequest,
  IRequestOp,
  IResponseOp,
  ITxnRequest,
  ITxnResponse,
} from 'etcd3';
import type {
  Compare,
  KeyRange,
  KeyValue,
  Operation,
  OperationResult,
  RangeOperation,
  Transaction,
  TransactionResult,
  WatchEvent,
} from '../coordination-store.ts';

const ZERO_BYTE = Buffer.from([0]);

/** First key after all keys that start with these bytes; a zero byte, etcd's "no end", when there is none. */
function endOfPrefix(prefix: Buffer): Buffer {
  for (let index = prefix.length - 1; index >= 0; index--) {
    const byte = prefix[index] ?? 0xff;
    if (byte < 0xff) return Buffer.concat([prefix.subarray(0, index), Buffer.from([byte + 1])]);
  }
  return ZERO_BYTE;
}

/** `key` and `range_end` of an etcd request. */
export function encodeKeyRange(range: KeyRange): { key: Buffer; range_end?: Buffer } {
  const key = range.key === '' ? ZERO_BYTE : Buffer.from(range.key, 'utf8');
  if (range.prefix !== true) return { key };
  return { key, range_end: range.key === '' ? ZERO_BYTE : endOfPrefix(key) };
}

/** A linearizable range. */
export function encodeRange(range: RangeOperation): IRangeRequest {
  const encoded = encodeKeyRange(range);
  if (range.after !== undefined) {
    const next = Buffer.concat([Buffer.from(range.after, 'utf8'), ZERO_BYTE]);
    if (Buffer.compare(next, encoded.key) > 0) encoded.key = next;
  }
  const revision = range.revision === undefined ? {} : { revision: range.revision.toString() };
  return { ...encoded, ...revision, limit: String(range.limit ?? 0) };
}

const RESULTS = { '==': 'Equal', '!=': 'NotEqual', '>': 'Greater', '<': 'Less' } as const;

function encodeCompare(compare: Compare): ICompare {
  const base = { ...encodeKeyRange(compare), result: RESULTS[compare.result] };
  switch (compare.target) {
    case 'create':
      return { ...base, target: 'Create', create_revision: compare.operand.toString() };
    case 'mod':
      return { ...base, target: 'Mod', mod_revision: compare.operand.toString() };
    case 'version':
      return { ...base, target: 'Version', version: compare.operand.toString() };
    case 'lease':
      return { ...base, target: 'Lease', lease: compare.operand.toString() };
    case 'value':
      return { ...base, target: 'Value', value: Buffer.from(compare.operand, 'utf8') };
  }
}

function encodeOperation(operation: Operation): IRequestOp {
  switch (operation.type) {
    case 'put':
      return {
        request_put: {
          key: Buffer.from(operation.key, 'utf8'),
          value: Buffer.from(operation.value, 'utf8'),
          lease: (operation.lease ?? 0n).toString(),
        },
      };
    case 'delete':
      return { request_delete_range: encodeKeyRange(operation) };
    case 'range':
      return { request_range: encodeRange(operation) };
  }
}

/** The request of etcd's `Txn`; the transaction has been checked before. */
export function encodeTransaction(transaction: Transaction): ITxnRequest {
  return {
    compare: transaction.compare.map(encodeCompare),
    success: transaction.success.map(encodeOperation),
    failure: transaction.failure.map(encodeOperation),
  };
}

/** Revisions and lease ids arrive as decimal strings, which `BigInt` takes without loss. */
export function decodeKeyValue(keyValue: IKeyValue): KeyValue {
  return {
    key: keyValue.key.toString('utf8'),
    value: keyValue.value.toString('utf8'),
    createRevision: BigInt(keyValue.create_revision),
    modRevision: BigInt(keyValue.mod_revision),
    version: BigInt(keyValue.version),
    lease: BigInt(keyValue.lease),
  };
}

function decodeResult(operation: Operation, response: IResponseOp | undefined): OperationResult {
  switch (operation.type) {
    case 'put':
      return { type: 'put' };
    case 'delete':
      return { type: 'delete', deleted: Number(response?.response_delete_range.deleted ?? 0) };
    case 'range':
      return {
        type: 'range',
        keyValues: (response?.response_range.kvs ?? []).map(decodeKeyValue),
        more: response?.response_range.more ?? false,
      };
  }
}

/** The answer of etcd's `Txn` to this transaction. */
export function decodeTransaction(transaction: Transaction, response: ITxnResponse): TransactionResult {
  const branch = response.succeeded ? transaction.success : transaction.failure;
  return {
    succeeded: response.succeeded,
    revision: BigInt(response.header.revision),
    results: branch.map((operation, index) => decodeResult(operation, response.responses[index])),
  };
}

/** One event of a watch. */
export function decodeEvent(event: IEvent): WatchEvent {
  if (event.type === 'Put') return { type: 'put', keyValue: decodeKeyValue(event.kv) };
  return {
    type: 'delete',
    key: event.kv.key.toString('utf8'),
    modRevision: BigInt(event.kv.mod_revision),
  };
}
