import type { TaskExecutorState } from '../core/taskexecutor/task-executor-state.ts';
import { QuartermasterError } from '../core/problem.ts';
import type { Clock } from '../runtime/clock.ts';
import { checkOwner, type OpenState, type StateOwner, type TaskExecutorStateStore } from './state-store.ts';

/**
 * Keeps the state in memory, over the restarts of a task executor within one process. Opening it cuts off
 * whoever had it open, as the death of a process does: a save under way then is lost and never resolves.
 */
export class InMemoryStateStore implements TaskExecutorStateStore {
  readonly #clock: Clock;
  readonly #saveMs: number;
  #state: TaskExecutorState | null = null;
  #session = 0;

  /** Each save takes `saveMs` on that clock. */
  constructor(clock: Clock, saveMs = 0) {
    this.#clock = clock;
    this.#saveMs = saveMs;
  }

  /** What a restarted task executor would find. */
  get saved(): TaskExecutorState | null {
    return this.#state;
  }

  /** As the loss of the disk. */
  erase(): void {
    this.#session += 1;
    this.#state = null;
  }

  open(owner: StateOwner): Promise<OpenState> {
    this.#session += 1;
    const session = this.#session;
    const state = this.#state;
    try {
      if (state !== null) checkOwner(state, owner, 'The state in memory');
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
    return Promise.resolve({
      state,
      save: (next: TaskExecutorState) => this.#save(session, next),
      close: () => {
        if (this.#session === session) this.#session += 1;
        return Promise.resolve();
      },
    });
  }

  #save(session: number, state: TaskExecutorState): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#session !== session) {
        reject(
          new QuartermasterError({ code: 'CONFLICT', detail: 'The state was opened by another process.' }),
        );
        return;
      }
      this.#clock.schedule(this.#saveMs, () => {
        if (this.#session !== session) return;
        this.#state = state;
        resolve();
      });
    });
  }
}
