import type { CommandNumber } from '../command-number.ts';
import type { InstanceId, ResourceId } from '../ids.ts';
import type { CommandAnswers } from './command-answers.ts';
import type { CommandSender } from './command-sender.ts';
import type { TaskExecutorEntry } from './entries.ts';
import { announce } from './grants.ts';
import type { Recovery } from './recovery.ts';
import type { ReportReconciler } from './report-reconciler.ts';
import type { RequestBook } from './request-book.ts';
import type { SlotBook } from './slot-book.ts';
import type { SlotManagerEvent } from './slot-manager-events.ts';
import type { Turn } from './turn.ts';

type Event<Type extends SlotManagerEvent['type']> = Extract<SlotManagerEvent, { type: Type }>;

/** Most instances that are remembered although they are not (or no longer) in the books. */
const MOST_REMEMBERED = 10_000;

/** What task executors say, and what is said of them: registration, reports, reachability, drain and end. */
export class TaskExecutorDesk {
  readonly #turn: Turn;
  readonly #slots: SlotBook;
  readonly #requests: RequestBook;
  readonly #sender: CommandSender;
  readonly #answers: CommandAnswers;
  readonly #reconciler: ReportReconciler;
  readonly #recovery: Recovery;
  /** Newest report number of instances that reported before they were registered. */
  readonly #early = new Map<InstanceId, number>();
  /** Instances that were given up with commands possibly still on their way, and the call that was under way. */
  readonly #givenUp = new Map<InstanceId, CommandNumber | null>();

  constructor(
    turn: Turn,
    slots: SlotBook,
    requests: RequestBook,
    sender: CommandSender,
    answers: CommandAnswers,
    reconciler: ReportReconciler,
    recovery: Recovery,
  ) {
    this.#turn = turn;
    this.#slots = slots;
    this.#requests = requests;
    this.#sender = sender;
    this.#answers = answers;
    this.#reconciler = reconciler;
    this.#recovery = recovery;
  }

  expected(event: Event<'taskExecutorExpected'>): void {
    if (this.#slots.taskExecutors.has(event.resourceId)) return;
    const entry = this.#slots.addTaskExecutor(event.resourceId, 'expected');
    entry.instanceId = event.instanceId;
    this.#slots.expectSlots(entry, event.slots);
    this.#recovery.expect(event.resourceId);
  }

  registered(event: Event<'taskExecutorRegistered'>): void {
    const { resourceId, instanceId, report } = event;
    const entry =
      this.#slots.taskExecutors.get(resourceId) ?? this.#slots.addTaskExecutor(resourceId, 'registered');
    this.#slots.expectSlots(entry, 0);
    const sameInstance = entry.instanceId === instanceId && entry.state !== 'expected';
    if (!sameInstance) {
      this.#turn.due.cancel(entry.reportWanted?.timer ?? null);
      entry.reportWanted = null;
      entry.lastReportNumber = -1;
      this.#sender.reset(entry);
      this.#recallGivenUp(entry, instanceId);
    }
    const hasMoved = entry.address !== '' && entry.address !== event.address;
    this.#slots.changeTaskExecutor(entry, (changed) => {
      changed.instanceId = instanceId;
      changed.address = event.address;
      changed.provider = event.provider;
      changed.state = 'registered';
      if (changed.busySlots === 0) changed.idleSinceMs ??= this.#turn.nowMs;
    });
    if (report.reportNumber < entry.lastReportNumber) this.#sender.requestReport(entry);
    this.#reconciler.take(entry, report);
    // Lost, it does no harm: who cannot reach it says so with each heartbeat.
    if (hasMoved) for (const request of this.#requests.allocatedAt(entry)) announce(this.#turn, request);
    this.#sender.freeWanted(entry);
    const early = this.#early.get(instanceId);
    this.#early.delete(instanceId);
    if (early !== undefined && early > report.reportNumber) this.#sender.requestReport(entry);
    this.#recovery.heard(resourceId);
    this.#sender.touch(entry);
  }

  reported(event: Event<'slotsReported'>): void {
    const { resourceId, instanceId, report } = event;
    const entry = this.#slots.instance(resourceId, instanceId);
    if (entry?.state === 'registered') {
      this.#reconciler.take(entry, report);
      return;
    }
    this.#rememberEarly(resourceId, instanceId, report.reportNumber);
  }

