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
  /** Whether there is a state file that the next process will find. */
  readonly durable: boolean;
  /** Whatever uses a slot ends with this process, so that a new one finds its slots free. */
  readonly slotsDieWithProcess: boolean;
  /** Higher than any grant number of a former process whose numbers are not known. */
  readonly grantNumberFloor: number;
  /** When this process started, on the monotonic clock. */
  readonly startMs: number;
}
