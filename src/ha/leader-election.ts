import type { Identity } from '../core/election/identity.ts';
import type { PeerSighting } from '../core/election/peer-sighting.ts';
import type { WorkerKnowledge } from '../core/election/worker-witnesses.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import type { BootNonce, ClusterId, LeaderSessionId, ResourceManagerId } from '../core/ids.ts';
import type { Problem } from '../core/problem.ts';
import type { Compare, KeyValue, Operation, OperationResult } from './coordination-store.ts';

/** One resource manager in line for leadership, in the order of its create revision. */
export interface Candidate {
  readonly resourceManagerId: ResourceManagerId;
  readonly address: string;
  readonly bootNonce: BootNonce;
  /** Version of its software, for people. */
  readonly version: string;
  /** Newest and oldest version of the messages that it speaks. */
  readonly protocolVersion: number;
  readonly oldestProtocolVersion: number;
  readonly createRevision: bigint;
}

/** The confirmed leader as etcd shows it; valid while the head of the line has its epoch. */
export interface LeaderRecord {
  readonly resourceManagerId: ResourceManagerId;
  readonly address: string;
  readonly token: FencingToken;
  readonly confirmedAt: string;
}

/** Everything that the election knows of the cluster; a new object at each change. */
export interface ElectionView {
  /** Null until the identity has been read or created. */
  readonly clusterId: ClusterId | null;
  readonly generation: number;
  readonly candidates: readonly Candidate[];
  /** Null while nobody is confirmed. */
  readonly leader: LeaderRecord | null;
  /**
   * Why etcd is not taken for the one of this cluster, so that nothing is confirmed here until an operator declares
   * a new generation; null while it is.
   */
  readonly contradiction: string | null;
}

/** What declaring a new generation would do, as this process sees etcd and its workers. */
export interface GenerationPlan {
  /** What etcd holds; null when it holds none. */
  readonly present: Identity | null;
  /** What would be written. */
  readonly identity: Identity;
  /** Workers that know anything of their cluster, and how many of them contradict etcd. */
  readonly informedWorkers: number;
  readonly contradictingWorkers: number;
  /** As in `ElectionView`; null where nothing calls for a new generation. */
  readonly contradiction: string | null;
}

/** Writes guarded by the leader's own candidate key (G1); `alsoIf` adds to the guard. */
export interface GuardedWrite {
  readonly alsoIf: readonly Compare[];
  readonly operations: readonly Operation[];
  /** Read in the else branch: what would have been written, to recognise an earlier copy of this write (G5). */
  readonly readBack: readonly Operation[];
}

/**
 * What became of a guarded write. `refused`: one of `alsoIf` did not hold, or an earlier copy committed: the
 * records read tell which. `deposed`: the own candidate key is gone, so it never was and never will be done
 * unless an earlier copy was. `full`: the store had no space for it; unless it `isCertain`, an earlier copy may have
 * committed all the same, or may later. `abandoned`: the term ended before there was a definite answer.
 */
export type GuardedOutcome =
  | { readonly kind: 'committed'; readonly revision: bigint; readonly results: readonly OperationResult[] }
  | { readonly kind: 'refused'; readonly revision: bigint; readonly results: readonly OperationResult[] }
  | { readonly kind: 'full'; readonly isCertain: boolean }
  | { readonly kind: 'deposed' }
  | { readonly kind: 'abandoned' };

/** The beginning of a folder, in the order of its keys; `more`: there are further ones. */
export interface FolderStart {
  readonly keyValues: readonly KeyValue[];
  readonly more: boolean;
}

/** Who was registered when a term began. */
export interface Registrations {
  readonly taskExecutors: FolderStart;
  readonly jobMasters: FolderStart;
}

/** One confirmed term of office. A new object for each; it can do nothing once its term is over. */
export interface Leadership {
  readonly token: FencingToken;
  readonly clusterId: ClusterId;
  /**
   * Whether an effect may begin in this very turn (G6): confirmed, not revoked, the serving deadline ahead, no
   * gap unproved. Ask for each effect, not for a batch.
   */
  mayServe(): boolean;
  /**
   * The first keys under each folder of registrations, as they stood when the confirm committed: nobody else writes
   * there afterwards. Null when they are not known, and are to be read.
   */
  readonly registrations: Registrations | null;
  /** Whether the term has not been revoked; true while merely suspended. */
  readonly current: boolean;
  /** Sends the write until there is a definite answer; never rejects. */
  write(write: GuardedWrite): Promise<GuardedOutcome>;
}

