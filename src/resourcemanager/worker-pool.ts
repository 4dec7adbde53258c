import { doublingDelayMs, type DoublingDelay } from '../core/slotmanager/doubling-delay.ts';
import type { AllocationId, ResourceId } from '../core/ids.ts';
import { fits, type ResourceProfile } from '../core/resource-profile.ts';

/** How many workers there may be, and for how long; times in milliseconds. */
export interface WorkerLimits {
  /** Most workers of the provider in the cluster at a time, those of former leaders included. */
  readonly maximum: number;
  /** A worker whose slots have all been free for this long is stopped. */
  readonly idleMs: number;
  /** A worker that has not registered after this long is given up. */
  readonly registrationMs: number;
}

/** Limits for a provider that is given none. */
export const DEFAULT_WORKER_LIMITS: WorkerLimits = { maximum: 4, idleMs: 60_000, registrationMs: 30_000 };

export interface WorkerPoolSettings extends WorkerLimits {
  /** Slots that each worker offers, all of the profile that it was started for. */
  readonly slotsPerWorker: number;
  /** A name that no worker ever had. */
  readonly mintName: () => ResourceId;
}

/** What the pool is told. */
export type WorkerPoolEvent =
  /** A request waits that no slot fits. */
  | { readonly type: 'wanted'; readonly allocationId: AllocationId; readonly profile: ResourceProfile }
  /** It has its slot, or has ended otherwise. */
  | { readonly type: 'settled'; readonly allocationIds: readonly AllocationId[] }
  /** A former leader has recorded it; `registered` when it has been seen alive. */
  | { readonly type: 'found'; readonly resourceId: ResourceId; readonly registered: boolean }
  /** Its record is known to stand in etcd. */
  | { readonly type: 'recorded'; readonly resourceId: ResourceId }
  /** It could not be recorded or begun, or its process ended before it registered. */
  | { readonly type: 'failed'; readonly resourceId: ResourceId; readonly detail: string }
  | { readonly type: 'registered'; readonly resourceId: ResourceId }
  /** Its record is gone. */
  | { readonly type: 'gone'; readonly resourceId: ResourceId }
  /** Asked for regularly. `idle`: registered workers whose slots are all free, and since when. */
  | {
      readonly type: 'tick';
      readonly pendingRequests: number;
      readonly idle: readonly { readonly resourceId: ResourceId; readonly sinceMs: number }[];
    };

/** What the pool wants done. */
export type WorkerPoolEffect =
  /** Write its record, guarded; answered by `recorded` or `failed`. */
  | { readonly type: 'record'; readonly resourceId: ResourceId }
  | { readonly type: 'start'; readonly resourceId: ResourceId; readonly profile: ResourceProfile }
  /** End whatever was started and delete the record if it is still that of one never registered; answered by `gone`. */
  | { readonly type: 'giveUp'; readonly resourceId: ResourceId; readonly detail: string }
  /** Stop a registered one by a command. */
  | { readonly type: 'stop'; readonly resourceId: ResourceId };

interface Worker {
  state: 'recording' | 'starting' | 'registered' | 'givenUp';
  /** Null for one that a former leader started: what it offers is seen when it registers. */
  readonly profile: ResourceProfile | null;
  readonly giveUpMs: number;
  /** When it was last told to stop; it may have been busy by then, or may not have gone. */
  stopToldMs: number;
  /** How many requests count on a slot of it. */
  promised: number;
}

interface Demand {
  readonly profile: ResourceProfile;
  /** The worker that is on its way for it. */
  worker: ResourceId | null;
  /** Not looked at before: the slot manager needs a moment to hand out a new worker's slots. */
  notBeforeMs: number;
}

const AFTER_FAILURE: DoublingDelay = { firstMs: 1_000, mostMs: 60_000 };
/** How long a request may wait for its share of a worker that has registered, before another one is started. */
const PLACEMENT_MS = 2_000;
/** How many requests are looked at in one turn. */
const MOST_LOOKED_AT = 1_000;

/**
 * Decides when workers are started and stopped: for requests that no slot fits, up to a maximum, with back-off
 * after failures; and away with those that are idle. Pure; time is an argument. One for each term.
 */
export class WorkerPool {
  readonly #settings: WorkerPoolSettings;
  readonly #workers = new Map<ResourceId, Worker>();
  readonly #demands = new Map<AllocationId, Demand>();
  #failures = 0;
  #notBeforeMs = 0;
  #nowMs = 0;
  #effects: WorkerPoolEffect[] = [];

  constructor(settings: WorkerPoolSettings) {
    this.#settings = settings;
  }

  /** Workers of whatever state, those on their way included. */
  get size(): number {
    return this.#workers.size;
  }

  handle(event: WorkerPoolEvent, nowMs: number): WorkerPoolEffect[] {
    this.#nowMs = nowMs;
    this.#effects = [];
    this.#take(event);
    this.#startWanted();
    return this.#effects;
  }

