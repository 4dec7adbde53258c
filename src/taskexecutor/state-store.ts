import type { ResourceId } from '../core/ids.ts';
import type { TaskExecutorState } from '../core/taskexecutor/task-executor-state.ts';
import { QuartermasterError } from '../core/problem.ts';

/** Whose state it is. */
export interface StateOwner {
  readonly cluster: string;
  readonly resourceId: ResourceId;
}

/** The state of one task executor, held by this process alone until `close`. */
export interface OpenState {
  /** What was saved last, by whichever process; null when nothing ever was. */
  readonly state: TaskExecutorState | null;
  /** Resolves when the state is durable: no crash after that brings an older one back. One call at a time. */
  save(state: TaskExecutorState): Promise<void>;
  /** Lets another process open it. */
  close(): Promise<void>;
}

/** Where a task executor keeps what it must not forget over a restart. */
export interface TaskExecutorStateStore {
  /**
   * Locks and reads. Rejects with `CONFLICT` when another process holds it or it belongs to another owner, and
   * with `INVALID` when it cannot be read; never takes what it cannot read for nothing.
   */
  open(owner: StateOwner): Promise<OpenState>;
}

/** Throws `CONFLICT` when the state, found at `where`, is not the owner's. */
export function checkOwner(state: TaskExecutorState, owner: StateOwner, where: string): void {
  if (state.cluster === owner.cluster && state.resourceId === owner.resourceId) return;
  throw new QuartermasterError({
    code: 'CONFLICT',
    detail:
      `${where} belongs to task executor ${state.resourceId} of cluster ${state.cluster}, ` +
      `not to ${owner.resourceId} of ${owner.cluster}. Name another state file, or give this task executor its id.`,
  });
}
