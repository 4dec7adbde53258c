import type { InMemoryEtcd } from '../../src/ha/embedded/in-memory-etcd.ts';
import { fromExplicitCopy, type Patch } from '../exhaustive/explicit-copy.ts';

const MVCC = 'ha/embedded/mvcc-state.js';
const STATE = 'ha/embedded/store-state.js';
const WATCH = 'ha/embedded/in-memory-watch.js';

function patch(file: string, from: string, to: string): Patch {
  return { file, from, to };
}

/** Faults of a model of etcd, each of which the comparison has to find. */
export const PLANTED_FAULTS: Readonly<Record<string, Patch>> = {
  'a key that was deleted and comes back keeps its first create revision': patch(
    MVCC,
    'createRevision: before?.createRevision ?? revision,',
    'createRevision: ((this.first ??= new Map()).has(key) || this.first.set(key, revision), this.first.get(key)),',
  ),
  'a value compared with nothing counts as the empty value': patch(
    MVCC,
    "return compare.target !== 'value' && satisfies(compare, ABSENT);",
    'return satisfies(compare, ABSENT);',
  ),
  'one key of a prefix is enough for a compare': patch(
    MVCC,
    'return keyValues.every((',
    'return keyValues.some((',
  ),
  'the event of a deletion has the revision before it': patch(
    MVCC,
    "events.push({ type: 'delete', key, modRevision: this.#revision + 1n });",
    "events.push({ type: 'delete', key, modRevision: this.#revision });",
  ),
  'a limited range does not say that there is more': patch(
    MVCC,
    'return { keyValues, more: true };',
    'return { keyValues, more: false };',
  ),
  'a range after a key begins with it': patch(
    MVCC,
    'compareKeys(key, range.after) <= 0',
    'compareKeys(key, range.after) < 0',
  ),
  'a put without a lease keeps the old one': patch(
    MVCC,
    'operation.lease ?? 0n, events)',
    'operation.lease ?? this.#values.get(operation.key)?.lease ?? 0n, events)',
  ),
  'a watch tells the latest commits first': patch(
    WATCH,
    'commits.flatMap((commit) => commit.events)',
    'commits.toReversed().flatMap((commit) => commit.events)',
  ),
  'a watch from a compacted revision stands': patch(
    MVCC,
    'if (startRevision < this.#compactedRevision)',
    'if (false)',
  ),
  'a revoked lease leaves its keys': patch(
    STATE,
    'this.mvcc.deleteKeys(this.mvcc.keysOfLease(leaseId));',
    '',
  ),
  'a keepalive does not lengthen a lease': patch(
    STATE,
    'lease.expiresAtMs = nowMs + lease.ttlSeconds * 1_000;\n        return',
    'return',
  ),
};

/** A model with that fault planted into a copy of it. */
export function faultyModel(fault: Patch): Promise<typeof InMemoryEtcd> {
  return fromExplicitCopy([fault], async (url) => {
    const copy = (await import(`${url}ha/embedded/in-memory-etcd.js`)) as {
      InMemoryEtcd: typeof InMemoryEtcd;
    };
    return copy.InMemoryEtcd;
  });
}
