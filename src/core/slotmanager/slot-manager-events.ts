import type { CommandNumber } from '../command-number.ts';
import type { AllocationId, InstanceId, JobId, JobMasterId, ResourceId } from '../ids.ts';
import type { RegistrationOrder } from '../messages/primitives.ts';
import type {
  SlotCommand,
  SlotCommandResult,
  SlotGrant,
  SlotReport,
  SlotRequest,
  Whereabouts,
} from '../messages/slots.ts';
import type { Problem } from '../problem.ts';
import type { ResourceProfile } from '../resource-profile.ts';

/** What a leader's slot manager is told. One slot manager serves one term; it starts with empty books. */
export type SlotManagerEvent =
  /** Read from etcd at take-over: registered with a former leader and not heard of yet. Holds the grace and the brake. */
  | {
      readonly type: 'taskExecutorExpected';
      readonly resourceId: ResourceId;
      readonly instanceId: InstanceId | null;
      readonly slots: number;
    }
  /** Registered with this leader (its record is written), with a full report. A new instance replaces the old one's slots. */
  | {
      readonly type: 'taskExecutorRegistered';
      readonly resourceId: ResourceId;
      readonly instanceId: InstanceId;
      readonly address: string;
      readonly provider: string | null;
      readonly report: SlotReport;
    }
  | {
      readonly type: 'slotsReported';
      readonly resourceId: ResourceId;
      readonly instanceId: InstanceId;
      readonly report: SlotReport;
    }
  /** The heartbeat names a report that has not arrived. */
  | {
      readonly type: 'reportNumberSeen';
      readonly resourceId: ResourceId;
      readonly instanceId: InstanceId;
      readonly reportNumber: number;
    }
  /** Its connection broke or it is silent: its slots become `unknown`, given to nobody (G9). */
  | {
      readonly type: 'taskExecutorUnreachable';
      readonly resourceId: ResourceId;
      readonly instanceId: InstanceId;
    }
  /** Said goodbye, forgotten by an operator, or failed for longer than any lease of it can last: its slots are gone. */
  | { readonly type: 'taskExecutorGone'; readonly resourceId: ResourceId; readonly reason: string }
  /** It has seen a token above ours although we lead (a wrong receiver): gets nothing until it registers again. */
  | { readonly type: 'taskExecutorAhead'; readonly resourceId: ResourceId }
  /** `answerKey` comes back in `acknowledgeSlotRequests`. The job master is registered with this leader. */
  | {
      readonly type: 'slotsRequested';
      readonly answerKey: number;
      readonly jobId: JobId;
      readonly jobMasterId: JobMasterId;
      readonly order: RegistrationOrder;
      readonly requests: readonly SlotRequest[];
    }
  | {
      readonly type: 'slotRequestsCancelled';
      readonly jobId: JobId;
      readonly jobMasterId: JobMasterId;
      readonly allocationIds: readonly AllocationId[];
    }
  | {
      readonly type: 'slotRejected';
      readonly jobId: JobId;
      readonly jobMasterId: JobMasterId;
      readonly allocationId: AllocationId;
      readonly resourceId: ResourceId;
      readonly slotNumber: number;
      readonly grantNumber: number;
      readonly reason: 'not-wanted' | 'unreachable';
    }
  /** Ids that the job master still waits for; those that have a slot are told to it again. */
  | {
      readonly type: 'jobMasterHeartbeat';
      readonly answerKey: number;
      readonly jobId: JobId;
      readonly jobMasterId: JobMasterId;
      readonly unfinished: readonly AllocationId[];
    }
  /** Task executors that it holds leases of and cannot reach there; it is told where they are if that is elsewhere. */
  | {
      readonly type: 'taskExecutorsMissed';
      readonly jobMasterId: JobMasterId;
      readonly missed: readonly Whereabouts[];
    }
  /** Goodbye, superseded by another process of the job, or silent for longer than its leases: its waiting requests end. */
  | {
      readonly type: 'jobMasterGone';
      readonly jobId: JobId;
      readonly jobMasterId: JobMasterId;
      readonly reason: string;
    }
  /** Answer to `sendSlotCommands`. `noAnswer`: timed out, the connection broke, or it was never sent. */
  | {
      readonly type: 'slotCommandsAnswered';
      readonly resourceId: ResourceId;
      readonly instanceId: InstanceId;
      readonly number: CommandNumber;
      readonly outcome:
        | { readonly kind: 'done'; readonly results: readonly SlotCommandResult[] }
        | { readonly kind: 'problem'; readonly problem: Problem }
        | { readonly kind: 'noAnswer'; readonly detail: string };
    }
  /** Late word from elsewhere that a request's slot failed (Flink's `handleSlotRequestFailedAtTaskManager`). */
  | {
      readonly type: 'slotRequestFailedAtTaskExecutor';
      readonly allocationId: AllocationId;
      readonly resourceId: ResourceId;
      readonly slotNumber: number;
      readonly problem: Problem;
    }
  | { readonly type: 'drainRequested'; readonly resourceId: ResourceId; readonly draining: boolean }
  /** Ends a worker of a provider that has been idle. */
  | { readonly type: 'stopRequested'; readonly resourceId: ResourceId }
  /** Time has come for whatever `nextDueMs` announced. */
  | { readonly type: 'tick' };

