import { status } from '@grpc/grpc-js';
import { StoreError, type StoreErrorKind, type WatchEnd } from '../coordination-store.ts';

/**
 * What etcd (`api/v3rpc/rpctypes/error.go`) and grpc-js say, as far as it can be told apart. etcd3 drops the
 * status code from its errors, but keeps the sentence. Every sentence here is final: the request has not been
 * applied and never will be.
 */
const SENTENCES: readonly (readonly [string, StoreErrorKind])[] = [
  ['etcdserver: requested lease not found', 'lease-not-found'],
  ['etcdserver: lease already exists', 'lease-exists'],
  ['etcdserver: mvcc: required revision has been compacted', 'compacted'],
  ['etcdserver: mvcc: database space exceeded', 'no-space'],
  // Refused before the proposal: too much is waiting to be applied, or the token is not valid any more (`EtcdLogin`).
  ['etcdserver: too many requests', 'not-sent'],
  ['etcdserver: the token is stale', 'not-sent'],
  // grpc-js: no connection was ever picked for the call, so not one byte of it left this process.
  ['14 UNAVAILABLE: No connection established', 'not-sent'],
  ['14 UNAVAILABLE: Channel closed before call started', 'not-sent'],
  ['14 UNAVAILABLE: Name resolution failed for target', 'not-sent'],
  // The HTTP/2 layer of the server refused the stream unseen (RFC 9113, section 8.7).
  ['14 UNAVAILABLE: Stream refused by server', 'not-sent'],
];

/** Codes with which etcd, when it is etcd that speaks, says that a request is wrong or not allowed. */
const REFUSALS: ReadonlySet<number> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.PERMISSION_DENIED,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
  status.UNAUTHENTICATED,
]);

function grpcCode(message: string): number {
  return Number(/(\d+) [A-Z_]+: /.exec(message)?.[1] ?? status.UNKNOWN);
}

function kindOf(message: string): StoreErrorKind {
  for (const [sentence, kind] of SENTENCES) if (message.includes(sentence)) return kind;
  const code = grpcCode(message);
  if (message.includes('etcdserver: ') && REFUSALS.has(code)) return 'rejected';
  // The deadline passed while the call still waited for a connection; grpc-js then never sends it.
  if (code === status.DEADLINE_EXCEEDED && message.includes('Waiting for LB pick')) return 'not-sent';
  return 'unknown-outcome';
}

/** Classifies an error of etcd3 or grpc-js; whatever is not known to be definite is `unknown-outcome`. */
export function toStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new StoreError(kindOf(message), message, { cause: error });
}

/** How a watch ends that could not be made, or whose stream broke with this error. */
export function toWatchEnd(error: unknown): WatchEnd {
  const { kind, message } = toStoreError(error);
  if (kind === 'rejected') return { kind: 'refused', detail: message };
  if (kind === 'compacted') return { kind: 'compacted', detail: message };
  return { kind: 'lost', detail: message };
}