  #take(event: WorkerPoolEvent): void {
    switch (event.type) {
      case 'wanted':
        if (this.#demands.has(event.allocationId)) return;
        this.#demands.set(event.allocationId, { profile: event.profile, worker: null, notBeforeMs: 0 });
        return;
      case 'settled':
        for (const allocationId of event.allocationIds) this.#settle(allocationId);
        return;
      case 'found':
        return this.#add(event.resourceId, event.registered ? 'registered' : 'starting', null);
      case 'recorded':
        return this.#recorded(event.resourceId);
      case 'failed':
        return this.#failed(event.resourceId, event.detail);
      case 'registered':
        return this.#registered(event.resourceId);
      case 'gone':
        this.#workers.delete(event.resourceId);
        return this.#release(event.resourceId, 0);
      case 'tick':
        return this.#tick(event);
    }
  }

  #add(resourceId: ResourceId, state: Worker['state'], profile: ResourceProfile | null): void {
    this.#workers.set(resourceId, {
      state,
      profile,
      giveUpMs: this.#nowMs + this.#settings.registrationMs,
      stopToldMs: -Infinity,
      promised: 0,
    });
  }

  #settle(allocationId: AllocationId): void {
    const worker = this.#demands.get(allocationId)?.worker ?? null;
    const promising = worker === null ? undefined : this.#workers.get(worker);
    if (promising !== undefined) promising.promised -= 1;
    this.#demands.delete(allocationId);
  }

  #recorded(resourceId: ResourceId): void {
    const worker = this.#workers.get(resourceId);
    if (worker?.state !== 'recording' || worker.profile === null) return;
    worker.state = 'starting';
    this.#effects.push({ type: 'start', resourceId, profile: worker.profile });
  }

  #failed(resourceId: ResourceId, detail: string): void {
    const worker = this.#workers.get(resourceId);
    // One that has registered is the task executor desk's to miss.
    if (worker === undefined || (worker.state !== 'recording' && worker.state !== 'starting')) return;
    worker.state = 'givenUp';
    this.#notBeforeMs = this.#nowMs + doublingDelayMs(AFTER_FAILURE, this.#failures);
    this.#failures += 1;
    this.#release(resourceId, 0);
    this.#effects.push({ type: 'giveUp', resourceId, detail });
  }

  #registered(resourceId: ResourceId): void {
    const worker = this.#workers.get(resourceId);
    if (worker === undefined) this.#add(resourceId, 'registered', null);
    else worker.state = 'registered';
    this.#failures = 0;
    this.#notBeforeMs = 0;
    this.#release(resourceId, this.#nowMs + PLACEMENT_MS);
  }

  #release(resourceId: ResourceId, notBeforeMs: number): void {
    const worker = this.#workers.get(resourceId);
    if (worker !== undefined) worker.promised = 0;
    for (const demand of this.#demands.values()) {
      if (demand.worker !== resourceId) continue;
      demand.worker = null;
      demand.notBeforeMs = notBeforeMs;
    }
  }

  #forgetDemands(): void {
    this.#demands.clear();
    for (const worker of this.#workers.values()) worker.promised = 0;
  }

  #tick({ pendingRequests, idle }: Extract<WorkerPoolEvent, { type: 'tick' }>): void {
    // Requests may end unseen, with their job master.
    if (pendingRequests === 0) this.#forgetDemands();
    for (const [resourceId, worker] of this.#workers) {
      if (worker.state === 'starting' && this.#nowMs >= worker.giveUpMs) {
        this.#failed(resourceId, 'it has not registered in time');
      }
    }
    for (const { resourceId, sinceMs } of idle) {
      const worker = this.#workers.get(resourceId);
      if (worker?.state !== 'registered') continue;
      if (this.#nowMs - Math.max(sinceMs, worker.stopToldMs) < this.#settings.idleMs) continue;
      worker.stopToldMs = this.#nowMs;
      this.#effects.push({ type: 'stop', resourceId });
    }
  }

  /** Each request gets its share of a worker that is on its way; for the rest, new ones are started. */
  #startWanted(): void {
    let looked = 0;
    for (const demand of this.#demands.values()) {
      if (!this.#mayStart() && !this.#hasPromises()) return;
      if (demand.worker !== null || this.#nowMs < demand.notBeforeMs) continue;
      looked += 1;
      if (looked > MOST_LOOKED_AT) return;
      const resourceId = this.#onItsWay(demand.profile) ?? this.#begin(demand.profile);
      if (resourceId === null) continue;
      demand.worker = resourceId;
      const worker = this.#workers.get(resourceId);
      if (worker !== undefined) worker.promised += 1;
    }
  }

  #begin(profile: ResourceProfile): ResourceId | null {
    if (!this.#mayStart()) return null;
    const resourceId = this.#settings.mintName();
    this.#add(resourceId, 'recording', profile);
    this.#effects.push({ type: 'record', resourceId });
    return resourceId;
  }

  #mayStart(): boolean {
    return this.#workers.size < this.#settings.maximum && this.#nowMs >= this.#notBeforeMs;
  }

  #hasPromises(): boolean {
    for (const worker of this.#workers.values()) if (this.#mayPromise(worker)) return true;
    return false;
  }

  #mayPromise({ state, promised }: Worker): boolean {
    return (state === 'recording' || state === 'starting') && promised < this.#settings.slotsPerWorker;
  }

  #onItsWay(profile: ResourceProfile): ResourceId | null {
    for (const [resourceId, worker] of this.#workers) {
      if (worker.profile !== null && this.#mayPromise(worker) && fits(worker.profile, profile)) {
        return resourceId;
      }
    }
    return null;
  }
}
