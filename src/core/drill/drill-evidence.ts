import type { JournalsFacts } from '../audit/audit.ts';
import type { StoreFacts } from '../audit/store-facts.ts';
import type { StoreEvent } from '../audit/store-log.ts';
import type { FencingToken } from '../fencing-token.ts';

/** Why the load asked for a slot: to hold it briefly, to hold it for the whole drill, or to wait at a fault. */
export type LoadPurpose = 'steady' | 'long-held' | 'waiting';

interface ObservedRequest {
  /** Counts up over the whole drill. */
  readonly requestId: number;
  readonly jobId: string;
  readonly purpose: LoadPurpose;
  readonly atWallMs: number;
}

/** A slot that is in the hand of the load, as the SDK says. */
export interface ObservedSlot {
  readonly allocationId: string;
  /** `resource/slot`. */
  readonly slot: string;
  readonly grantNumber: number;
}

/** What a user of the SDK saw. Each request has one `asked` and one of `claimed`, `failed` and `cancelled`, or none. */
export type LoadObservation =
  | ({ readonly type: 'asked' } & ObservedRequest)
  | ({
      readonly type: 'claimed';
      /** Of the leader that the job master obeyed at that moment. */
      readonly token: FencingToken | null;
    } & ObservedRequest &
      ObservedSlot)
  /** The SDK rejected it: an error that a user sees. */
  | ({ readonly type: 'failed'; readonly code: string; readonly detail: string } & ObservedRequest)
  /** Withdrawn by the load itself, at the end of the drill. */
  | ({ readonly type: 'cancelled' } & ObservedRequest)
  /** Given back by the load itself. */
  | ({ readonly type: 'released' } & ObservedRequest & ObservedSlot)
  /** Ended although the load had not given it back. `excused` when the fault of the round ends it rightly. */
  | ({
      readonly type: 'lost';
      readonly code: string;
      readonly detail: string;
      readonly excused: string | null;
    } & ObservedRequest &
      ObservedSlot)
  /** A job of the load ended by itself. */
  | {
      readonly type: 'job-failed';
      readonly jobId: string;
      readonly code: string;
      readonly detail: string;
      readonly atWallMs: number;
    };

/** A command of a leader that a task executor refused, as its journal says. */
export interface CommandRefusal {
  readonly resourceId: string;
  readonly token: FencingToken;
  readonly code: string;
  readonly atWallMs: number;
}

/** A resource manager as a leader, as a confirm in the store tells of it. */
export interface DrillLeader {
  readonly resourceManagerId: string;
  readonly generation: number;
  readonly epoch: bigint;
  readonly leaderSessionId: string;
}

/** One point of a timeline. */
export interface DrillMark {
  readonly atWallMs: number;
  /** What it happened to: `drill`, `etcd`, `load`, or the name of a process. */
  readonly lane: string;
  readonly label: string;
  readonly kind: 'fault' | 'leader' | 'store' | 'load' | 'repair' | 'note';
}

/** One fault and what came of it. */
export interface DrillRound {
  /** 1 at first, over all scenarios of the drill. */
  readonly round: number;
  readonly scenario: string;
  /** What was done to whom, for people: `SIGKILL to rm-2`. */
  readonly fault: string;
  readonly faultAtWallMs: number;
  readonly leaderBefore: DrillLeader;
  readonly leaderAfter: DrillLeader;
  /** From the fault to the confirm of the next leader, as the watch told it; null when the leader stayed. */
  readonly confirmMs: number | null;
  /** From the fault until a leader's first accepted call; where the leader stayed, how long it did not serve. Null when it always did. */
  readonly leaderlessMs: number | null;
  /** From the fault to the first slot claimed under the new leader by a request that waited when it was confirmed; null when none was lost. */
  readonly firstGrantMs: number | null;
  /** The term ended only by the TTL of its lease. */
  readonly fellBackToTtl: boolean;
  /** Why history says that the former term ended; null when it did not. */
  readonly ended: { readonly reason: string; readonly evidence: string } | null;
  /** Requests without a slot in the moment of the fault. */
  readonly waitingAtFault: number;
  /** Leaders that were confirmed after faults under which the leader must stay. */
  readonly needlessChanges: number;
  readonly sdkErrors: number;
  /** Commands under a token that was no longer the highest, each refused by its task executor. */
  readonly staleRefused: number;
  readonly leasesLost: number;
  readonly doubleGrants: number;
  readonly requestsLost: number;
  /** Longest time after a higher epoch's confirm at which an effect of a lower one began and was accepted. */
  readonly overlapMs: number;
  readonly marks: readonly DrillMark[];
}

