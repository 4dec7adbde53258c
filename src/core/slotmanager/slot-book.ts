import type { InstanceId, ResourceId } from '../ids.ts';
import { sameProfile, type ResourceProfile } from '../resource-profile.ts';
import { type SlotEntry, type TaskExecutorEntry, newCommandLine } from './entries.ts';
import { FreeSlotPool } from './free-slot-pool.ts';
import type { SlotCounts, SlotState } from './slot-manager-events.ts';
import type { Turn } from './turn.ts';

/** Every slot and task executor of the term, with the counts and the indexes of free slots kept true. */
export class SlotBook {
  readonly taskExecutors = new Map<ResourceId, TaskExecutorEntry>();
  /** Free slots that may be given away now. */
  readonly ready: FreeSlotPool;
  /** Free slots that rest after a refusal or while their task executor does not answer. */
  readonly resting: FreeSlotPool;
  /** Slots that came into `ready` since they were last looked at. */
  readonly newlyReady = new Set<SlotEntry>();
  readonly #turn: Turn;
  readonly #counts: Record<SlotState, number> = {
    free: 0,
    requested: 0,
    allocated: 0,
    quarantined: 0,
    unknown: 0,
  };

  constructor(turn: Turn) {
    this.#turn = turn;
    this.ready = new FreeSlotPool(turn.settings.matching);
    this.resting = new FreeSlotPool(turn.settings.matching);
  }

  counts(): SlotCounts {
    const { free, requested, allocated, quarantined, unknown } = this.#counts;
    return { total: free + requested + allocated + quarantined + unknown, ...this.#counts };
  }

  addTaskExecutor(resourceId: ResourceId, state: 'expected' | 'registered'): TaskExecutorEntry {
    const entry: TaskExecutorEntry = {
      resourceId,
      instanceId: null,
      address: '',
      provider: null,
      state,
      expectedSlots: 0,
      slots: new Map(),
      busySlots: 0,
      idleSinceMs: state === 'registered' ? this.#turn.nowMs : null,
      draining: false,
      drainOrdered: null,
      drainNumber: null,
      drainDone: true,
      stopping: 'no',
      lastReportNumber: -1,
      reportWanted: null,
      line: newCommandLine(),
    };
    this.taskExecutors.set(resourceId, entry);
    return entry;
  }

  /** The task executor, if that very instance is the one in the books. */
  instance(resourceId: ResourceId, instanceId: InstanceId): TaskExecutorEntry | null {
    const entry = this.taskExecutors.get(resourceId);
    return entry !== undefined && entry.instanceId === instanceId ? entry : null;
  }

  /** How many slots etcd's record names for a task executor that is only expected; they count as unknown. */
  expectSlots(entry: TaskExecutorEntry, slots: number): void {
    this.#counts.unknown += slots - entry.expectedSlots;
    entry.expectedSlots = slots;
  }

  /** Its slots must have been removed before. */
  removeTaskExecutor(entry: TaskExecutorEntry): void {
    this.expectSlots(entry, 0);
    this.#turn.due.cancel(entry.reportWanted?.timer ?? null);
    this.#turn.due.cancel(entry.line.inFlight?.timer ?? null);
    this.taskExecutors.delete(entry.resourceId);
  }

  /** Changes the task executor (reachability, draining, its line) and what follows from that for its slots. */
  changeTaskExecutor(entry: TaskExecutorEntry, change: (entry: TaskExecutorEntry) => void): void {
    for (const slot of entry.slots.values()) this.#counts[stateOf(slot)]--;
    change(entry);
    for (const slot of entry.slots.values()) {
      this.#counts[stateOf(slot)]++;
      this.#place(slot);
    }
  }

  addSlot(entry: TaskExecutorEntry, slotNumber: number, profile: ResourceProfile): SlotEntry {
    const slot: SlotEntry = {
      taskExecutor: entry,
      slotNumber,
      profile,
      classKey: this.#turn.settings.matching.classKey(profile),
      state: 'free',
      holder: null,
      grantNumber: null,
      grantInstanceId: null,
      claimed: false,
      freeing: 'no',
      freeAttempts: 0,
      lastNumber: null,
      queuedCommands: 0,
      passedOver: false,
      refusals: 0,
      restUntilMs: 0,
      pool: 'none',
    };
    entry.slots.set(slotNumber, slot);
    this.#counts[stateOf(slot)]++;
    this.#place(slot);
    return slot;
  }

  removeSlot(slot: SlotEntry): void {
    this.changeSlot(slot, vacate);
    this.#counts[stateOf(slot)]--;
    this.#unplace(slot);
    slot.taskExecutor.slots.delete(slot.slotNumber);
  }

  changeSlot(slot: SlotEntry, change: (slot: SlotEntry) => void): void {
    const entry = slot.taskExecutor;
    this.#counts[stateOf(slot)]--;
    if (slot.state !== 'free') entry.busySlots--;
    change(slot);
    this.#counts[stateOf(slot)]++;
    if (slot.state !== 'free') entry.busySlots++;
    if (entry.busySlots > 0) entry.idleSinceMs = null;
    else entry.idleSinceMs ??= this.#turn.nowMs;
    this.#place(slot);
  }

  setProfile(slot: SlotEntry, profile: ResourceProfile): void {
    if (sameProfile(slot.profile, profile)) return;
    this.#unplace(slot);
    this.changeSlot(slot, (entry) => {
      entry.profile = profile;
      entry.classKey = this.#turn.settings.matching.classKey(profile);
    });
  }

  /** Makes the slot free, so that it can be given away again. */
  vacate(slot: SlotEntry): void {
    this.changeSlot(slot, vacate);
  }

  /** Leaves a free slot alone until then. */
  rest(slot: SlotEntry, untilMs: number): void {
    this.changeSlot(slot, (entry) => {
      entry.restUntilMs = untilMs;
    });
    this.#turn.due.schedule(untilMs, () => this.#place(slot));
  }

  #place(slot: SlotEntry): void {
    const pool = this.#poolOf(slot);
    if (pool === slot.pool) return;
    this.#unplace(slot);
    slot.pool = pool;
    if (pool === 'resting') this.resting.add(slot);
    if (pool !== 'ready') return;
    this.ready.add(slot);
    this.newlyReady.add(slot);
  }

  #unplace(slot: SlotEntry): void {
    if (slot.pool === 'ready') {
      this.ready.delete(slot);
      this.newlyReady.delete(slot);
    }
    if (slot.pool === 'resting') this.resting.delete(slot);
    slot.pool = 'none';
  }

  #poolOf(slot: SlotEntry): SlotEntry['pool'] {
    const entry = slot.taskExecutor;
    if (entry.slots.get(slot.slotNumber) !== slot) return 'none';
    if (slot.state !== 'free' || entry.state !== 'registered' || takesNoWork(entry)) return 'none';
    return entry.line.settled && slot.restUntilMs <= this.#turn.nowMs ? 'ready' : 'resting';
  }
}

/** Whether it gets no new slots given away because it is to end or to be emptied. */
export function takesNoWork(entry: TaskExecutorEntry): boolean {
  return entry.draining || entry.drainOrdered === true || entry.stopping !== 'no';
}

/** The slot's state as the books show it: `unknown` while its task executor cannot be reached. */
export function stateOf(slot: SlotEntry): SlotState {
  return slot.taskExecutor.state === 'registered' ? slot.state : 'unknown';
}

function vacate(slot: SlotEntry): void {
  slot.state = 'free';
  slot.holder = null;
  slot.grantNumber = null;
  slot.grantInstanceId = null;
  slot.claimed = false;
  slot.freeing = 'no';
  slot.freeAttempts = 0;
}
