import type { CommandNumber } from '../../src/core/command-number.ts';
import type { ResourceId } from '../../src/core/ids.ts';
import { amountOf, fits, type ResourceProfile } from '../../src/core/resource-profile.ts';
import type { SlotCommand } from '../../src/core/messages/slots.ts';
import type { SlotManagerEvent, SlotView } from '../../src/core/slotmanager/slot-manager-events.ts';
import {
  BRAKE_MS,
  type Choices,
  type Command,
  NaiveBooks,
  type Request,
  type Slot,
  takesNoWork,
  TIMING,
  TOKEN,
  type Worker,
} from './naive-books.ts';
import { isWaiting, NaiveRequests } from './naive-requests.ts';
import { NaiveWorkers } from './naive-workers.ts';

/** Something that happens at a time, unless what it is about has changed before. */
interface Due {
  readonly atMs: number;
  readonly act: () => void;
}

/** A slot manager of lists and loops: no index, no count and no timer is kept; all is looked at in every turn. */
export class NaiveSlotManager {
  readonly books: NaiveBooks;
  readonly workers: NaiveWorkers;
  readonly #requests: NaiveRequests;
  readonly #anyFits: boolean;
  #expected: ResourceId[] = [];
  #silent: ResourceId[] = [];
  #phase: 'grace' | 'brake' | 'over' = 'grace';
  readonly #graceUntilMs: number;

  constructor(nowMs: number, mostWaiting: number, anyFits: boolean) {
    this.books = new NaiveBooks(nowMs);
    this.workers = new NaiveWorkers(this.books);
    this.#requests = new NaiveRequests(this.books, mostWaiting);
    this.#anyFits = anyFits;
    this.#graceUntilMs = nowMs + TIMING.graceMs;
  }

