import type { InstanceId, ResourceId } from '../ids.ts';
import type { ResourceProfile } from '../resource-profile.ts';
import type { TaskExecutorState } from './task-executor-state.ts';

/** What a task executor's book starts with. */
export interface TaskExecutorBookOptions {
  readonly cluster: string;
  readonly resourceId: ResourceId;
  readonly instanceId: InstanceId;
  /** One for each slot, numbered from 0. */
  readonly slots: readonly ResourceProfile[];
  readonly slotLeaseMs: number;
  /** What the state file holds; null when there is none (yet). */
  readonly state: TaskExecutorState | null;
  /** Whatever uses a slot ends with this process, so that a new one finds its slots free. */
  readonly slotsDieWithProcess: boolean;
  /** Not below any grant number of a former process; it counts for slots that are not in the state. */
  readonly grantNumberFloor: number;
  /** When this process started, on the monotonic clock. */
  readonly startMs: number;
}
