import { type CommandNumber, compareCommandNumbers } from '../command-number.ts';
import type { SlotCommand } from '../messages/slots.ts';
import { fits } from '../resource-profile.ts';
import { doublingDelayMs } from './doubling-delay.ts';
import type { DueEntry } from './due-queue.ts';
import {
  type QueuedCommand,
  type SentCommand,
  type SlotEntry,
  type SlotRequestEntry,
  type TaskExecutorEntry,
  newCommandLine,
} from './entries.ts';
import type { SlotBook } from './slot-book.ts';
import type { Turn } from './turn.ts';

/** A call whose answer the shell has failed to bring counts as unanswered after this many call deadlines. */
const ANSWER_PATIENCE = 3;

/** Called when the shell has brought no answer to a call at all. */
export type OnSilence = (entry: TaskExecutorEntry, number: CommandNumber) => void;

/**
 * The numbered calls to task executors: one under way for each of them, and what comes up meanwhile goes into
 * the next one. Numbers grow over all task executors together, so that no two calls of a term share one.
 */
export class CommandSender {
  readonly #turn: Turn;
  readonly #slots: SlotBook;
  readonly #onSilence: OnSilence;
  readonly #dirty = new Set<TaskExecutorEntry>();
  #lastN = 0;

  constructor(turn: Turn, slots: SlotBook, onSilence: OnSilence) {
    this.#turn = turn;
    this.#slots = slots;
    this.#onSilence = onSilence;
  }

