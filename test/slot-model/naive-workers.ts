import { compareCommandNumbers, type CommandNumber } from '../../src/core/command-number.ts';
import type { InstanceId, ResourceId } from '../../src/core/ids.ts';
import type { SlotReport } from '../../src/core/messages/slots.ts';
import type { SlotManagerEvent } from '../../src/core/slotmanager/slot-manager-events.ts';
import {
  CALL_DELAY,
  type Command,
  delayMs,
  type NaiveBooks,
  REFUSAL_DELAY,
  type Slot,
  TIMING,
  TOKEN,
  vacate,
  type Worker,
} from './naive-books.ts';

type Event<Type extends SlotManagerEvent['type']> = Extract<SlotManagerEvent, { type: Type }>;
type Status = SlotReport['slots'][number];
type Lease = NonNullable<Status['lease']>;
type Outcome = Event<'slotCommandsAnswered'>['outcome'];

/** What workers (task executors) say and what is said of them. */
export class NaiveWorkers {
  readonly #books: NaiveBooks;
  /** Reports that came before the registration that they belong to. */
  readonly #early = new Map<InstanceId, number>();
  /** Instances that were given up while something sent to them might still arrive. */
  readonly #givenUp = new Map<InstanceId, CommandNumber | null>();
  /** Highest `n` of this term that anybody has seen. */
  highestN = 0;

  constructor(books: NaiveBooks) {
    this.#books = books;
  }

  add(resourceId: ResourceId, state: 'expected' | 'registered'): Worker {
    const worker: Worker = {
      resourceId,
      instanceId: null,
      address: '',
      provider: null,
      state,
      expectedSlots: 0,
      slots: [],
      idleSinceMs: null,
      draining: false,
      drainOrdered: null,
      drainNumber: null,
      drainDone: true,
      stopping: 'no',
      lastReport: -1,
      reportAsked: null,
      ...newLine(),
    };
    this.#books.workers.push(worker);
    return worker;
  }

