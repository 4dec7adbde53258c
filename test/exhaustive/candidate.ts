import type { ElectionMachine } from '../../src/core/election/election-machine.ts';
import type { FencingToken } from '../../src/core/fencing-token.ts';
import type { BootNonce, LeaderSessionId, ResourceManagerId } from '../../src/core/ids.ts';
import type { LeaderRecord } from '../../src/ha/leader-election.ts';
import type { Call, StoreRequest } from './election-calls.ts';
import { ELECTION_SETTINGS, type ElectionMachines } from './election-machines.ts';
import { nothingRead, type ReadAhead } from './known-history.ts';

/** One candidacy's dealings with the store. */
interface Session {
  readonly number: number;
  readonly leaseId: bigint;
  readonly key: string;
  readonly leaderSessionId: LeaderSessionId;
  createRevision: bigint | null;
  record: LeaderRecord | null;
  confirmed: boolean;
  grants: number;
}

/** A resource manager as a candidate: the election machine that ships, and a shell that sends the transactions that ship. */
export interface CandidateProcess {
  readonly kind: 'rm';
  readonly index: number;
  readonly machine: ElectionMachine;
  session: Session | null;
  calls: readonly Call[];
  /** Calls of ended candidacies, of which a copy may still be carried out. */
  orphans: readonly StoreRequest[];
  nextCall: number;
  identityValue: string | null;
  leads: { readonly candidacy: number; readonly token: FencingToken } | null;
  /** Boot nonces of processes that it has a connection to. */
  reached: readonly string[];
  /** What was observed last. */
  seen: string;
  /** Null for one that reads history before each confirm. */
  readonly ahead: ReadAhead | null;
}

/** Of the process of that number. */
export function nonceOf(index: number): BootNonce {
  return `nonce-${index}` as BootNonce;
}

/** Id of the process of that number. */
export function candidateName(index: number): ResourceManagerId {
  return `rm-${index}` as ResourceManagerId;
}

/** One that has not been told to start yet; `readsAhead` as resource managers do. */
export function startCandidate(
  machines: ElectionMachines,
  index: number,
  readsAhead: boolean,
): CandidateProcess {
  return {
    kind: 'rm',
    index,
    machine: new machines.ElectionMachine(ELECTION_SETTINGS, nonceOf(index)),
    session: null,
    calls: [],
    orphans: [],
    nextCall: 1,
    identityValue: null,
    leads: null,
    reached: [],
    seen: '',
    ahead: readsAhead ? nothingRead() : null,
  };
}

/** Whether carrying it out late could change anything. */
export function isWrite(request: StoreRequest): boolean {
  if (request.kind !== 'transact') return false;
  const { success, failure } = request.transaction;
  return [...success, ...failure].some(({ type }) => type !== 'range');
}