  /** Asks for a free slot; it is `requested` from now on. */
  requestSlot(slot: SlotEntry, request: SlotRequestEntry): void {
    this.#slots.changeSlot(slot, (entry) => {
      entry.state = 'requested';
      entry.holder = request;
      entry.queuedCommands++;
    });
    this.#enqueue(slot.taskExecutor, { kind: 'requestSlot', slot, request });
  }

  /**
   * Puts the holder of a slot out by a command. The slot stays out of use until the task executor has answered
   * or reported. A request for it that has not left yet is taken back instead.
   */
  freeSlot(slot: SlotEntry): void {
    const { taskExecutor, holder } = slot;
    if (holder === null || slot.freeing === 'queued' || slot.freeing === 'sent') return;
    const { queue } = taskExecutor.line;
    const unsent = queue.findIndex((command) => command.slot === slot && command.kind === 'requestSlot');
    if (unsent >= 0) {
      queue.splice(unsent, 1);
      slot.queuedCommands--;
      this.#slots.vacate(slot);
      return;
    }
    slot.freeing = 'wanted';
    if (taskExecutor.state !== 'registered') return;
    slot.freeing = 'queued';
    slot.queuedCommands++;
    this.#enqueue(taskExecutor, { kind: 'freeSlot', slot, allocationId: holder.allocationId });
  }

  /** Tries again, later each time, to free a slot whose task executor has kept it. */
  freeSlotLater(slot: SlotEntry): void {
    const delayMs = doublingDelayMs(this.#turn.settings.refusalDelay, slot.freeAttempts++);
    slot.freeing = 'wanted';
    this.#turn.due.schedule(this.#turn.nowMs + delayMs, () => {
      if (slot.freeing === 'wanted') this.freeSlot(slot);
    });
  }

  /** Frees what was to be freed while the task executor could not be reached. */
  freeWanted(entry: TaskExecutorEntry): void {
    for (const slot of entry.slots.values()) if (slot.freeing === 'wanted') this.freeSlot(slot);
  }

  /** Looks at its line again at the end of the turn. */
  touch(entry: TaskExecutorEntry): void {
    this.#dirty.add(entry);
  }

  /** Forgets all calls: they were meant for an instance that is no more. */
  reset(entry: TaskExecutorEntry): void {
    this.#turn.due.cancel(entry.line.inFlight?.timer ?? null);
    entry.line = newCommandLine();
    entry.drainNumber = null;
    entry.drainDone = entry.drainOrdered === null;
    entry.stopping = 'no';
    for (const slot of entry.slots.values()) {
      slot.lastNumber = null;
      slot.queuedCommands = 0;
      slot.refusals = 0;
      slot.restUntilMs = 0;
      if (slot.freeing !== 'no') slot.freeing = 'wanted';
    }
  }

  /** Goes on after an instance was given up: nothing before a no-operation, and not before that call has ended. */
  resume(entry: TaskExecutorEntry, underWay: CommandNumber | null): void {
    entry.line.settled = false;
    if (underWay !== null)
      entry.line.inFlight = { number: underWay, commands: [], timer: this.#watch(entry, underWay) };
  }

  /** Takes back what has not been sent yet and returns the requests whose slots are free again by that. */
  takeBackQueued(entry: TaskExecutorEntry): SlotRequestEntry[] {
    const requests: SlotRequestEntry[] = [];
    const queue = entry.line.queue;
    entry.line.queue = [];
    for (const command of queue) {
      command.slot.queuedCommands--;
      if (command.kind === 'freeSlot') command.slot.freeing = 'wanted';
      else {
        this.#slots.vacate(command.slot);
        // One that has timed out in this turn has ended.
        if (command.request.slot === command.slot) requests.push(command.request);
      }
    }
    return requests;
  }

  /** Asks for a full report, and asks again until one has come. */
  requestReport(entry: TaskExecutorEntry, attempt = 0): void {
    if (entry.reportWanted !== null || entry.instanceId === null || entry.state !== 'registered') return;
    const { resourceId, instanceId } = entry;
    this.#turn.outbox.add({ type: 'requestSlotReport', resourceId, instanceId });
    const firstMs = this.#turn.settings.timing.taskExecutorCallMs;
    const delayMs = doublingDelayMs({ firstMs, mostMs: 16 * firstMs }, attempt);
    const timer = this.#turn.due.schedule(this.#turn.nowMs + delayMs, () => {
      entry.reportWanted = null;
      this.requestReport(entry, attempt + 1);
    });
    entry.reportWanted = { attempt, timer };
  }

  /** A report shows what the task executor has seen; our numbers stay above it. */
  sawNumber(lastSeen: CommandNumber): void {
    const { generation, epoch } = this.#turn.settings.token;
    if (lastSeen.generation === generation && lastSeen.epoch === epoch)
      this.#lastN = Math.max(this.#lastN, lastSeen.n);
  }

  /** Sends what can be sent; the last thing in a turn. */
  flush(): void {
    for (const entry of this.#dirty) this.#send(entry);
    this.#dirty.clear();
  }

  /** Does not talk to it before the delay is over, which grows with each failure. */
  backOff(entry: TaskExecutorEntry): void {
    const { line } = entry;
    const delayMs = doublingDelayMs(this.#turn.settings.callDelay, line.failuresInARow++);
    line.notBeforeMs = this.#turn.nowMs + delayMs;
    this.#turn.due.schedule(line.notBeforeMs, () => this.touch(entry));
  }

  #enqueue(entry: TaskExecutorEntry, command: QueuedCommand): void {
    entry.line.queue.push(command);
    this.touch(entry);
  }

  #send(entry: TaskExecutorEntry): void {
    const { line, resourceId, instanceId } = entry;
    if (entry.state !== 'registered' || instanceId === null) return;
    if (line.inFlight !== null || this.#turn.nowMs < line.notBeforeMs) return;
    const commands = this.#commandsFor(entry);
    if (commands.length === 0) return;
    const { generation, epoch } = this.#turn.settings.token;
    const number: CommandNumber = { generation, epoch, n: ++this.#lastN };
    for (const command of commands) {
      if (command.kind === 'drain') entry.drainNumber = number;
      if (command.kind !== 'requestSlot' && command.kind !== 'freeSlot') continue;
      command.slot.lastNumber = number;
      if (command.kind === 'freeSlot') command.slot.freeing = 'sent';
    }
    for (const { slot } of line.queue) slot.queuedCommands--;
    line.queue = [];
    line.inFlight = { number, commands, timer: this.#watch(entry, number) };
    const wire = commands.map((command) => this.#toWire(command));
    this.#turn.outbox.add({ type: 'sendSlotCommands', resourceId, instanceId, number, commands: wire });
  }

  #watch(entry: TaskExecutorEntry, number: CommandNumber): DueEntry {
    const patienceMs = ANSWER_PATIENCE * this.#turn.settings.timing.taskExecutorCallMs;
    return this.#turn.due.schedule(this.#turn.nowMs + patienceMs, () => this.#onSilence(entry, number));
  }

  #commandsFor(entry: TaskExecutorEntry): SentCommand[] {
    const commands: SentCommand[] = [];
    if (!entry.line.settled) commands.push({ kind: 'noOperation' });
    // A lost command may have been executed before its successor kills it: what it took is given back.
    for (const { slot, request } of entry.line.lost)
      if (request.slot === slot && request.state === 'requested' && slot.freeing === 'no')
        commands.push({ kind: 'freeSlot', slot, allocationId: request.allocationId });
    if (entry.drainOrdered !== null && !entry.drainDone)
      commands.push({ kind: 'drain', draining: entry.drainOrdered });
    commands.push(...entry.line.queue);
    if (entry.stopping === 'wanted') commands.push({ kind: 'stop' });
    return commands;
  }

  #toWire(command: SentCommand): SlotCommand {
    switch (command.kind) {
      case 'requestSlot': {
        const { allocationId, jobId, jobMasterId, order } = command.request;
        const { unclaimedMs } = this.#turn.settings.timing;
        const { slotNumber } = command.slot;
        // The task executor checks the fit; a strategy that does not care asks for what the slot has.
        const fit = fits(command.slot.profile, command.request.profile);
        const profile = fit ? command.request.profile : command.slot.profile;
        return {
          kind: 'requestSlot',
          slotNumber,
          allocationId,
          jobId,
          jobMasterId,
          order,
          profile,
          unclaimedMs,
        };
      }
      case 'freeSlot':
        return { kind: 'freeSlot', slotNumber: command.slot.slotNumber, allocationId: command.allocationId };
      default:
        return command;
    }
  }
}

/** Whether a report with that `lastSeen` knows of every command about the slot, so that it may speak of it. */
export function mayJudge(slot: SlotEntry, lastSeen: CommandNumber | null): boolean {
  if (slot.queuedCommands > 0) return false;
  if (slot.lastNumber === null) return true;
  return lastSeen !== null && compareCommandNumbers(slot.lastNumber, lastSeen) <= 0;
}