  registered(event: Event<'taskExecutorRegistered'>): void {
    const { resourceId, instanceId, report } = event;
    const worker = this.#books.worker(resourceId) ?? this.add(resourceId, 'registered');
    worker.expectedSlots = 0;
    if (worker.instanceId !== instanceId || worker.state === 'expected') this.#begin(worker, instanceId);
    const hasMoved = worker.address !== '' && worker.address !== event.address;
    worker.address = event.address;
    worker.provider = event.provider;
    worker.state = 'registered';
    if (report.reportNumber < worker.lastReport) this.#books.askReport(worker);
    this.report(worker, report);
    if (hasMoved) for (const request of this.#books.allocatedAt(worker)) this.#books.announce(request);
    for (const slot of worker.slots) if (slot.freeing === 'wanted') this.#books.free(slot);
    if ((this.#early.get(instanceId) ?? -1) > report.reportNumber) this.#books.askReport(worker);
    this.#early.delete(instanceId);
  }

  /** A new process: what was sent to the old one is void, its report says what is left. */
  #begin(worker: Worker, instanceId: InstanceId): void {
    worker.instanceId = instanceId;
    worker.reportAsked = null;
    worker.lastReport = -1;
    Object.assign(worker, newLine());
    worker.drainNumber = null;
    worker.drainDone = worker.drainOrdered === null;
    worker.stopping = 'no';
    for (const slot of worker.slots) {
      slot.lastNumber = null;
      slot.refusals = 0;
      slot.restUntilMs = 0;
      if (slot.freeing !== 'no') slot.freeing = 'wanted';
    }
    const number = this.#givenUp.get(instanceId);
    if (number === undefined) return;
    this.#givenUp.delete(instanceId);
    worker.settled = false;
    const givenUpAtMs = this.#books.nowMs + 3 * TIMING.taskExecutorCallMs;
    if (number !== null) worker.call = { number, commands: [], givenUpAtMs };
  }

  reported({ resourceId, instanceId, report }: Event<'slotsReported'>): void {
    const worker = this.#books.worker(resourceId);
    if (worker?.instanceId === instanceId && worker.state === 'registered')
      return this.report(worker, report);
    this.#early.set(instanceId, Math.max(this.#early.get(instanceId) ?? 0, report.reportNumber));
  }

  /** Its slots are unknown, and what it was being asked for is asked elsewhere. */
  leaveAlone(worker: Worker, state: 'unreachable' | 'ahead'): void {
    worker.reportAsked = null;
    const unsent = worker.queue;
    worker.queue = [];
    worker.state = state;
    for (const command of unsent) {
      if (command.kind === 'freeSlot') command.slot.freeing = 'wanted';
      else {
        vacate(command.slot);
        if (command.request.slot === command.slot) this.#books.wait(command.request);
      }
    }
    this.#giveUpLost(worker);
    for (const slot of worker.slots) {
      const request = slot.state === 'requested' && slot.holder !== null ? this.#of(slot) : undefined;
      if (request?.slot !== slot) continue;
      this.#books.wait(request);
      this.#books.free(slot);
    }
  }

  gone(worker: Worker): void {
    this.leaveAlone(worker, 'unreachable');
    for (const slot of worker.slots) this.#books.loseSlot(slot);
    if (worker.instanceId !== null && (worker.call !== null || !worker.settled))
      this.#givenUp.set(worker.instanceId, worker.call?.number ?? null);
    this.#books.workers = this.#books.workers.filter((each) => each !== worker);
  }

  /** A report is believed, but for slots whose last command it does not know of. */
  report(worker: Worker, report: SlotReport): void {
    const { reportNumber, full, lastSeen } = report;
    const last = worker.lastReport;
    if (reportNumber < last || (reportNumber === last && !full)) return;
    if (lastSeen?.epoch === TOKEN.epoch) this.highestN = Math.max(this.highestN, lastSeen.n);
    worker.lastReport = reportNumber;
    if (full) worker.reportAsked = null;
    const { drainNumber } = worker;
    if (worker.drainDone && (drainNumber === null || reaches(lastSeen, drainNumber)))
      worker.draining = report.draining;
    // First all that is no longer so, then what is.
    for (const slot of worker.slots) {
      const status = report.slots.find((each) => each.slotNumber === slot.slotNumber);
      if (!mayJudge(slot, lastSeen) || (status === undefined && !full)) continue;
      if (status !== undefined) slot.profile = status.profile;
      const stays = status !== undefined && leaseOf(status)?.allocationId === slot.holder?.allocationId;
      if (slot.holder !== null && !stays) {
        this.#books.loseSlot(slot);
        vacate(slot);
      }
      if (status === undefined) worker.slots = worker.slots.filter((each) => each !== slot);
    }
    for (const status of report.slots) this.#status(worker, status, lastSeen);
    if (!full && reportNumber > last + 1) this.#books.askReport(worker);
  }

  #status(worker: Worker, status: Status, lastSeen: CommandNumber | null): void {
    let slot = worker.slots.find((each) => each.slotNumber === status.slotNumber);
    if (slot === undefined) {
      slot = newSlot(worker, status);
      worker.slots.push(slot);
    }
    const lease = leaseOf(status);
    if (!mayJudge(slot, lastSeen)) {
      if (lease !== null && lease.allocationId !== slot.holder?.allocationId) slot.passedOver = true;
      return;
    }
    slot.passedOver = false;
    if (lease === null) slot.state = status.state === 'free' ? 'free' : 'quarantined';
    else this.#holds(slot, lease, status.state === 'claimed');
  }

  #holds(slot: Slot, lease: Lease, claimed: boolean): void {
    const wasFreeing = slot.freeing !== 'no';
    slot.state = 'allocated';
    slot.holder = lease;
    slot.grantNumber = lease.grantNumber;
    slot.grantedBy = lease.instanceId;
    slot.claimed = claimed;
    slot.refusals = 0;
    const request = this.#of(slot);
    const other = request?.slot ?? null;
    if (request !== undefined && other !== null && other !== slot) {
      // One allocation, one slot (G4): claimed before granted before asked for; the older one of equals stays.
      const rank = (each: Slot): number => (each.claimed ? 3 : each.state === 'allocated' ? 2 : 1);
      const news = !wasFreeing && (claimed || other.worker === slot.worker);
      if (rank(slot) > rank(other) || (rank(slot) === rank(other) && news)) {
        this.#books.free(other);
        this.#keep(slot);
      } else this.#freeAgain(slot);
      return;
    }
    const unwanted =
      request === undefined
        ? this.#books.ended.has(lease.allocationId)
        : wasFreeing && this.#books.isUnreachable(request, slot.worker);
    // What is claimed is in hand, whatever was thought of it.
    if (unwanted && !claimed) return this.#freeAgain(slot);
    if (request === undefined) this.#books.newRequest(lease);
    this.#keep(slot);
  }

