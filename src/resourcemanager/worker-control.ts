import { STORE_FULL } from '../ha/store-space.ts';
import type { AllocationId, ResourceId } from '../core/ids.ts';
import type { SlotManagerEffect } from '../core/slotmanager/slot-manager-events.ts';
import type { RecordKeeper } from './record-keeper.ts';
import { writer, type TaskExecutorRecord } from './records.ts';
import type { SlotManagerDriver } from './slot-manager-driver.ts';
import type { TermContext } from './term-context.ts';
import { WorkerPool, type WorkerLimits, type WorkerPoolEffect, type WorkerPoolEvent } from './worker-pool.ts';
import type { WorkerProvider } from './worker-provider.ts';

/** What one term needs to have workers started. */
export interface WorkerControlOptions {
  readonly context: TermContext;
  readonly provider: WorkerProvider;
  readonly limits: WorkerLimits;
  readonly keeper: RecordKeeper<ResourceId, TaskExecutorRecord>;
  readonly driver: SlotManagerDriver;
  readonly mintName: () => ResourceId;
  /** Addresses of all resource managers, this one first. */
  readonly resourceManagers: () => readonly string[];
}

/**
 * Carries out what the pool of one term decides: a worker's record is known to stand in etcd before the
 * worker is started, so that the next leader knows of it whatever becomes of this one.
 */
export class WorkerControl {
  readonly #options: WorkerControlOptions;
  readonly #pool: WorkerPool;

  constructor(options: WorkerControlOptions) {
    this.#options = options;
    const { limits, provider, mintName } = options;
    this.#pool = new WorkerPool({ ...limits, slotsPerWorker: provider.slotsPerWorker, mintName });
  }

  /** From the records at take-over. */
  found(resourceId: ResourceId, record: TaskExecutorRecord): void {
    if (record.provider !== this.#options.provider.name) return;
    this.#tell({ type: 'found', resourceId, registered: record.instanceId !== null });
  }

  registered(resourceId: ResourceId, provider: string | null): void {
    if (provider === this.#options.provider.name) this.#tell({ type: 'registered', resourceId });
  }

  gone(resourceId: ResourceId): void {
    this.#tell({ type: 'gone', resourceId });
  }

  /** The provider says that it runs no more. */
  ended(resourceId: ResourceId, detail: string): void {
    this.#tell({ type: 'failed', resourceId, detail });
  }

  /** Looks at what the slot manager wants, for who waits and who has been served. */
  observe(effect: SlotManagerEffect): void {
    switch (effect.type) {
      case 'allocateContainer':
        return this.#tell({ type: 'wanted', allocationId: effect.allocationId, profile: effect.profile });
      case 'notifySlotsAllocated':
        return this.settled(effect.grants.map(({ allocationId }) => allocationId));
      case 'failSlotRequest':
        return this.settled([effect.allocationId]);
      default:
        return;
    }
  }

  /** These requests wait no longer. */
  settled(allocationIds: readonly AllocationId[]): void {
    this.#tell({ type: 'settled', allocationIds });
  }

  /** To be called regularly. */
  tick(): void {
    const { driver, provider } = this.#options;
    const idle: { resourceId: ResourceId; sinceMs: number }[] = [];
    for (const { resourceId, provider: startedBy, idleSinceMs } of driver.slotManager.taskExecutors()) {
      if (startedBy === provider.name && idleSinceMs !== null)
        idle.push({ resourceId, sinceMs: idleSinceMs });
    }
    this.#tell({ type: 'tick', pendingRequests: driver.slotManager.pendingRequests(), idle });
  }

  /** In a turn of its own: the pool may be told within a turn of the slot manager, which must not be entered twice. */
  #tell(event: WorkerPoolEvent): void {
    const { context } = this.#options;
    context.post(() => {
      for (const effect of this.#pool.handle(event, context.clock.monotonicMs())) this.#execute(effect);
    });
  }

  #execute(effect: WorkerPoolEffect): void {
    switch (effect.type) {
      case 'record':
        return this.#record(effect.resourceId);
      case 'start':
        return this.#start(effect);
      case 'giveUp':
        return this.#giveUp(effect.resourceId, effect.detail);
      case 'stop': {
        const { resourceId } = effect;
        this.#options.context.note('info', 'allocation', 'worker-idle', { resourceId });
        return this.#options.driver.handle({ type: 'stopRequested', resourceId });
      }
    }
  }

  #record(resourceId: ResourceId): void {
    const { context, keeper, provider } = this.#options;
    const record: TaskExecutorRecord = {
      instanceId: null,
      address: null,
      slots: 0,
      provider: provider.name,
      knownBefore: false,
      gone: false,
      superseded: [],
      ...writer(context.token),
    };
    keeper.change(
      resourceId,
      (held) =>
        held.modRevision === 0n
          ? { kind: 'put', record }
          : { kind: 'refuse', problem: { code: 'CONFLICT', detail: 'The name is taken.' } },
      (outcome) => {
        if (outcome.kind === 'done') this.#tell({ type: 'recorded', resourceId });
        else if (outcome.kind === 'refused') {
          this.#tell({ type: 'failed', resourceId, detail: outcome.problem.detail });
        } else if (outcome.kind === 'full') {
          this.#tell({ type: 'failed', resourceId, detail: STORE_FULL.detail });
        }
      },
    );
  }

  #start({ resourceId, profile }: Extract<WorkerPoolEffect, { type: 'start' }>): void {
    const { context, provider, resourceManagers } = this.#options;
    if (!context.mayServe()) {
      return this.#tell({ type: 'failed', resourceId, detail: 'leadership is being checked' });
    }
    try {
      provider.startWorker({ resourceId, profile, resourceManagers: resourceManagers() });
    } catch (error) {
      return this.#tell({ type: 'failed', resourceId, detail: String(error) });
    }
    const { cpuCores, memoryMB } = profile;
    context.note('info', 'allocation', 'worker-started', { resourceId, cpuCores, memoryMB });
  }

  #giveUp(resourceId: ResourceId, detail: string): void {
    const { context, keeper, provider } = this.#options;
    provider.stopWorker(resourceId);
    context.note('warn', 'failure', 'worker-given-up', { resourceId, detail });
    let registered = false;
    keeper.change(
      resourceId,
      ({ record }) => {
        // It may have registered while this was decided.
        registered = record !== null && record.instanceId !== null;
        return registered ? { kind: 'keep' } : { kind: 'delete' };
      },
      (outcome) => {
        if (outcome.kind !== 'over') this.#tell({ type: registered ? 'registered' : 'gone', resourceId });
      },
    );
  }
}
