import type { SlotCommandResult } from '../messages/slots.ts';
import type { Problem } from '../problem.ts';
import type { CommandSender } from './command-sender.ts';
import { doublingDelayMs } from './doubling-delay.ts';
import type { SentCommand, SlotEntry, SlotRequestEntry, TaskExecutorEntry } from './entries.ts';
import { announce } from './grants.ts';
import type { RequestBook } from './request-book.ts';
import type { SlotBook } from './slot-book.ts';
import type { SlotManagerEvent } from './slot-manager-events.ts';
import type { Turn } from './turn.ts';

type Answer = Extract<SlotManagerEvent, { type: 'slotCommandsAnswered' }>;

/** After so many calls in a row without an answer, the requests they carried are tried elsewhere. */
const SILENT_CALLS_BEFORE_GIVING_UP = 3;

/** What the answers to numbered calls, and their absence, mean for slots and requests. */
export class CommandAnswers {
  readonly #turn: Turn;
  readonly #slots: SlotBook;
  readonly #requests: RequestBook;
  readonly #sender: CommandSender;

  constructor(turn: Turn, slots: SlotBook, requests: RequestBook, sender: CommandSender) {
    this.#turn = turn;
    this.#slots = slots;
    this.#requests = requests;
    this.#sender = sender;
  }

  /** Only the answer to the call that is under way counts; any other is late and says nothing that is still true. */
  answered(entry: TaskExecutorEntry, number: Answer['number'], outcome: Answer['outcome']): void {
    const { line } = entry;
    const call = line.inFlight;
    if (call === null || call.number.n !== number.n || call.number.epoch !== number.epoch) return;
    line.inFlight = null;
    this.#turn.due.cancel(call.timer);
    this.#sender.touch(entry);
    if (outcome.kind === 'done' && outcome.results.length === call.commands.length) {
      this.#done(entry, call.number, call.commands, outcome.results);
      return;
    }
    const problem: Problem =
      outcome.kind === 'problem'
        ? outcome.problem
        : outcome.kind === 'noAnswer'
          ? { code: 'NO_ANSWER', detail: outcome.detail }
          : { code: 'INVALID', detail: 'The answer has not one result for each command.' };
    this.#unsettle(entry, problem);
    for (const command of call.commands) {
      if (command.kind === 'freeSlot') this.#freeAgain(command.slot, call.number);
      if (command.kind === 'requestSlot' && isRequested(command.slot, command.request, call.number))
        line.lost.push({ slot: command.slot, request: command.request });
    }
    // A problem says that nothing was executed; silence says nothing, so a request waits for the no-operation.
    const certain = outcome.kind === 'problem' && problem.code !== 'STALE';
    if (certain || line.failuresInARow >= SILENT_CALLS_BEFORE_GIVING_UP) this.giveUpLost(entry);
    if (problem.code === 'STALE' || problem.code === 'INVALID') this.#sender.requestReport(entry);
  }

  /** Tries the requests of unanswered calls elsewhere; their slots stay out of use until a command has freed them. */
  giveUpLost(entry: TaskExecutorEntry): void {
    const lost = entry.line.lost;
    entry.line.lost = [];
    for (const { slot, request } of lost) {
      if (request.slot !== slot || request.state !== 'requested') continue;
      this.#requests.rest(request, entry.resourceId);
      this.#requests.wait(request);
      this.#sender.freeSlot(slot);
    }
  }

