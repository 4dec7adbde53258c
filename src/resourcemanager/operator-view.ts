import type {
  AllocationId,
  InstanceId,
  JobId,
  JobMasterId,
  LeaderSessionId,
  ResourceId,
  ResourceManagerId,
} from '../core/ids.ts';
import type { Identity } from '../core/election/identity.ts';
import type { GenerationPlan } from '../ha/leader-election.ts';
import type { ResourceProfile } from '../core/resource-profile.ts';
import type { SlotCounts, SlotState } from '../core/slotmanager/slot-manager-events.ts';

/**
 * Where a resource manager stands. `starting`: has not joined the line yet. `standby`: in line, somebody else
 * leads or nobody does. `confirming`: first in line, the confirm is not known to have committed. `serving`:
 * the confirmed leader. `suspended`: confirmed, but its leadership is being checked. `stopping`: on its way out.
 */
export type ResourceManagerState =
  | 'starting'
  | 'standby'
  | 'confirming'
  | 'serving'
  | 'suspended'
  | 'stopping';

/** What this process says of itself; never fails. */
export interface ResourceManagerStatus {
  readonly cluster: string;
  readonly resourceManagerId: ResourceManagerId;
  readonly address: string;
  readonly version: string;
  readonly state: ResourceManagerState;
  /** `/readyz`: on the leader, and on a standby that is in line and could take over. */
  readonly ready: boolean;
  /** `/leaderz`: on the confirmed, serving leader only. */
  readonly serving: boolean;
  /** A sentence: why nothing is confirmed here although etcd answers; null while etcd is believed. */
  readonly contradiction: string | null;
  /** Of its own confirmed term; null when it has none. */
  readonly leaderSessionId: LeaderSessionId | null;
  readonly epoch: bigint | null;
  /** Whether etcd is known to refuse writes for want of space: nobody can register or be confirmed. */
  readonly storeFull: boolean;
}

/** The confirmed leader, as `/v1/leader` shows it. */
export interface LeaderView {
  readonly resourceManagerId: ResourceManagerId;
  readonly address: string;
  readonly leaderSessionId: LeaderSessionId;
  readonly generation: number;
  readonly epoch: bigint;
}

/** Another candidate as the leader sees it over its own connection to it. */
export interface StandbyView {
  readonly resourceManagerId: ResourceManagerId;
  readonly address: string;
  readonly version: string;
  /** Whether the leader's connection to it stands. */
  readonly connected: boolean;
  /** Connected, answered the last ping, and is the process that stands in line. */
  readonly ready: boolean;
}

export interface OverviewView {
  readonly role: 'leader' | 'standby';
  readonly state: ResourceManagerState;
  readonly leader: LeaderView;
  readonly standbys: readonly StandbyView[];
  readonly taskExecutors: number;
  readonly slots: SlotCounts;
  readonly pendingRequests: number;
  readonly jobMasters: number;
  /** Whether etcd refuses writes for want of space: nobody can register, and nobody could take over. */
  readonly storeFull: boolean;
  /** Non-null while the books are not complete after a take-over. */
  readonly recovery: {
    readonly silentTaskExecutors: number;
    readonly expectedTaskExecutors: number;
    readonly braked: boolean;
    readonly remainingMs: number;
  } | null;
}

/** One slot, as `/v1/slots` shows it. */
export interface SlotRow {
  readonly resourceId: ResourceId;
  readonly slotNumber: number;
  readonly state: SlotState;
  readonly allocationId: AllocationId | null;
  readonly jobId: JobId | null;
  readonly jobMasterId: JobMasterId | null;
  readonly grantNumber: number | null;
  readonly profile: ResourceProfile;
  /** Whether its allocation is being put out by a command, or will be once its task executor can be reached. */
  readonly beingFreed: boolean;
}

/** One task executor, as `/v1/task-executors` shows it. */
export interface TaskExecutorRow {
  readonly resourceId: ResourceId;
  readonly instanceId: InstanceId | null;
  readonly address: string | null;
  readonly state: 'expected' | 'registered' | 'unreachable' | 'ahead';
  readonly connected: boolean;
  readonly draining: boolean;
  /** Name of the worker provider that started it; null when started by hand. */
  readonly provider: string | null;
  readonly slots: number;
  readonly freeSlots: number;
  /** Since its last message to this leader; null before the first. */
  readonly silentForMs: number | null;
}

