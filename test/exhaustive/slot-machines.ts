import type { SlotPool } from '../../src/core/jobmaster/slot-pool.ts';
import type { createSlotManager } from '../../src/core/slotmanager/create-slot-manager.ts';
import type { TaskExecutorBook } from '../../src/core/taskexecutor/task-executor-book.ts';
import type { FencingToken } from '../../src/core/fencing-token.ts';
import type { ClusterId, JobId, JobMasterId, LeaderSessionId } from '../../src/core/ids.ts';
import { DEFAULT_TIMING } from '../../src/core/timing.ts';
import { fromExplicitCopy, type Patch } from './explicit-copy.ts';
import type { Constants } from './state-graph.ts';

/** The machines of a copy that can be explored. */
export interface SlotMachines {
  readonly TaskExecutorBook: typeof TaskExecutorBook;
  readonly SlotPool: typeof SlotPool;
  readonly createSlotManager: typeof createSlotManager;
  readonly profileMatching: object;
}

/** From a copy of their own with these patches. */
export function loadSlotMachines(patches: readonly Patch[] = []): Promise<SlotMachines> {
  return fromExplicitCopy(patches, load);
}

async function load(url: string): Promise<SlotMachines> {
  const [book, pool, manager, matching] = await Promise.all([
    import(`${url}core/taskexecutor/task-executor-book.js`),
    import(`${url}core/jobmaster/slot-pool.js`),
    import(`${url}core/slotmanager/create-slot-manager.js`),
    import(`${url}core/slotmanager/slot-matching.js`),
  ]);
  return {
    TaskExecutorBook: book.TaskExecutorBook,
    SlotPool: pool.SlotPool,
    createSlotManager: manager.createSlotManager,
    profileMatching: matching.profileMatching,
  } as SlotMachines;
}

export const TIMING = DEFAULT_TIMING;
export const CLUSTER_ID = 'cluster-1' as ClusterId;
export const PROFILE = { cpuCores: 1, memoryMB: 512, extended: {} };

/** What is not part of any state. */
export function slotConstants(machines: SlotMachines): Constants {
  return new Map<object, string>([
    [TIMING, 'timing'],
    [PROFILE, 'profile'],
    [machines.profileMatching, 'matching'],
  ]);
}

/** The term of that epoch. */
export function tokenOf(epoch: number): FencingToken {
  return {
    generation: 1,
    epoch: BigInt(epoch),
    leaderSessionId: `session-${epoch}` as LeaderSessionId,
  };
}

/** The job master of that number, as it names itself. */
export function jobOf(index: number): {
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
  readonly order: { readonly generation: number; readonly revision: bigint };
} {
  return {
    jobId: `job-${index}` as JobId,
    jobMasterId: `jm-${index}` as JobMasterId,
    order: { generation: 1, revision: BigInt(10 + index) },
  };
}