/**
 * All that a drill is judged by. Nothing of it is what a resource manager says of itself. All times of a drill are
 * times of day of one machine, in ms since 1970, with fractions.
 */
export interface DrillEvidence {
  readonly cluster: string;
  /** Every event under the cluster's prefix, in order of revision; none is missing. */
  readonly events: readonly StoreEvent[];
  /** What the store kept at the end. */
  readonly store: StoreFacts;
  readonly journals: JournalsFacts;
  readonly refusals: readonly CommandRefusal[];
  readonly observations: readonly LoadObservation[];
  readonly rounds: readonly DrillRound[];
  /** Time to live of a candidate's lease, as granted. */
  readonly leaseTtlMs: number;
  /** Within it a leader must be confirmed while etcd answers (G8), per round. */
  readonly liveWithinMs: number;
}

/** The guarantees of the design, in order. */
export const DRILL_GUARANTEES = ['G1', 'G2', 'G3', 'G4', 'G5', 'G6', 'G7', 'G8', 'G9'] as const;
export type DrillGuarantee = (typeof DRILL_GUARANTEES)[number];

/** Whether a guarantee held in all that was seen of it; `unseen` when no evidence bears on it. */
export type GuaranteeVerdict = 'held' | 'broken' | 'unseen';

/** One broken guarantee, where it shows, for people and scripts. */
export interface DrillViolation {
  readonly guarantee: DrillGuarantee;
  /** Name of the rule that was broken. */
  readonly rule: string;
  readonly detail: string;
  /** Keys, revisions, lines of journals, requests. */
  readonly places: readonly string[];
  /** Round in which it happened; null when it belongs to none. */
  readonly round: number | null;
}

/** What a judge of a drill says. */
export interface DrillVerdict {
  readonly guarantees: Readonly<Record<DrillGuarantee, GuaranteeVerdict>>;
  readonly violations: readonly DrillViolation[];
  /** How many pieces of evidence were judged: `leases`, `terms`, `tokens`, … */
  readonly judged: Readonly<Record<string, number>>;
}

/** Nearest-rank percentiles of a sample. */
export interface Distribution {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** The numbers of one scenario, or of all of them together. */
export interface DrillSummary {
  readonly scenario: string;
  readonly rounds: number;
  /** Null when no round lost its leader. */
  readonly leaderlessMs: Distribution | null;
  readonly firstGrantMs: Distribution | null;
  readonly overlapMs: { readonly max: number };
  readonly needlessChanges: number;
  readonly sdkErrors: number;
  readonly staleRefused: number;
  readonly leasesLost: number;
  readonly doubleGrants: number;
  readonly requestsLost: number;
  readonly fellBackToTtl: number;
}

/** A whole drill: its sum, one summary for each scenario, each round, and the verdict. */
export interface DrillReport extends DrillSummary {
  readonly guarantees: DrillVerdict['guarantees'];
  readonly violations: readonly DrillViolation[];
  readonly judged: Readonly<Record<string, number>>;
  readonly scenarios: readonly DrillSummary[];
  readonly perRound: readonly DrillRound[];
  readonly startedWallMs: number;
  readonly endedWallMs: number;
  /** What the drill ran on, for people: etcd members, processes, slots, load, machine. */
  readonly conditions: Readonly<Record<string, string | number>>;
  /** What these figures do not say, in sentences. */
  readonly limits: readonly string[];
}
