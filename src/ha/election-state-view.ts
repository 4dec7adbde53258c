import { isDeepStrictEqual } from 'node:util';
import type { LineEntry, Observation } from '../core/election/election-events.ts';
import type { Identity } from '../core/election/identity.ts';
import type { ElectionState } from './election-observer.ts';
import { parseCandidate, parseIdentity, parseLeaderRecord } from './election-records.ts';
import type { Candidate, ElectionView, LeaderRecord } from './leader-election.ts';

/** What is known before anything was seen. */
export const EMPTY_VIEW: ElectionView = {
  clusterId: null,
  generation: 0,
  candidates: [],
  leader: null,
  contradiction: null,
};

/** The state as the election's rules take it. */
export function toObservation(state: ElectionState): Observation {
  const [identity] = state.identity.keyValues;
  const [leader] = state.leader.keyValues;
  return {
    revision: state.line.revision,
    line: state.line.keyValues.map(
      ({ key, value, createRevision }): LineEntry => ({
        key,
        createRevision,
        candidate: parseCandidate(value),
      }),
    ),
    identity: identity === undefined ? null : parseIdentity(identity.value),
    identityRevision: state.identity.revision,
    leader: leader === undefined ? null : (parseLeaderRecord(leader.value)?.token ?? null),
    etcdRevision: state.storeRevision,
    listing: state.listing,
    fall: state.fall,
  };
}

/** The leader record, if it belongs to the head of the line; else nobody is confirmed, whatever it says. */
export function confirmedLeader(state: ElectionState): LeaderRecord | null {
  const [head] = state.line.keyValues;
  const [keyValue] = state.leader.keyValues;
  if (head === undefined || keyValue === undefined) return null;
  const record = parseLeaderRecord(keyValue.value);
  return record?.token.epoch === head.createRevision ? record : null;
}

/** The state as contenders see it: foreign keys are no candidates. */
export function toView(
  state: ElectionState,
  observation: Observation,
  {
    identity: known,
    contradiction,
  }: { readonly identity: Identity | null; readonly contradiction: string | null },
): ElectionView {
  const identity = observation.identity ?? known;
  return {
    clusterId: identity?.clusterId ?? null,
    generation: identity?.generation ?? 0,
    candidates: observation.line.flatMap(({ candidate, createRevision }): Candidate[] =>
      candidate === null ? [] : [{ ...candidate, createRevision }],
    ),
    // Of an etcd that is not believed, the leader is not believed either.
    leader: contradiction === null ? confirmedLeader(state) : null,
    contradiction,
  };
}

/** Whether two views tell the same. */
export function sameView(a: ElectionView, b: ElectionView): boolean {
  return isDeepStrictEqual(a, b);
}
