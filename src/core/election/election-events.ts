import type { FencingToken } from '../fencing-token.ts';
import type { BootNonce, ClusterId, LeaderSessionId, ResourceManagerId } from '../ids.ts';
import type { ProblemCode } from '../problem.ts';
import type { Identity } from './identity.ts';
import type { Instant } from './leadership-clock.ts';
import type { PeerSighting } from './peer-sighting.ts';
import type { WorkerKnowledge } from './worker-witnesses.ts';

/** What a candidate writes into its key. */
export interface CandidateValue {
  readonly resourceManagerId: ResourceManagerId;
  readonly address: string;
  readonly bootNonce: BootNonce;
  /** Of its software, for people. */
  readonly version: string;
  /** The newest version of the messages that it speaks. */
  readonly protocolVersion: number;
  readonly oldestProtocolVersion: number;
}

/** One key under `election/`. It stands in line whatever its value is. */
export interface LineEntry {
  readonly key: string;
  readonly createRevision: bigint;
  /** Null for a foreign key: its value is no candidate's. */
  readonly candidate: CandidateValue | null;
}

/** The line as it stood at `revision`, lowest create revision first, and the identity beside it. */
export interface Observation {
  readonly revision: bigint;
  readonly line: readonly LineEntry[];
  /** Null when there is none that can be read. */
  readonly identity: Identity | null;
  /** Revision as of which the identity was so; it may be another one than that of the line. */
  readonly identityRevision: bigint;
  /** Token that the leader record names; null when there is none that can be read. */
  readonly leader: FencingToken | null;
  /** The highest revision of etcd that this was seen with. */
  readonly etcdRevision: bigint;
  /** How many listings have been answered. One that is asked for by `observe` counts, and begins after that. */
  readonly listing: number;
  /** While listings show a lower revision than was known when they were asked for. */
  readonly fall: { readonly from: bigint; readonly to: bigint } | null;
}

/** Candidates that are to be removed from the head of the line, and on what grounds. */
export interface Deposition {
  /** The head first, then others ahead that are proven dead. */
  readonly dead: readonly LineEntry[];
  /** The challenge that the head has not answered; null when its death is proven or it is foreign. */
  readonly challengeRevision: bigint | null;
  readonly evidence: string;
}

export type ChallengePutOutcome =
  /** A challenge to that head stands, ours or somebody else's. */
  | { readonly kind: 'standing'; readonly createRevision: bigint }
  /** The head, or we, are not in line any more. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'store-full' }
  | { readonly kind: 'failed' };

/** `refused`: something in the guard did not hold any more. `limited`: too many depositions of late. `store-full`: nothing was done. */
export type DepositionOutcome = 'done' | 'refused' | 'limited' | 'store-full';

export type KeepAliveOutcome =
  | { readonly kind: 'kept'; readonly ttlMs: number; readonly sent: Instant }
  /** The lease does not exist any more. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'failed' };

export type ConfirmOutcome =
  /** Known to have committed; `sent` is when the copy was sent whose answer says so. */
  | { readonly kind: 'confirmed'; readonly sent: Instant }
  | { readonly kind: 'key-gone' }
  | { readonly kind: 'identity-differs'; readonly identity: Identity | null }
  /** The key stands and nothing of ours is written: something else in the guard did not hold. */
  | { readonly kind: 'refused' }
  /** The head that was to be deposed with it has answered its challenge. */
  | { readonly kind: 'head-answered' }
  /** There were too many depositions of late; only the head's lease can end it. */
  | { readonly kind: 'limited' };

export type CheckOutcome =
  | { readonly kind: 'standing' }
  /** The key stands, and so does a question to its owner: how many task executors the asker and we reach. */
  | { readonly kind: 'challenged'; readonly askerReaches: number; readonly ownReaches: number }
  | { readonly kind: 'key-gone' }
  | { readonly kind: 'failed' };