/** What the slot manager wants done. Each may fail or be lost; what must not be lost is asked for again. */
export type SlotManagerEffect =
  | {
      readonly type: 'acknowledgeSlotRequests';
      readonly answerKey: number;
      readonly results: readonly { readonly allocationId: AllocationId; readonly problem: Problem | null }[];
    }
  | {
      readonly type: 'answerHeartbeat';
      readonly answerKey: number;
      readonly unknown: readonly AllocationId[];
    }
  /** One numbered call; no other is sent to this task executor before its answer. */
  | {
      readonly type: 'sendSlotCommands';
      readonly resourceId: ResourceId;
      readonly instanceId: InstanceId;
      readonly number: CommandNumber;
      readonly commands: readonly SlotCommand[];
    }
  | {
      readonly type: 'notifySlotsAllocated';
      readonly jobId: JobId;
      readonly jobMasterId: JobMasterId;
      readonly grants: readonly SlotGrant[];
    }
  | {
      readonly type: 'failSlotRequest';
      readonly jobId: JobId;
      readonly jobMasterId: JobMasterId;
      readonly allocationId: AllocationId;
      readonly problem: Problem;
    }
  /** A hint: the job master asks the task executor at once. */
  | {
      readonly type: 'checkAllocations';
      readonly jobId: JobId;
      readonly allocationIds: readonly AllocationId[];
    }
  | { readonly type: 'requestSlotReport'; readonly resourceId: ResourceId; readonly instanceId: InstanceId }
  /** A request waits that no slot fits (Flink's `allocateContainer`); once for each request until it is fulfilled. */
  | {
      readonly type: 'allocateContainer';
      readonly allocationId: AllocationId;
      readonly profile: ResourceProfile;
    }
  /** For the log, the events stream and the operator. */
  | {
      readonly type: 'report';
      readonly level: 'info' | 'warn' | 'error';
      readonly event: string;
      readonly fields: Readonly<Record<string, string | number | bigint | boolean | null>>;
    };

export type SlotState = 'free' | 'requested' | 'allocated' | 'quarantined' | 'unknown';

/** One slot as the books show it. */
export interface SlotView {
  readonly resourceId: ResourceId;
  readonly slotNumber: number;
  readonly state: SlotState;
  readonly profile: ResourceProfile;
  readonly allocationId: AllocationId | null;
  readonly jobId: JobId | null;
  readonly jobMasterId: JobMasterId | null;
  readonly grantNumber: number | null;
  /** Whether its allocation is being put out by a command, or will be once its task executor can be reached. */
  readonly beingFreed: boolean;
}

/** One task executor as the books show it. */
export interface TaskExecutorSlotsView {
  readonly resourceId: ResourceId;
  readonly instanceId: InstanceId | null;
  readonly state: 'expected' | 'registered' | 'unreachable' | 'ahead';
  readonly draining: boolean;
  readonly provider: string | null;
  readonly slots: number;
  readonly freeSlots: number;
  /** Since when every slot of it is free, on the monotonic clock; null while one is in use. */
  readonly idleSinceMs: number | null;
}

export interface SlotCounts {
  readonly total: number;
  readonly free: number;
  readonly requested: number;
  readonly allocated: number;
  readonly quarantined: number;
  readonly unknown: number;
}

/** The RM's book of slots and pending requests: pure, synchronous, one for each term (Flink's `SlotManager`). */
export interface SlotManager {
  /** Takes one event and returns what is to be done, in order. `nowMs` is monotonic and never falls. */
  handle(event: SlotManagerEvent, nowMs: number): SlotManagerEffect[];
  /** When the next `tick` is due; null when nothing waits for time. */
  nextDueMs(): number | null;
  slotCounts(): SlotCounts;
  pendingRequests(): number;
  slots(): Iterable<SlotView>;
  taskExecutors(): Iterable<TaskExecutorSlotsView>;
  /** Non-null while the books are not complete: how many registered task executors are silent, and until when it waits. */
  recovery(): {
    readonly silent: number;
    readonly expected: number;
    readonly braked: boolean;
    readonly untilMs: number;
  } | null;
}
