import type { HistoryFacts, KeyFacts, RecordFacts, StoreFacts } from '../../core/audit/store-facts.ts';
import { QuartermasterError } from '../../core/problem.ts';
import {
  type CoordinationStore,
  type KeyValue,
  StoreError,
  type StoreEndpoint,
} from '../../ha/coordination-store.ts';
import { parseHistoryRow, parseIdentity, parseLeaderRecord } from '../../ha/election-records.ts';
import type { ClusterKeys } from '../../ha/keys.ts';
import { namedByRow, writerOf } from './store-writes.ts';

const PAGE_ROWS = 500;
const CALL_MS = 5_000;

/**
 * Reads what the store keeps of a cluster, linearizably: registrations page by page, then history and leader record at
 * one revision, so that every write that was read is told by the history read. Rejects with `UNAVAILABLE` when no
 * endpoint answers, with `NOT_FOUND` when nothing is kept of such a cluster.
 */
export async function readStore(
  store: CoordinationStore,
  keys: ClusterKeys,
  signal: AbortSignal,
): Promise<StoreFacts & { readonly revision: bigint }> {
  const registrations: KeyValue[] = [];
  for (const key of [keys.taskExecutors, keys.jobMasters]) {
    registrations.push(...(await readAll(store, key, signal)));
  }
  const { results, revision } = await ask(store, signal, (endpoint) =>
    endpoint.transact(
      {
        compare: [],
        success: [
          { type: 'range', key: keys.identity },
          { type: 'range', key: keys.leader },
          { type: 'range', key: keys.history, prefix: true },
        ],
        failure: [],
      },
      CALL_MS,
    ),
  );
  const [identity = [], leader = [], history = []] = results.map((result) =>
    result.type === 'range' ? result.keyValues : [],
  );
  if (identity.length + leader.length + history.length + registrations.length === 0) {
    throw new QuartermasterError({ code: 'NOT_FOUND', detail: `etcd has nothing under ${keys.root}.` });
  }
  return {
    revision,
    generation: parseIdentity(identity[0]?.value ?? '')?.generation ?? null,
    history: history.map((keyValue) => historyFacts(keyValue, keys)),
    records: [
      ...leader.map((keyValue) =>
        recordFacts('leader', keyValue, parseLeaderRecord(keyValue.value)?.token ?? null),
      ),
      ...registrations.map((keyValue) => recordFacts('registration', keyValue, writerOf(keyValue.value))),
    ],
  };
}

async function readAll(store: CoordinationStore, key: string, signal: AbortSignal): Promise<KeyValue[]> {
  const all: KeyValue[] = [];
  const range = { type: 'range', key, prefix: true, limit: PAGE_ROWS } as const;
  for (let more = true; more; ) {
    const after = all.at(-1)?.key;
    const page = await ask(store, signal, (endpoint) =>
      endpoint.range(after === undefined ? range : { ...range, after }, CALL_MS),
    );
    all.push(...page.keyValues);
    more = page.more && page.keyValues.length > 0;
  }
  return all;
}

async function ask<T>(
  store: CoordinationStore,
  signal: AbortSignal,
  call: (endpoint: StoreEndpoint) => Promise<T>,
): Promise<T> {
  let failure: StoreError | null = null;
  for (const endpoint of store.endpoints) {
    signal.throwIfAborted();
    try {
      return await call(endpoint);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      failure = error;
    }
  }
  const detail = `etcd does not answer: ${failure?.message ?? 'no endpoint'}`;
  throw new QuartermasterError({ code: 'UNAVAILABLE', detail }, { cause: failure });
}

function keyFacts({ key, createRevision, modRevision, version }: KeyValue): KeyFacts {
  return { key, createRevision, modRevision, version };
}

function historyFacts(keyValue: KeyValue, keys: ClusterKeys): HistoryFacts {
  const row = parseHistoryRow(keyValue.value);
  return {
    ...keyFacts(keyValue),
    named: namedByRow(keyValue.key, keys),
    row: row === null ? null : { ...row, ended: row.ended?.reason ?? null },
  };
}

function recordFacts(
  kind: RecordFacts['kind'],
  keyValue: KeyValue,
  token: RecordFacts['token'],
): RecordFacts {
  return { ...keyFacts(keyValue), kind, token, lease: keyValue.lease };
}
