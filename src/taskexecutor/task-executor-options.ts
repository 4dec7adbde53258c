import type { AllocationId, InstanceId, JobId, JobMasterId, ResourceId } from '../core/ids.ts';
import type { ResourceProfile } from '../core/resource-profile.ts';
import type { LeaseEndReason } from '../core/taskexecutor/slot-lease.ts';
import type { Timing } from '../core/timing.ts';
import type { Dialer } from '../rpc/connection.ts';
import type { Clock } from '../runtime/clock.ts';
import type { FatalHandler } from '../runtime/fatal.ts';
import type { Journal } from '../runtime/journal.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Prover } from '../runtime/prover.ts';
import type { Randomness } from '../runtime/randomness.ts';
import type { TaskExecutorStateStore } from './state-store.ts';

/** A slot in use, as the program around a task executor sees it. */
export interface LeasedSlot {
  readonly slotNumber: number;
  readonly profile: ResourceProfile;
  readonly allocationId: AllocationId;
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
  /** Grows with each lease of the slot: an outside system can refuse whoever comes with a lower one. */
  readonly grantNumber: number;
  /** Claimed under a former process and read from the state file. */
  readonly restored: boolean;
}

/** Why a leased slot is no longer in use; `closed`: this task executor ends, though the lease may still run. */
export type LeasedSlotEnd = LeaseEndReason | 'closed';

/** What a task executor needs; everything that touches the outside is given to it. */
export interface TaskExecutorOptions {
  readonly identity: {
    readonly cluster: string;
    /** Stays the same over restarts. */
    readonly resourceId: ResourceId;
    /** New for each process; made by chance when it is not given. */
    readonly instanceId?: InstanceId;
  };
  /** `host:port` at which job masters reach the acceptor; not dialled by resource managers. */
  readonly address: string;
  /** Addresses of some resource managers; the others are learned. */
  readonly seeds: readonly string[];
  /** One for each slot, numbered from 0. */
  readonly slots: readonly ResourceProfile[];
  /** Name of the worker provider that started this process; null when started by hand. */
  readonly provider: string | null;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
  readonly timing: Timing;
  readonly dialer: Dialer;
  readonly prover: Prover;
  /** Null: nothing is remembered, and slots may be quarantined for one lease duration after a restart. */
  readonly stateStore: TaskExecutorStateStore | null;
  /** Whatever uses a slot ends when this process ends, so that the next one need not wait for it. */
  readonly slotsDieWithProcess: boolean;
  /** One line for each grant, claim, renewal, end, adopted token and refused command, once it is durable. */
  readonly journal?: Journal;
  /**
   * A job master has claimed the slot: from now on it is used. A grant that nobody has claimed is not told.
   * Called after the claim is durable and before the job master learns of it. Must not throw.
   */
  readonly onLeaseGranted?: (slot: LeasedSlot) => void;
  /** Exactly once for each `onLeaseGranted`, before anybody else can be granted the slot. Must not throw. */
  readonly onLeaseEnded?: (slot: LeasedSlot, reason: LeasedSlotEnd) => void;
  /** The leader ordered this process to end (`stop`): it has drained and closed. */
  readonly onStopped?: () => void;
  /** It cannot go on, and has closed: superseded by a newer process of its name, state not writable, a bug. */
  readonly onFatal: FatalHandler;
}