  reportNumberSeen(event: Event<'reportNumberSeen'>): void {
    const entry = this.#slots.instance(event.resourceId, event.instanceId);
    if (entry?.state === 'registered' && event.reportNumber > entry.lastReportNumber)
      this.#sender.requestReport(entry);
  }

  answered(event: Event<'slotCommandsAnswered'>): void {
    const entry = this.#slots.instance(event.resourceId, event.instanceId);
    if (entry === null) {
      if (this.#givenUp.has(event.instanceId)) this.#givenUp.set(event.instanceId, null);
      return;
    }
    this.#answers.answered(entry, event.number, event.outcome);
  }

  unreachable(event: Event<'taskExecutorUnreachable'>): void {
    const entry = this.#slots.instance(event.resourceId, event.instanceId);
    if (entry?.state === 'registered') this.leaveAlone(entry, 'unreachable');
  }

  ahead(event: Event<'taskExecutorAhead'>): void {
    const entry = this.#slots.taskExecutors.get(event.resourceId);
    if (entry === undefined || entry.state === 'expected') return;
    this.leaveAlone(entry, 'ahead');
    this.#turn.outbox.report('error', 'taskExecutorAhead', { resourceId: event.resourceId });
  }

  gone(event: Event<'taskExecutorGone'>): void {
    const entry = this.#slots.taskExecutors.get(event.resourceId);
    if (entry === undefined) return;
    this.leaveAlone(entry, 'unreachable');
    for (const slot of entry.slots.values()) this.#reconciler.removeSlot(slot);
    const { inFlight, settled } = entry.line;
    if (entry.instanceId !== null && (inFlight !== null || !settled)) {
      makeRoom(this.#givenUp);
      this.#givenUp.set(entry.instanceId, inFlight?.number ?? null);
    }
    this.#slots.removeTaskExecutor(entry);
    this.#recovery.gone(event.resourceId);
  }

  drain(event: Event<'drainRequested'>): void {
    const entry = this.#slots.taskExecutors.get(event.resourceId);
    if (entry === undefined) return;
    this.#slots.changeTaskExecutor(entry, (changed) => {
      changed.drainOrdered = event.draining;
      changed.drainDone = false;
    });
    this.#sender.touch(entry);
  }

  stop(event: Event<'stopRequested'>): void {
    const entry = this.#slots.taskExecutors.get(event.resourceId);
    if (entry === undefined) return;
    if (entry.state !== 'registered' || entry.busySlots > 0) {
      this.#turn.outbox.report('info', 'stopNotIdle', { resourceId: event.resourceId });
      return;
    }
    this.#slots.changeTaskExecutor(entry, (changed) => {
      if (changed.stopping === 'no') changed.stopping = 'wanted';
    });
    this.#sender.touch(entry);
  }

  /** Gives it nothing until it registers again: its slots are unknown, and what it was being asked for is asked elsewhere. */
  leaveAlone(entry: TaskExecutorEntry, state: 'unreachable' | 'ahead'): void {
    this.#turn.due.cancel(entry.reportWanted?.timer ?? null);
    entry.reportWanted = null;
    const requests = this.#sender.takeBackQueued(entry);
    this.#slots.changeTaskExecutor(entry, (changed) => {
      changed.state = state;
    });
    for (const request of requests) this.#requests.wait(request);
    this.#answers.giveUpLost(entry);
    for (const slot of entry.slots.values()) {
      const request =
        slot.state === 'requested' && slot.holder !== null
          ? this.#requests.get(slot.holder.allocationId)
          : undefined;
      if (request === undefined || request.slot !== slot) continue;
      this.#requests.wait(request);
      this.#sender.freeSlot(slot);
    }
  }

  /** An instance that was given up is back: what was sent to it then must be killed first. */
  #recallGivenUp(entry: TaskExecutorEntry, instanceId: InstanceId): void {
    const number = this.#givenUp.get(instanceId);
    if (number === undefined) return;
    this.#givenUp.delete(instanceId);
    this.#sender.resume(entry, number);
  }

  #rememberEarly(resourceId: ResourceId, instanceId: InstanceId, reportNumber: number): void {
    const before = this.#early.get(instanceId);
    if (before === undefined) makeRoom(this.#early);
    this.#early.set(instanceId, Math.max(before ?? reportNumber, reportNumber));
    this.#turn.outbox.report('warn', 'reportBeforeRegistration', { resourceId, instanceId, reportNumber });
  }
}

function makeRoom(map: Map<InstanceId, unknown>): void {
  if (map.size >= MOST_REMEMBERED) map.clear();
}