  #keep(slot: Slot): void {
    const request = this.#of(slot);
    if (request === undefined) return;
    slot.freeing = 'no';
    slot.timesFreed = 0;
    const isNews = request.state !== 'allocated' || !slot.claimed;
    this.#books.allocate(request, slot);
    if (slot.claimed) request.everClaimed = true;
    if (request.asked && isNews && request.toldGrant !== slot.grantNumber) this.#books.announce(request);
  }

  #freeAgain(slot: Slot): void {
    if (slot.freeing === 'no' && slot.timesFreed === 0) {
      slot.timesFreed = 1;
      this.#books.free(slot);
      return;
    }
    slot.freeing = 'wanted';
    slot.freeAgainAtMs.push(this.#books.nowMs + delayMs(REFUSAL_DELAY, slot.timesFreed++));
  }

  answered({ resourceId, instanceId, number, outcome }: Event<'slotCommandsAnswered'>): void {
    const worker = this.#books.worker(resourceId);
    if (worker?.instanceId === instanceId) this.answer(worker, number, outcome);
    else if (this.#givenUp.has(instanceId)) this.#givenUp.set(instanceId, null);
  }

  /** Only the answer to the call under way counts. */
  answer(worker: Worker, number: CommandNumber, outcome: Outcome): void {
    const { call } = worker;
    if (call === null || compareCommandNumbers(call.number, number) !== 0) return;
    worker.call = null;
    if (outcome.kind === 'done' && outcome.results.length === call.commands.length) {
      const { lost } = worker;
      worker.lost = [];
      worker.settled = true;
      worker.failures = 0;
      for (const { slot, request } of lost) if (isStill(slot, request)) this.#tryElsewhere(slot);
      for (const [index, command] of call.commands.entries()) {
        const result = outcome.results[index];
        if (result?.outcome === 'done') this.#did(worker, call.number, command, result.grantNumber);
        else if (result !== undefined) this.#refused(worker, call.number, command, result.problem.code);
      }
      return;
    }
    const code =
      outcome.kind === 'problem' ? outcome.problem.code : outcome.kind === 'done' ? 'INVALID' : 'NO_ANSWER';
    worker.settled = false;
    worker.notBeforeMs = this.#books.nowMs + delayMs(CALL_DELAY, worker.failures++);
    for (const command of call.commands) {
      if (command.kind === 'freeSlot' && isLast(command.slot, call.number, 'sent')) {
        command.slot.freeing = 'wanted';
        this.#books.free(command.slot);
      }
      if (command.kind !== 'requestSlot' || !isLast(command.slot, call.number, 'no')) continue;
      if (isStill(command.slot, command.request)) worker.lost.push(command);
    }
    // A problem says that nothing was done; silence and `STALE` do not.
    const certain = outcome.kind === 'problem' && code !== 'STALE';
    if (certain || worker.failures >= 3) this.#giveUpLost(worker);
    if (code === 'STALE' || code === 'INVALID') this.#books.askReport(worker);
  }

  #did(worker: Worker, number: CommandNumber, command: Command, grantNumber: number | null): void {
    if (command.kind === 'stop') worker.stopping = 'told';
    if (command.kind === 'drain' && worker.drainOrdered === command.draining) {
      worker.drainDone = true;
      worker.draining = command.draining;
      if (!command.draining) worker.drainOrdered = null;
    }
    if (command.kind === 'freeSlot' && isLast(command.slot, number, 'sent')) {
      vacate(command.slot);
      if (command.slot.passedOver) this.#books.askReport(worker);
    }
    if (command.kind !== 'requestSlot') return;
    const { slot, request } = command;
    if (!isLast(slot, number, 'no') || request.slot !== slot) return;
    if (grantNumber === null) return this.#books.askReport(worker);
    if (slot.state === 'requested') {
      slot.state = 'allocated';
      slot.grantNumber = grantNumber;
      slot.grantedBy = worker.instanceId;
      slot.refusals = 0;
      this.#books.allocate(request, slot);
    }
    if (request.toldGrant !== slot.grantNumber) this.#books.announce(request);
  }

  #refused(worker: Worker, number: CommandNumber, command: Command, code: string): void {
    if (command.kind === 'stop') worker.stopping = 'no';
    if (command.kind === 'drain' && worker.drainOrdered === command.draining) worker.drainDone = true;
    if (command.kind === 'freeSlot' && command.slot.lastNumber === number) this.#books.askReport(worker);
    if (command.kind !== 'requestSlot') return;
    const { slot, request } = command;
    if (!isLast(slot, number, 'no') || !isStill(slot, request)) return;
    if (code === 'SUPERSEDED') {
      vacate(slot);
      this.#books.fail(request, 'SUPERSEDED');
      return;
    }
    this.#tryElsewhere(slot);
    vacate(slot);
    slot.restUntilMs = this.#books.nowMs + delayMs(REFUSAL_DELAY, slot.refusals++);
    this.#books.askReport(worker);
  }

  #giveUpLost(worker: Worker): void {
    const { lost } = worker;
    worker.lost = [];
    for (const { slot, request } of lost) {
      if (!isStill(slot, request)) continue;
      this.#tryElsewhere(slot);
      this.#books.free(slot);
    }
  }

  #tryElsewhere(slot: Slot): void {
    const request = this.#of(slot);
    if (request === undefined) return;
    this.#books.restAt(request, slot.worker);
    this.#books.wait(request);
  }

  #of(slot: Slot): ReturnType<NaiveBooks['request']> {
    return slot.holder === null ? undefined : this.#books.request(slot.holder.allocationId);
  }
}