  /** One turn: what was due, the event, then slots for those that wait, then the calls. Returns what is said. */
  handle(event: SlotManagerEvent, nowMs: number, choices: Choices): string[] {
    const books = this.books;
    books.nowMs = nowMs;
    books.turn++;
    books.said = [];
    books.looks = [];
    for (;;) {
      const due = this.#dues().filter(({ atMs }) => atMs <= nowMs);
      const next = due.find(({ atMs }) => atMs === Math.min(...due.map((each) => each.atMs)));
      if (next === undefined) break;
      next.act();
    }
    this.#event(event);
    for (const slot of books.slots()) if (this.#isOrphan(slot)) books.free(slot);
    if (this.#phase === 'brake' && !this.#mostAreSilent()) this.#phase = 'over';
    this.#place(choices);
    for (const worker of books.workers) this.#send(worker, choices);
    for (const worker of books.workers) {
      if (worker.slots.some((slot) => slot.state !== 'free')) worker.idleSinceMs = null;
      else if (worker.state !== 'expected') worker.idleSinceMs ??= nowMs;
    }
    const jobs = [...new Set(books.looks.map(({ jobId }) => jobId))];
    for (const jobId of jobs) {
      const ids = books.looks.filter((look) => look.jobId === jobId).map((look) => look.allocationId);
      books.said.push(`look ${jobId}: ${[...new Set(ids)].toSorted().join(', ')}`);
    }
    return books.said;
  }

  /** When something happens next by itself. */
  nextDueMs(): number {
    const { nowMs } = this.books;
    const restsEnd = this.books.slots().map((slot) => slot.restUntilMs);
    const lines = this.books.workers.map((worker) => worker.notBeforeMs);
    const exclusions = this.books.requests
      .filter(isWaiting)
      .flatMap((request) => [
        ...request.unreachableUntilMs.values(),
        ...[...request.rests.values()].map((rest) => rest.untilMs),
      ]);
    const later = [...restsEnd, ...lines, ...exclusions].filter((atMs) => atMs > nowMs);
    return Math.min(Infinity, ...later, ...this.#dues().map(({ atMs }) => atMs));
  }

  recovery(): { silent: number; expected: number; braked: boolean; untilMs: number } | null {
    if (!this.#isRecovering()) return null;
    const braked = this.#phase === 'brake';
    const untilMs = this.#graceUntilMs + (braked ? BRAKE_MS : 0);
    return { silent: this.#silent.length, expected: this.#expected.length, braked, untilMs };
  }

  #event(event: SlotManagerEvent): void {
    const { books, workers } = this;
    const worker = 'resourceId' in event ? books.worker(event.resourceId) : undefined;
    const isOfInstance = 'instanceId' in event && worker?.instanceId === event.instanceId;
    switch (event.type) {
      case 'taskExecutorExpected': {
        if (worker !== undefined) return;
        const added = workers.add(event.resourceId, 'expected');
        added.instanceId = event.instanceId;
        added.expectedSlots = event.slots;
        if (this.#phase === 'over') return;
        this.#expected.push(event.resourceId);
        this.#silent.push(event.resourceId);
        return;
      }
      case 'taskExecutorRegistered':
        workers.registered(event);
        this.#silent = this.#silent.filter((each) => each !== event.resourceId);
        return;
      case 'slotsReported':
        return workers.reported(event);
      case 'reportNumberSeen':
        if (worker !== undefined && isOfInstance && event.reportNumber > worker.lastReport)
          books.askReport(worker);
        return;
      case 'taskExecutorUnreachable':
        if (worker?.state === 'registered' && isOfInstance) workers.leaveAlone(worker, 'unreachable');
        return;
      case 'taskExecutorAhead':
        if (worker !== undefined && worker.state !== 'expected') workers.leaveAlone(worker, 'ahead');
        return;
      case 'taskExecutorGone':
        if (worker === undefined) return;
        workers.gone(worker);
        this.#expected = this.#expected.filter((each) => each !== event.resourceId);
        this.#silent = this.#silent.filter((each) => each !== event.resourceId);
        return;
      case 'drainRequested':
        if (worker === undefined) return;
        worker.drainOrdered = event.draining;
        worker.drainDone = false;
        return;
      case 'stopRequested':
        if (worker?.state !== 'registered' || worker.slots.some((slot) => slot.state !== 'free')) return;
        if (worker.stopping === 'no') worker.stopping = 'wanted';
        return;
      case 'slotCommandsAnswered':
        return workers.answered(event);
      case 'slotsRequested':
        return this.#requests.requested(event);
      case 'slotRequestsCancelled':
        return this.#requests.cancelled(event);
      case 'slotRejected':
        return this.#requests.rejected(event);
      case 'jobMasterHeartbeat':
        return this.#requests.heartbeat(event);
      case 'taskExecutorsMissed':
        return this.#requests.missed(event);
      case 'jobMasterGone':
        return this.#requests.jobMasterGone(event);
      case 'slotRequestFailedAtTaskExecutor':
        return this.#requests.failed(event);
      case 'tick':
    }
  }

  /** All that happens by itself. */
  #dues(): Due[] {
    const { books } = this;
    const dues: Due[] = [];
    for (const request of books.requests) {
      if (request.state === 'waiting' || request.state === 'requested')
        dues.push({ atMs: request.deadlineMs, act: () => books.fail(request, 'REQUEST_TIMEOUT') });
      if (request.state === 'doubtful')
        dues.push({ atMs: request.doubtUntilMs, act: () => books.end(request, 'CONFLICT') });
    }
    for (const worker of books.workers) {
      const { call, reportAsked } = worker;
      if (call !== null) {
        const act = (): void =>
          this.workers.answer(worker, call.number, { kind: 'noAnswer', detail: 'None came.' });
        dues.push({ atMs: call.givenUpAtMs, act });
      }
      if (reportAsked !== null) {
        const act = (): void => {
          worker.reportAsked = null;
          books.askReport(worker, reportAsked.times + 1);
        };
        dues.push({ atMs: reportAsked.againAtMs, act });
      }
      for (const slot of worker.slots)
        for (const atMs of slot.freeAgainAtMs) {
          const act = (): void => {
            slot.freeAgainAtMs = slot.freeAgainAtMs.filter((each) => each !== atMs);
            if (slot.freeing === 'wanted') books.free(slot);
          };
          dues.push({ atMs, act });
        }
    }
    if (this.#phase === 'grace' && this.#expected.length > 0)
      dues.push({ atMs: this.#graceUntilMs, act: () => this.#endGrace() });
    if (this.#phase === 'brake')
      dues.push({ atMs: this.#graceUntilMs + BRAKE_MS, act: () => void (this.#phase = 'over') });
    return dues;
  }

  #endGrace(): void {
    this.#phase = this.#silent.length > 0 && this.#mostAreSilent() ? 'brake' : 'over';
  }

  #mostAreSilent(): boolean {
    return this.#silent.length > this.#expected.length / 2;
  }

  #isRecovering(): boolean {
    return this.#phase !== 'over' && this.#silent.length > 0;
  }

  /** Asked for on behalf of a request that has timed out since. */
  #isOrphan(slot: Slot): boolean {
    if (slot.state !== 'requested' || slot.holder === null || slot.freeing !== 'no') return false;
    return this.books.request(slot.holder.allocationId)?.slot !== slot;
  }

  /** First come, first served among those that a slot fits; each gets the smallest slot that fits. */
  #place(choices: Choices): void {
    const { books } = this;
    const hopeless = new Set<Request>();
    const slots = books.slots();
    for (const request of books.requests.filter(isWaiting)) {
      const isClosed = ({ worker }: Slot): boolean =>
        books.isUnreachable(request, worker) ||
        (request.rests.get(worker.resourceId)?.untilMs ?? 0) > books.nowMs;
      const ready = slots.filter(
        (slot) => this.#fits(slot, request) && isReady(slot, books.nowMs) && !isClosed(slot),
      );
      const best = ready.filter((slot) =>
        ready.every((other) => this.#compare(slot.profile, other.profile) <= 0),
      );
      const chosen = choices.slotOf(request.allocationId);
      const slot = best.find((each) => placeOf(each) === chosen) ?? best[0];
      if (slot === undefined) {
        if (!request.containerAsked && !this.#mayHaveOneSoon(request)) hopeless.add(request);
        continue;
      }
      request.state = 'requested';
      request.slot = slot;
      slot.state = 'requested';
      slot.holder = request;
      slot.worker.queue.push({ kind: 'requestSlot', slot, request });
    }
    for (const request of books.requests.filter(isWaiting))
      this.#considerContainer(request, hopeless.has(request), choices);
  }

  /** Whether a slot is free for it, once it or its worker has rested. */
  #mayHaveOneSoon(request: Request): boolean {
    return this.books
      .slots()
      .some((slot) => this.#fits(slot, request) && !this.books.isUnreachable(request, slot.worker));
  }

  /** Once for each request until it is fulfilled: at once when there is no hope as it begins to wait, else after a while. */
  #considerContainer(request: Request, isHopeless: boolean, choices: Choices): void {
    if (request.containerAsked || this.#isRecovering()) return;
    const isLate = this.books.nowMs >= request.waitingSinceMs + 3 * TIMING.taskExecutorCallMs;
    const isNew = request.waitingSinceTurn === this.books.turn;
    const must = isLate || (isNew && isHopeless);
    // In between, when the slot that it could have had is gone meanwhile, either is right.
    const may = choices.asksForContainer(request.allocationId) && !this.#mayHaveOneSoon(request);
    if (!must && !may) return;
    request.containerAsked = true;
    this.books.said.push(`container for ${request.allocationId} ${JSON.stringify(request.profile)}`);
  }

  #fits(slot: Slot, request: Request): boolean {
    if (slot.state !== 'free' || slot.worker.state !== 'registered' || takesNoWork(slot.worker)) return false;
    return this.#anyFits || fits(slot.profile, request.profile);
  }

  /** Fewest kinds of extended resources, then least of them, then least cores and memory (4,096 MB are a core). */
  #compare(a: ResourceProfile, b: ResourceProfile): number {
    if (this.#anyFits) return 0;
    const [kindsA, extendedA, restA] = sizeOf(a);
    const [kindsB, extendedB, restB] = sizeOf(b);
    return kindsA - kindsB || extendedA - extendedB || restA - restB;
  }

  /** All that is to be said to a worker in one numbered call, when none is under way. */
  #send(worker: Worker, choices: Choices): void {
    if (worker.state !== 'registered' || worker.call !== null) return;
    if (this.books.nowMs < worker.notBeforeMs) return;
    const commands: Command[] = [];
    // It kills what was lost on the way; what that took before it died is given back.
    if (!worker.settled) commands.push({ kind: 'noOperation' });
    for (const { slot, request } of worker.lost)
      if (request.slot === slot && request.state === 'requested' && slot.freeing === 'no')
        commands.push({ kind: 'freeSlot', slot, allocationId: request.allocationId });
    if (worker.drainOrdered !== null && !worker.drainDone)
      commands.push({ kind: 'drain', draining: worker.drainOrdered });
    commands.push(...worker.queue);
    if (worker.stopping === 'wanted') commands.push({ kind: 'stop' });
    if (commands.length === 0) return;
    const { generation, epoch } = TOKEN;
    const theirs = choices.callTo(worker.resourceId);
    const order = (theirs?.commands ?? []).map((command) => toLine(command));
    commands.sort((a, b) => order.indexOf(toLine(onTheWire(a))) - order.indexOf(toLine(onTheWire(b))));
    const number: CommandNumber = theirs?.number ?? { generation, epoch, n: -1 };
    for (const command of commands) {
      if (command.kind === 'drain') worker.drainNumber = number;
      if ('slot' in command) command.slot.lastNumber = number;
      if (command.kind === 'freeSlot') command.slot.freeing = 'sent';
    }
    worker.queue = [];
    const givenUpAtMs = this.books.nowMs + 3 * TIMING.taskExecutorCallMs;
    worker.call = { number, commands, givenUpAtMs };
    const wire = commands.map((command) => onTheWire(command));
    this.books.said.push(sayCall(worker.resourceId, worker.instanceId, wire));
  }
}

/** One call as a line; the order of the slots in it does not matter, that of the rest does. */
export function sayCall(
  resourceId: ResourceId,
  instanceId: string | null,
  commands: readonly SlotCommand[],
): string {
  const lines = commands.map((command) => toLine(command));
  const first = lines.filter((_, i) => commands[i]?.kind === 'noOperation' && i === 0);
  const slots = lines.filter((line) => !first.includes(line)).toSorted();
  return `call ${resourceId} ${instanceId}: ${[...first, ...slots].join(' ')}`;
}

function toLine(command: SlotCommand): string {
  return JSON.stringify(command, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

function onTheWire(command: Command): SlotCommand {
  if (command.kind === 'freeSlot') {
    const { kind, slot, allocationId } = command;
    return { kind, slotNumber: slot.slotNumber, allocationId };
  }
  if (command.kind !== 'requestSlot') return command;
  const { kind, slot, request } = command;
  const { allocationId, jobId, jobMasterId, order } = request;
  const profile = fits(slot.profile, request.profile) ? request.profile : slot.profile;
  const { slotNumber } = slot;
  const { unclaimedMs } = TIMING;
  return { kind, slotNumber, allocationId, jobId, jobMasterId, order, profile, unclaimedMs };
}

/** Each slot in exactly one state; `unknown` while its worker cannot be reached. */
export function naiveViews(books: NaiveBooks): SlotView[] {
  return books.workers.flatMap((worker) => [
    ...Array.from({ length: worker.expectedSlots }, (_, slotNumber) => ({
      resourceId: worker.resourceId,
      slotNumber,
      state: 'unknown' as const,
      profile: { cpuCores: 0, memoryMB: 0, extended: {} },
      allocationId: null,
      jobId: null,
      jobMasterId: null,
      grantNumber: null,
      beingFreed: false,
    })),
    ...worker.slots.map((slot) => ({
      resourceId: worker.resourceId,
      slotNumber: slot.slotNumber,
      state: worker.state === 'registered' ? slot.state : ('unknown' as const),
      profile: slot.profile,
      allocationId: slot.holder?.allocationId ?? null,
      jobId: slot.holder?.jobId ?? null,
      jobMasterId: slot.holder?.jobMasterId ?? null,
      grantNumber: slot.grantNumber,
      beingFreed: slot.freeing !== 'no',
    })),
  ]);
}

function isReady({ worker, restUntilMs }: Slot, nowMs: number): boolean {
  return worker.settled && restUntilMs <= nowMs;
}

function placeOf({ worker, slotNumber }: Slot): string {
  return `${worker.resourceId}/${slotNumber}`;
}

function sizeOf(profile: ResourceProfile): [number, number, number] {
  const amounts = Object.keys(profile.extended).map((name) => amountOf(profile, name));
  const sum = amounts.reduce((total, amount) => total + amount, 0);
  return [amounts.filter((amount) => amount > 0).length, sum, profile.cpuCores + profile.memoryMB / 4_096];
}
