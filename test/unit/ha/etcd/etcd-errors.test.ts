import { expect } from 'chai';
import { StoreError, type StoreErrorKind } from '../../../../src/ha/coordination-store.ts';
import { toStoreError, toWatchEnd } from '../../../../src/ha/etcd/etcd-errors.ts';

/** Sentences as etcd 3.4 and grpc-js 1.14 were seen to say them, or as their source has them. */
const SEEN: readonly (readonly [string, StoreErrorKind])[] = [
  ['Lease 5 NOT_FOUND: etcdserver: requested lease not found is expired or revoked', 'lease-not-found'],
  ['9 FAILED_PRECONDITION: etcdserver: lease already exists', 'lease-exists'],
  ['11 OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted', 'compacted'],
  ['8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded', 'no-space'],
  ['3 INVALID_ARGUMENT: etcdserver: duplicate key given in txn request', 'rejected'],
  ['3 INVALID_ARGUMENT: etcdserver: request is too large', 'rejected'],
  ['7 PERMISSION_DENIED: etcdserver: permission denied', 'rejected'],
  ['3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password', 'rejected'],
  // Refused before they were proposed, or never sent at all.
  ['8 RESOURCE_EXHAUSTED: etcdserver: too many requests', 'not-sent'],
  ['16 UNAUTHENTICATED: etcdserver: the token is stale', 'not-sent'],
  [
    '14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ',
    'not-sent',
  ],
  ['14 UNAVAILABLE: Channel closed before call started', 'not-sent'],
  ['4 DEADLINE_EXCEEDED: Deadline exceeded after 0.284s,Waiting for LB pick', 'not-sent'],
  // May have been proposed, and then may commit even now.
  ['4 DEADLINE_EXCEEDED: Deadline exceeded after 0.950s,remote_addr=127.0.0.1:40399', 'unknown-outcome'],
  [
    '4 DEADLINE_EXCEEDED: Deadline exceeded after 0.950s,LB pick: 0.100s,remote_addr=127.0.0.1:1',
    'unknown-outcome',
  ],
  ['14 UNAVAILABLE: Connection dropped', 'unknown-outcome'],
  ['14 UNAVAILABLE: read ECONNRESET', 'unknown-outcome'],
  ['14 UNAVAILABLE: etcdserver: request timed out', 'unknown-outcome'],
  [
    '14 UNAVAILABLE: etcdserver: request timed out, possibly due to previous leader failure',
    'unknown-outcome',
  ],
  ['14 UNAVAILABLE: etcdserver: leader changed', 'unknown-outcome'],
  ['14 UNAVAILABLE: etcdserver: server stopped', 'unknown-outcome'],
  ['2 UNKNOWN: raft proposal dropped', 'unknown-outcome'],
  ['1 CANCELLED: Call cancelled', 'unknown-outcome'],
  ['13 INTERNAL: Received RST_STREAM with code 2', 'unknown-outcome'],
  // A proxy that speaks in place of etcd proves nothing.
  ['7 PERMISSION_DENIED: Received HTTP status code 403', 'unknown-outcome'],
  ['anything else', 'unknown-outcome'],
];

describe('the errors of etcd', () => {
  it('are definite only when it is certain that nothing was done', () => {
    for (const [message, kind] of SEEN) {
      const error = toStoreError(new Error(message));
      expect(error.kind, message).to.equal(kind);
      expect(error.message).to.equal(message);
      expect(error.definite).to.equal(kind !== 'unknown-outcome');
    }
  });

  it('keep what was classified before, and take what is no error at all', () => {
    const error = new StoreError('no-space', 'full');
    expect(toStoreError(error)).to.equal(error);
    expect(toStoreError('text').kind).to.equal('unknown-outcome');
  });

  it('end a watch as lost unless it was refused or compacted', () => {
    const kindOf = (message: string): string => toWatchEnd(new Error(message)).kind;
    expect(kindOf('14 UNAVAILABLE: etcdserver: no leader')).to.equal('lost');
    expect(kindOf('14 UNAVAILABLE: Connection dropped')).to.equal('lost');
    expect(kindOf('7 PERMISSION_DENIED: etcdserver: permission denied')).to.equal('refused');
    expect(kindOf('11 OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted')).to.equal(
      'compacted',
    );
  });
});