function newLine(): Pick<Worker, 'queue' | 'call' | 'lost' | 'settled' | 'failures' | 'notBeforeMs'> {
  return { queue: [], call: null, lost: [], settled: true, failures: 0, notBeforeMs: 0 };
}

function newSlot(worker: Worker, { slotNumber, profile }: Status): Slot {
  return {
    worker,
    slotNumber,
    profile,
    state: 'free',
    holder: null,
    grantNumber: null,
    grantedBy: null,
    claimed: false,
    freeing: 'no',
    timesFreed: 0,
    freeAgainAtMs: [],
    lastNumber: null,
    passedOver: false,
    refusals: 0,
    restUntilMs: 0,
  };
}

/** A lease counts only while the slot is in use. */
function leaseOf({ state, lease }: Status): Lease | null {
  return state === 'granted' || state === 'claimed' ? lease : null;
}

function reaches(lastSeen: CommandNumber | null, number: CommandNumber): boolean {
  return lastSeen !== null && compareCommandNumbers(number, lastSeen) <= 0;
}

/** Whether whoever has seen that command knows of all that was ordered about the slot. */
function mayJudge(slot: Slot, lastSeen: CommandNumber | null): boolean {
  if (slot.worker.queue.some((command) => command.slot === slot)) return false;
  return slot.lastNumber === null || reaches(lastSeen, slot.lastNumber);
}

function isLast(slot: Slot, number: CommandNumber, freeing: Slot['freeing']): boolean {
  return slot.lastNumber === number && slot.freeing === freeing;
}

/** Whether that request still waits for that slot's worker to say yes. */
function isStill(slot: Slot, request: { readonly slot: Slot | null; readonly state: string }): boolean {
  return request.slot === slot && request.state === 'requested' && slot.state === 'requested';
}
