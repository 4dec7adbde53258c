import type { CommandNumber } from '../command-number.ts';
import type { AllocationId, InstanceId, JobId, JobMasterId, ResourceId } from '../ids.ts';
import type { RegistrationOrder } from '../messages/primitives.ts';
import type { ResourceProfile } from '../resource-profile.ts';
import type { DueEntry } from './due-queue.ts';

/** Who has or gets a slot. */
export interface SlotHolder {
  readonly allocationId: AllocationId;
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
}

/** One slot of a registered (or formerly registered) task executor. Changed only through `SlotBook`. */
export interface SlotEntry {
  readonly taskExecutor: TaskExecutorEntry;
  readonly slotNumber: number;
  profile: ResourceProfile;
  classKey: string;
  /** `requested`: asked of the task executor, not answered yet. `unknown` is the task executor's state, not the slot's. */
  state: 'free' | 'requested' | 'allocated' | 'quarantined';
  /** Non-null exactly while requested or allocated. */
  holder: SlotHolder | null;
  grantNumber: number | null;
  /** Instance under which the lease was granted; an older one for a lease from the state file. */
  grantInstanceId: InstanceId | null;
  claimed: boolean;
  /** Whether its holder is to be put out by a command: not yet queued, queued, or under way. */
  freeing: 'no' | 'wanted' | 'queued' | 'sent';
  freeAttempts: number;
  /** Number of the last command sent about this slot to this instance. */
  lastNumber: CommandNumber | null;
  /** Commands about this slot that have no number yet. */
  queuedCommands: number;
  /** Whether a report said something new of it that it could not be believed yet. */
  passedOver: boolean;
  /** Refusals in a row; it rests until `restUntilMs`. */
  refusals: number;
  restUntilMs: number;
  pool: 'none' | 'ready' | 'resting';
}

/** One request for one slot, or an allocation that only a task executor's report has told of (`asked` false). */
export interface SlotRequestEntry extends SlotHolder {
  /** Order of arrival; kept when it has to wait again. */
  readonly sequence: number;
  /** Whether its job master has asked for it in this term; else profile, order and deadline mean nothing. */
  asked: boolean;
  profile: ResourceProfile;
  classKey: string;
  order: RegistrationOrder;
  deadlineMs: number;
  /** `doubtful`: its slot was seen without it; its job master says whether it still wants one. */
  state: 'waiting' | 'requested' | 'allocated' | 'doubtful';
  waitingSinceMs: number;
  /** Non-null exactly while requested or allocated. */
  slot: SlotEntry | null;
  /** Whether a report has shown it claimed: then it has been in its job master's hand. */
  everClaimed: boolean;
  announcedGrant: number | null;
  containerAsked: boolean;
  /** Task executors that its job master could not reach: not tried again before that time. */
  readonly excluded: Map<ResourceId, number>;
  /** Task executors that refused it or lost it: not tried again before that time. */
  readonly rests: Map<ResourceId, { readonly attempt: number; readonly untilMs: number }>;
  /** Its deadline, or the end of its doubt. */
  timer: DueEntry | null;
}

/** One command about a slot, waiting for the next call. */
export type QueuedCommand =
  | { readonly kind: 'requestSlot'; readonly slot: SlotEntry; readonly request: SlotRequestEntry }
  | { readonly kind: 'freeSlot'; readonly slot: SlotEntry; readonly allocationId: AllocationId };

/** What one command of a call was for, so that its result can be used. */
export type SentCommand =
  | QueuedCommand
  | { readonly kind: 'noOperation' }
  | { readonly kind: 'drain'; readonly draining: boolean }
  | { readonly kind: 'stop' };

/** The numbered calls to one instance of a task executor. */
export interface CommandLine {
  queue: QueuedCommand[];
  inFlight: {
    readonly number: CommandNumber;
    readonly commands: readonly SentCommand[];
    readonly timer: DueEntry;
  } | null;
  /** Slots asked for in calls that got no answer: such a command may have been executed, or be so yet. */
  lost: { readonly slot: SlotEntry; readonly request: SlotRequestEntry }[];
  /** False from a call without a good answer until a later call has one. */
  settled: boolean;
  failuresInARow: number;
  notBeforeMs: number;
}

/** One task executor. */
export interface TaskExecutorEntry {
  readonly resourceId: ResourceId;
  instanceId: InstanceId | null;
  address: string;
  provider: string | null;
  state: 'expected' | 'registered' | 'unreachable' | 'ahead';
  /** How many slots etcd's record names; used while it is only expected. */
  expectedSlots: number;
  readonly slots: Map<number, SlotEntry>;
  busySlots: number;
  idleSinceMs: number | null;
  /** What it says of itself. */
  draining: boolean;
  /** What the operator ordered; told to each new instance. */
  drainOrdered: boolean | null;
  /** Number under which the current instance was told; null while it was not. */
  drainNumber: CommandNumber | null;
  drainDone: boolean;
  /** Whether it is to end (`wanted`), or has been told and said yes (`told`). */
  stopping: 'no' | 'wanted' | 'told';
  lastReportNumber: number;
  reportWanted: { readonly attempt: number; readonly timer: DueEntry } | null;
  line: CommandLine;
}

/** A line on which nothing was sent yet. */
export function newCommandLine(): CommandLine {
  return { queue: [], inFlight: null, lost: [], settled: true, failuresInARow: 0, notBeforeMs: 0 };
}