/** One job master, as `/v1/job-masters` shows it. */
export interface JobMasterRow {
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
  /** `expected`: known from etcd, has not registered with this leader yet. */
  readonly state: 'expected' | 'registered' | 'unreachable';
  readonly connected: boolean;
  readonly allocatedSlots: number;
  readonly silentForMs: number | null;
}

/** One term of office: its key's numbers, and what stands in etcd for it. */
export interface HistoryRow {
  readonly generation: number;
  readonly epoch: bigint;
  /** Create revision of the row: the revision of the confirm, unless the term was never confirmed. */
  readonly createRevision: bigint;
  /** Revision of the last write to the row; above `createRevision` once the end of the term was recorded. */
  readonly modRevision: bigint;
  /** The JSON object in etcd: `resourceManagerId`, why it ended, on what evidence, by whom, and more. */
  readonly record: Readonly<Record<string, unknown>>;
}

/** Which part of a listing: at most `limit` rows (1 to 1,000), after the place that an earlier page's `next` names. */
export interface PageRequest {
  readonly limit: number;
  readonly after: string | null;
}

/** A part of a listing, in the order of its keys. `next` is null on the last page. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly next: string | null;
}

export type ClusterEventKind = 'leadership' | 'registration' | 'allocation' | 'failure';

/** Something that happened in the cluster, as this process saw it. */
export interface ClusterEvent {
  /** Counts up by 1 within one process; starts again at 1 with the next. */
  readonly id: number;
  /** Wall clock, ISO 8601. */
  readonly at: string;
  readonly kind: ClusterEventKind;
  readonly event: string;
  readonly fields: Readonly<Record<string, string | number | bigint | boolean | null>>;
}

/** Ends a subscription; nothing comes after it. */
export interface Subscription {
  cancel(): void;
}

/**
 * What an operator may see of one resource manager. A promise rejects with a `QuartermasterError`:
 * `NOT_LEADER` with the leader's place when somebody else leads, `NO_LEADER` when nobody does, `SUSPENDED`
 * while this leader is being checked, `UNAVAILABLE` when it is going away.
 */
export interface ResourceManagerView {
  status(): ResourceManagerStatus;
  /** The leader as this process knows it, leading or not; null when there is none. */
  leader(): LeaderView | null;
  /** Told the present leader at once, then each change; null when there is none. */
  watchLeader(onChange: (leader: LeaderView | null) => void): Subscription;
  overview(): Promise<OverviewView>;
  slots(page: PageRequest): Promise<Page<SlotRow>>;
  taskExecutors(page: PageRequest): Promise<Page<TaskExecutorRow>>;
  jobMasters(page: PageRequest): Promise<Page<JobMasterRow>>;
  /** Newest first; a standby answers it too while nobody leads. */
  history(page: PageRequest): Promise<Page<HistoryRow>>;
  /**
   * Events in order: first those kept (a bounded number) with an id above `afterId`, none of them when it is
   * null, then each as it happens. `onEvent` must not block; a slow reader is the subscriber's to cut off.
   */
  watchEvents(afterId: number | null, onEvent: (event: ClusterEvent) => void): Subscription;
}

/** What an operator may order; each is refused like a read of `ResourceManagerView`, and changes nothing then. */
export interface ResourceManagerOperations {
  /**
   * Hands leadership over, to `to` when it is given. `CONFLICT` says why `to` cannot take over: not in line,
   * not connected, not ready, or of a version that does not fit. Resolves when the hand-over has committed.
   */
  stepDown(order: { readonly to: ResourceManagerId | null; readonly reason: string }): Promise<void>;
  /** What `newGeneration` would do; answered by every resource manager, leading or not. */
  planGeneration(): Promise<GenerationPlan>;
  /**
   * Declares that etcd was wiped or restored, on whichever resource manager: see
   * `LeaderElectionService.declareGeneration`. Resolves to the identity that stands then.
   */
  newGeneration(generation: number | null): Promise<Identity>;
  /** No new slots from it, or new ones again; `UNKNOWN_TASK_EXECUTOR`. */
  drain(resourceId: ResourceId, draining: boolean): Promise<void>;
  /** Removes its record and its slots from the books; `UNKNOWN_TASK_EXECUTOR`. One that lives registers again. */
  forgetTaskExecutor(resourceId: ResourceId): Promise<void>;
  /** Removes its record and ends its waiting requests; `UNKNOWN_JOB_MASTER`. One that lives registers again. */
  forgetJobMaster(jobId: JobId): Promise<void>;
}