  #done(
    entry: TaskExecutorEntry,
    number: Answer['number'],
    commands: readonly SentCommand[],
    results: readonly SlotCommandResult[],
  ): void {
    const lost = entry.line.lost;
    if (!entry.line.settled)
      this.#slots.changeTaskExecutor(entry, ({ line }) => {
        line.lost = [];
        line.settled = true;
        line.failuresInARow = 0;
      });
    // This call had a higher number than the lost ones: they can no longer be executed, and it freed what they took.
    for (const { slot, request } of lost) {
      if (request.slot !== slot || request.state !== 'requested') continue;
      this.#requests.rest(request, entry.resourceId);
      this.#requests.wait(request);
    }
    for (const [index, command] of commands.entries()) {
      const result = results[index];
      if (result === undefined) continue;
      if (result.outcome === 'refused') this.#refused(entry, number, command, result.problem);
      else this.#executed(entry, number, command, result.grantNumber);
    }
  }

  #executed(
    entry: TaskExecutorEntry,
    number: Answer['number'],
    command: SentCommand,
    grantNumber: number | null,
  ): void {
    switch (command.kind) {
      case 'requestSlot':
        this.#granted(entry, number, command.slot, command.request, grantNumber);
        return;
      case 'freeSlot':
        if (command.slot.freeing !== 'sent' || command.slot.lastNumber !== number) return;
        this.#slots.vacate(command.slot);
        if (command.slot.passedOver) this.#sender.requestReport(entry);
        return;
      case 'drain':
        if (entry.drainOrdered !== command.draining) return;
        this.#slots.changeTaskExecutor(entry, (changed) => {
          changed.drainDone = true;
          changed.draining = command.draining;
          if (!command.draining) changed.drainOrdered = null;
        });
        return;
      case 'stop':
        entry.stopping = 'told';
        return;
      case 'noOperation':
        return;
    }
  }

  #granted(
    entry: TaskExecutorEntry,
    number: Answer['number'],
    slot: SlotEntry,
    request: SlotRequestEntry,
    grantNumber: number | null,
  ): void {
    if (slot.lastNumber !== number || slot.freeing !== 'no' || request.slot !== slot) return;
    if (grantNumber === null) {
      this.#sender.requestReport(entry);
      return;
    }
    if (slot.state === 'requested') {
      this.#slots.changeSlot(slot, (changed) => {
        changed.state = 'allocated';
        changed.grantNumber = grantNumber;
        changed.grantInstanceId = entry.instanceId;
        changed.refusals = 0;
      });
      this.#requests.allocate(request, slot);
    }
    if (request.announcedGrant !== slot.grantNumber) announce(this.#turn, request);
  }

  #refused(entry: TaskExecutorEntry, number: Answer['number'], command: SentCommand, problem: Problem): void {
    const about = 'slot' in command ? command.slot.slotNumber : null;
    const { resourceId } = entry;
    const fields = { resourceId, slotNumber: about, command: command.kind, code: problem.code };
    this.#turn.outbox.report('warn', 'slotCommandRefused', { ...fields, detail: problem.detail });
    if (command.kind === 'drain' && entry.drainOrdered === command.draining) entry.drainDone = true;
    if (command.kind === 'stop') {
      this.#slots.changeTaskExecutor(entry, (changed) => {
        changed.stopping = 'no';
      });
    }
    if (command.kind === 'freeSlot') {
      // What the slot holds now, only a report can say; until then it stays out of use.
      if (command.slot.lastNumber === number) this.#sender.requestReport(entry);
      return;
    }
    if (command.kind !== 'requestSlot') return;
    const { slot, request } = command;
    if (!isRequested(slot, request, number)) return;
    this.#slots.vacate(slot);
    if (problem.code === 'SUPERSEDED') {
      // It is the job master that is refused, everywhere; the slot is fine.
      this.#requests.fail(request, problem);
      return;
    }
    this.#requests.rest(request, resourceId);
    this.#requests.wait(request);
    this.#restSlot(slot);
    this.#sender.requestReport(entry);
  }

  /** A slot that was refused is refused to others too, most likely. */
  #restSlot(slot: SlotEntry): void {
    const delayMs = doublingDelayMs(this.#turn.settings.refusalDelay, slot.refusals++);
    this.#slots.rest(slot, this.#turn.nowMs + delayMs);
  }

  #unsettle(entry: TaskExecutorEntry, problem: Problem): void {
    this.#slots.changeTaskExecutor(entry, ({ line }) => {
      line.settled = false;
    });
    this.#sender.backOff(entry);
    const { code, detail, token } = problem;
    this.#turn.outbox.report(code === 'FENCED' ? 'error' : 'warn', 'slotCommandsFailed', {
      resourceId: entry.resourceId,
      code,
      detail,
      ...(token === undefined ? {} : { wonGeneration: token.generation, wonEpoch: token.epoch }),
    });
  }

  #freeAgain(slot: SlotEntry, number: Answer['number']): void {
    if (slot.freeing !== 'sent' || slot.lastNumber !== number) return;
    slot.freeing = 'wanted';
    this.#sender.freeSlot(slot);
  }
}

/** Whether that call's command is still the last word about its slot. */
function isRequested(slot: SlotEntry, request: SlotRequestEntry, number: Answer['number']): boolean {
  return (
    slot.state === 'requested' &&
    slot.freeing === 'no' &&
    slot.lastNumber === number &&
    request.slot === slot &&
    request.state === 'requested'
  );
}