/** What has happened. `candidacy` numbers the attempts to lead; whatever belongs to an earlier one is ignored. */
export type ElectionEvent =
  | { readonly type: 'start' }
  | { readonly type: 'tick' }
  | { readonly type: 'observed'; readonly observation: Observation }
  /** Null: there is none, and none can be created because something else is under the cluster's prefix. */
  | {
      readonly type: 'identityAnswered';
      readonly identity: Identity | null;
      /** Of the store, when it was so. */
      readonly revision: bigint;
    }
  | {
      readonly type: 'candidacyOpened';
      readonly candidacy: number;
      readonly key: string;
      readonly leaderSessionId: LeaderSessionId;
    }
  | {
      readonly type: 'leaseGranted';
      readonly candidacy: number;
      readonly ttlMs: number;
      readonly sent: Instant;
    }
  | { readonly type: 'candidateKeyPut'; readonly candidacy: number; readonly createRevision: bigint }
  /** Grant or put is definitely refused, or the lease went before the key was put. */
  | { readonly type: 'candidacyFailed'; readonly candidacy: number; readonly reason: string }
  | { readonly type: 'keepAliveAnswered'; readonly candidacy: number; readonly outcome: KeepAliveOutcome }
  | { readonly type: 'confirmRequested'; readonly leaderSessionId: LeaderSessionId }
  | { readonly type: 'confirmAnswered'; readonly candidacy: number; readonly outcome: ConfirmOutcome }
  | { readonly type: 'probed'; readonly candidacy: number; readonly check: number }
  | {
      readonly type: 'checkAnswered';
      readonly candidacy: number;
      readonly check: number;
      readonly sent: Instant;
      readonly outcome: CheckOutcome;
    }
  | {
      readonly type: 'challengePut';
      readonly candidacy: number;
      readonly epoch: bigint;
      readonly outcome: ChallengePutOutcome;
    }
  | {
      readonly type: 'challengeRead';
      readonly candidacy: number;
      readonly createRevision: bigint;
      /** Null when the store did not answer. */
      readonly standing: boolean | null;
    }
  | { readonly type: 'deposed'; readonly candidacy: number; readonly outcome: DepositionOutcome }
  /** Something was seen of another resource manager. */
  | { readonly type: 'peerSighted'; readonly sighting: PeerSighting }
  /** A task executor or job master has said what it knows; null when its connection has ended. */
  | {
      readonly type: 'workerHeard';
      /** Tells its process from every other. */
      readonly worker: string;
      /** The same for every process of that name; `worker` unless given. */
      readonly name?: string;
      readonly knowledge: WorkerKnowledge | null;
    }
  /** A call to the store failed or took too long. */
  | { readonly type: 'storeDoubted' }
  /** A guarded write found the candidate key gone. */
  | { readonly type: 'keyFoundGone'; readonly candidacy: number; readonly how: string }
  | {
      readonly type: 'resignRequested';
      readonly request: number;
      readonly reason: string;
      readonly to: ResourceManagerId | null;
    }
  /** Key and lease of an ended candidacy are known to be gone. */
  | { readonly type: 'released'; readonly candidacy: number }
  | { readonly type: 'stopRequested'; readonly reason: string };

/** To whom leadership is handed, and who stands between. */
export interface HandOver {
  readonly to: LineEntry;
  readonly ahead: readonly LineEntry[];
}

/** Why a candidacy ends, for people and for history. */
export interface EndCause {
  readonly reason: string;
  readonly evidence: string;
  /** Somebody asked for it, so it is no cause for worry. */
  readonly asked?: boolean;
  /** etcd is not the one in which it led: neither record nor row there are of its term. */
  readonly inLostEtcd?: boolean;
  readonly request?: number;
  readonly handOver?: HandOver;
}

/** How a candidacy ended. */
export interface Ending {
  readonly reason: string;
  /** What was seen that ended it. */
  readonly evidence: string;
  /** Null when the put of the key has not been answered. */
  readonly createRevision: bigint | null;
  /** Whether leadership had been granted, so that a record and a row may stand that are ours. */
  readonly granted: boolean;
  /** The request to resign that ended it. */
  readonly request: number | null;
  readonly handOver: HandOver | null;
}

/** What is to be done, in order. */
export type ElectionEffect =
  | { readonly type: 'createIdentity' }
  /** Choose lease id and session id; answered by `candidacyOpened`. */
  | { readonly type: 'openCandidacy'; readonly candidacy: number }
  | { readonly type: 'grantLease'; readonly candidacy: number }
  | { readonly type: 'putCandidateKey'; readonly candidacy: number }
  /** List the line and watch it from there on. */
  | { readonly type: 'observe'; readonly reason: string }
  | { readonly type: 'keepAlive'; readonly candidacy: number; readonly timeoutMs: number }
  | { readonly type: 'grantLeadership'; readonly leaderSessionId: LeaderSessionId }
  | {
      readonly type: 'confirm';
      readonly candidacy: number;
      readonly token: FencingToken;
      readonly identity: Identity;
      /** Who is to be deposed in the same transaction; null when nobody is ahead. */
      readonly deposition: Deposition | null;
    }
  /** Put a challenge to the head of the line, or find the one there is; answered by `challengePut`. */
  | {
      readonly type: 'putChallenge';
      readonly candidacy: number;
      readonly generation: number;
      readonly head: LineEntry;
      readonly reason: string;
    }
  /** Answered by `challengeRead`. */
  | {
      readonly type: 'readChallenge';
      readonly candidacy: number;
      readonly generation: number;
      readonly head: LineEntry;
      readonly createRevision: bigint;
    }
  /** Depose without taking over; answered by `deposed`. */
  | {
      readonly type: 'depose';
      readonly candidacy: number;
      readonly generation: number;
      readonly deposition: Deposition;
    }
  | {
      readonly type: 'leadershipConfirmed';
      readonly candidacy: number;
      readonly token: FencingToken;
      readonly clusterId: ClusterId;
    }
  | { readonly type: 'servingChanged'; readonly serving: boolean }
  /** Pass through everything that serves requests; answered by `probed`. */
  | { readonly type: 'probe'; readonly candidacy: number; readonly check: number }
  | {
      readonly type: 'sendCheck';
      readonly candidacy: number;
      readonly check: number;
      readonly token: FencingToken;
      /** `answer` also deletes the challenge that was found. */
      readonly purpose: 'look' | 'answer';
    }
  | { readonly type: 'revokeLeadership'; readonly reason: string }
  /** Give back key, record and lease; answered by `released`. */
  | { readonly type: 'release'; readonly candidacy: number; readonly ending: Ending }
  | {
      readonly type: 'refuseResignation';
      readonly request: number;
      readonly code: ProblemCode;
      readonly detail: string;
    }
  | { readonly type: 'stopped' }
  | {
      readonly type: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly event: string;
      readonly fields: Readonly<Record<string, string | number | bigint | boolean | null>>;
    };
