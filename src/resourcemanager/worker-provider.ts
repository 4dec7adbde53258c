import type { ResourceId } from '../core/ids.ts';
import type { ResourceProfile } from '../core/resource-profile.ts';

/** A worker to start: the name under which it must register, and the profile that its slots must have. */
export interface WorkerSpec {
  readonly resourceId: ResourceId;
  readonly profile: ResourceProfile;
  /** Addresses of those in line, so that it finds a leader even when the one that starts it dies at once. */
  readonly resourceManagers: readonly string[];
}

/** What a provider tells; in turns of its own, at any time after `startWorker`. */
export interface WorkerListener {
  /** It runs no more, whatever the reason: exit, crash, or it never came up. */
  onWorkerEnded(resourceId: ResourceId, detail: string): void;
}

/**
 * Starts and stops task executors on demand of the leader. The policy (how many, when to give up, when to
 * stop) is the `WorkerPool`'s; a provider only does what it is told. What it has started outlives a change of
 * leader: workers are told apart by `name`, which each of them gives as `provider` when it registers.
 */
export interface WorkerProvider {
  /** As in the records in etcd and in `registerTaskExecutor`. */
  readonly name: string;
  /** Slots that each worker offers, all of the profile that it was started for. */
  readonly slotsPerWorker: number;
  /** Called by the resource manager once, before anything else. */
  listen(listener: WorkerListener): void;
  /**
   * Begins to start one; throws when it could not even be begun. Registration under that name, with this
   * provider's name, is what counts as success.
   */
  startWorker(worker: WorkerSpec): void;
  /**
   * Ends one that did not register in time, by force if need be; nothing happens when this process has not
   * started it. Registered workers are stopped by a command of the leader, not by this.
   */
  stopWorker(resourceId: ResourceId): void;
  /** Asks what is not known to have registered yet to end, without force; what has registered goes on. */
  close(): void;
}