/** Who wants to lead (Flink's `LeaderContender`). Calls come one at a time. */
export interface LeaderContender {
  /** First in line. The contender makes itself ready and then calls `confirmLeaderSessionId`. */
  grantLeadership(leaderSessionId: LeaderSessionId): void;
  /** The confirm is known to have committed (G5). Whatever is read from now on was written before or under this term. */
  leadershipConfirmed(leadership: Leadership): void;
  /** Whatever was granted is over; books are to be dropped in this very turn. */
  revokeLeadership(reason: string): void;
  /** Suspended or serving again; only between confirmation and revocation. */
  servingChanged(serving: boolean): void;
  /** The line or the leader changed; also called once after `start`. */
  viewChanged(view: ElectionView): void;
  /**
   * Passes through everything that serves requests (mailbox and slot manager) and calls back from there: a
   * loop that hangs, hangs here too, and so loses its leadership.
   */
  probe(done: () => void): void;
  /** How many task executors it is connected to, leading or not. */
  reachableTaskExecutors(): number;
  /** Nothing can go on; the process must end with this error (Flink's `handleError`). */
  handleError(error: Error): void;
}

/** Why and for whom a leader goes. */
export interface Resignation {
  readonly reason: string;
  /** Hand over to this candidate: the ones ahead of it are moved behind. */
  readonly to?: ResourceManagerId;
}

/** Elects one of several contenders (Flink's `LeaderElectionService`). */
export interface LeaderElectionService {
  /** Joins the line, and joins it again after each loss, until `stop`. */
  start(contender: LeaderContender): void;
  /** Answers a grant; ignored when the session is not the granted one any more. */
  confirmLeaderSessionId(leaderSessionId: LeaderSessionId): void;
  /** Whether this is the session of the confirmed term, revoked or not being the question. */
  hasLeadership(leaderSessionId: LeaderSessionId): boolean;
  readonly view: ElectionView;
  /** Whether the store is known to refuse writes for want of space: then nobody can be confirmed. */
  readonly storeFull: boolean;
  /** Why leadership had better not be given away now, as nobody could be confirmed; null when it may. Never rejects. */
  whyNotResign(): Promise<Problem | null>;
  /**
   * Takes what the contender sees of the other candidates, the only ground besides a challenge on which one of
   * them is deposed before its lease has run out. Without `watching` first, silence means nothing.
   */
  peerSighted(sighting: PeerSighting): void;
  /**
   * Takes what a task executor or job master says that it knows, null once its connection has ended. Where most of
   * them contradict etcd, it was wiped or restored, and nothing is confirmed. Processes of one `name` that have gone
   * count no more once another of it has spoken.
   */
  workerHeard(worker: string, knowledge: WorkerKnowledge | null, name?: string): void;
  /** What `declareGeneration` would do now; rejects with `UNAVAILABLE` when etcd does not answer. */
  planGeneration(): Promise<GenerationPlan>;
  /**
   * Says that etcd was wiped or restored: writes the cluster id that the workers know and a generation above every
   * other, and removes leader record and head of the line, all in one transaction. Resolves to the identity that
   * stands then. With the generation of a plan it may be repeated: once that one or a later one stands, nothing is
   * done. Rejects with `CONFLICT` when a higher one has become necessary since, `STORE_FULL`, or `NO_ANSWER` when
   * nothing is known.
   */
  declareGeneration(generation: number | null): Promise<Identity>;
  /**
   * Gives up leadership in one transaction: history, own key and record; then queues again. Resolves when it is
   * known to be done; rejects with `NOT_LEADER`, or `CONFLICT` when `to` is not in line, and changes nothing then.
   */
  resign(resignation: Resignation): Promise<void>;
  /** Resigns if it leads, leaves the line, and releases the lease; resolves when answered or the lease has run out. */
  stop(reason: string): Promise<void>;
}
