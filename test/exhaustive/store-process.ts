import type { Observation } from '../../src/core/election/election-events.ts';
import type { StoreState } from '../../src/ha/embedded/store-state.ts';
import type { StoreAnswer, StoreRequest } from './election-calls.ts';
import { ELECTION_TTL_SECONDS, type ElectionMachines, KEYS } from './election-machines.ts';

/** etcd as one, with what must never happen in it. */
export interface StoreProcess {
  readonly kind: 'store';
  readonly state: StoreState;
  /** What watches of the election have to tell, and since which revision it is so. */
  observed: { readonly text: string; readonly revision: bigint };
  /** Highest epoch that has been confirmed, and under which session. */
  confirmed: { readonly epoch: bigint; readonly session: string } | null;
}

export function startStore(machines: ElectionMachines): StoreProcess {
  const state = new machines.StoreState(1);
  return { kind: 'store', state, observed: { text: '', revision: 0n }, confirmed: null };
}

/** What stands in the election, as a watch that has told everything shows it. */
export function observationOf(
  machines: ElectionMachines,
  store: StoreProcess,
): { readonly observation: Observation; readonly text: string; readonly identityValue: string | null } {
  const revision = store.observed.revision;
  const part = (
    key: string,
    prefix: boolean,
  ): { keyValues: ReturnType<typeof keyValuesOf>; revision: bigint } => ({
    keyValues: keyValuesOf(store, key, prefix),
    revision,
  });
  const line = part(KEYS.election, true);
  line.keyValues = [...line.keyValues].sort((a, b) => (a.createRevision < b.createRevision ? -1 : 1));
  const identity = part(KEYS.identity, false);
  const observation = machines.view.toObservation({
    line,
    leader: part(KEYS.leader, false),
    identity,
    storeRevision: revision,
    listing: 1,
    headGone: null,
    fall: null,
  });
  return { observation, text: store.observed.text, identityValue: identity.keyValues[0]?.value ?? null };
}

function keyValuesOf(
  store: StoreProcess,
  key: string,
  prefix: boolean,
): ReturnType<StoreState['range']>['keyValues'] {
  return store.state.range({ type: 'range', key, prefix }).keyValues;
}

/** Carries a request out; `notes` name what must never happen and has. */
export function storeTakes(
  machines: ElectionMachines,
  store: StoreProcess,
  request: StoreRequest,
  nowMs: number,
  notes: string[],
): StoreAnswer {
  const answer = carryOut(machines, store, request, nowMs);
  look(machines, store, notes);
  if (request.kind === 'transact' && answer.kind === 'transacted' && answer.result.succeeded) {
    judgeWrite(store, request, notes);
  }
  return answer;
}

/** Ends leases whose time is over. */
export function storeTicks(
  machines: ElectionMachines,
  store: StoreProcess,
  nowMs: number,
  notes: string[],
): void {
  store.state.expireLeases(nowMs);
  look(machines, store, notes);
}

function carryOut(
  machines: ElectionMachines,
  { state }: StoreProcess,
  request: StoreRequest,
  nowMs: number,
): StoreAnswer {
  try {
    switch (request.kind) {
      case 'transact':
        return { kind: 'transacted', result: state.transact(request.transaction) };
      case 'grantLease':
        return { kind: 'lease', ...state.grantLease(request.leaseId, ELECTION_TTL_SECONDS, nowMs) };
      case 'keepAlive':
        return { kind: 'lease', ...state.keepAlive(request.leaseId, nowMs) };
      case 'revokeLease':
        state.revokeLease(request.leaseId);
        return { kind: 'lease', ttlSeconds: 0 };
    }
  } catch (error) {
    const kind = (error as { readonly kind?: string }).kind;
    // A repeated grant finds its lease there; a keepalive tells what was granted.
    if (kind === 'lease-exists')
      return carryOut(
        machines,
        { state } as StoreProcess,
        { ...request, kind: 'keepAlive' } as StoreRequest,
        nowMs,
      );
    if (kind === undefined) throw error;
    return { kind: 'failed', error: kind };
  }
}

/** G1, G5: each epoch is confirmed once, under one session, none below one that was confirmed before, none beside an open one. */
function look(machines: ElectionMachines, store: StoreProcess, notes: string[]): void {
  const parts = [
    keyValuesOf(store, KEYS.election, true),
    keyValuesOf(store, KEYS.leader, false),
    keyValuesOf(store, KEYS.identity, false),
  ];
  const text = parts
    .map((part) => part.map(({ key, modRevision }) => `${key}@${modRevision}`).join())
    .join(' ');
  if (text !== store.observed.text) store.observed = { text, revision: store.state.mvcc.revision };
  const value = parts[1]?.[0]?.value;
  const record = value === undefined ? null : machines.records.parseLeaderRecord(value);
  if (record === null) return;
  const { epoch, leaderSessionId: session } = record.token;
  const before = store.confirmed;
  if (before === null || epoch > before.epoch) store.confirmed = { epoch, session };
  else if (epoch < before.epoch) {
    notes.push(`G5: a confirm of epoch ${epoch} came over epoch ${before.epoch}`);
  } else if (session !== before.session) {
    notes.push(`G5: epoch ${epoch} was confirmed under two sessions`);
  }
  for (const { value: text } of keyValuesOf(store, KEYS.history, true)) {
    const row = machines.records.parseHistoryRow(text);
    if (row !== null && row.ended === null && row.epoch !== epoch)
      notes.push(`G1: the term of epoch ${row.epoch} is open beside that of ${epoch}`);
  }
}

function judgeWrite(
  store: StoreProcess,
  { transaction }: Extract<StoreRequest, { kind: 'transact' }>,
  notes: string[],
): void {
  const key = KEYS.taskExecutor('te');
  for (const operation of transaction.success) {
    if (operation.type !== 'put' || operation.key !== key) continue;
    if (store.confirmed === null || BigInt(operation.value) !== store.confirmed.epoch) {
      notes.push(
        `G1: epoch ${operation.value} wrote a record while epoch ${store.confirmed?.epoch ?? 'none'} led`,
      );
    }
  }
}
