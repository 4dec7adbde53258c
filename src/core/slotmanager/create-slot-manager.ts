import type { FencingToken } from '../fencing-token.ts';
import type { Timing } from '../timing.ts';
import { CommandAnswers } from './command-answers.ts';
import { CommandSender } from './command-sender.ts';
import { Placement } from './placement.ts';
import { Recovery } from './recovery.ts';
import { ReportReconciler } from './report-reconciler.ts';
import { RequestBook } from './request-book.ts';
import { RequestDesk } from './request-desk.ts';
import { SlotBook } from './slot-book.ts';
import type {
  SlotCounts,
  SlotManager,
  SlotManagerEffect,
  SlotManagerEvent,
  SlotView,
  TaskExecutorSlotsView,
} from './slot-manager-events.ts';
import { profileMatching } from './slot-matching.ts';
import { slotViews, taskExecutorViews } from './slot-views.ts';
import { TaskExecutorDesk } from './task-executor-desk.ts';
import { type SlotManagerSettings, Turn } from './turn.ts';

/** What a slot manager needs; what is left out has the default that `createSlotManager` names. */
export interface SlotManagerOptions extends Partial<SlotManagerSettings> {
  readonly token: FencingToken;
  readonly timing: Timing;
  /** The monotonic time at which the term begins; the grace counts from here. */
  readonly nowMs: number;
}

const DEFAULTS: Omit<SlotManagerSettings, 'token' | 'timing'> = {
  matching: profileMatching,
  maxPendingRequests: 100_000,
  maxRememberedRequests: 100_000,
  brakeMs: 300_000,
  refusalDelay: { firstMs: 200, mostMs: 30_000 },
  callDelay: { firstMs: 100, mostMs: 5_000 },
};

/**
 * A slot manager with empty books for the term that `token` names. Defaults: profile matching, 100,000 waiting
 * requests at most, 100,000 ended requests remembered, brake of 5 minutes at most, refusals left alone for 0.2 s
 * doubling to 30 s, calls without a good answer repeated after 0.1 s doubling to 5 s.
 */
export function createSlotManager(options: SlotManagerOptions): SlotManager {
  const { nowMs, ...settings } = options;
  return new TermSlotManager({ ...DEFAULTS, ...settings }, nowMs);
}

class TermSlotManager implements SlotManager {
  readonly #turn: Turn;
  readonly #slots: SlotBook;
  readonly #requests: RequestBook;
  readonly #recovery: Recovery;
  readonly #sender: CommandSender;
  readonly #answers: CommandAnswers;
  readonly #requestDesk: RequestDesk;
  readonly #taskExecutorDesk: TaskExecutorDesk;
  readonly #placement: Placement;

  constructor(settings: SlotManagerSettings, nowMs: number) {
    const turn = new Turn(settings, nowMs);
    const slots = new SlotBook(turn);
    const requests = new RequestBook(turn);
    const recovery = new Recovery(turn);
    const sender = new CommandSender(turn, slots, (entry, number) =>
      this.#answers.answered(entry, number, {
        kind: 'noAnswer',
        detail: 'The call was not answered at all.',
      }),
    );
    const answers = new CommandAnswers(turn, slots, requests, sender);
    const reconciler = new ReportReconciler(turn, slots, requests, sender);
    this.#turn = turn;
    this.#slots = slots;
    this.#requests = requests;
    this.#recovery = recovery;
    this.#sender = sender;
    this.#answers = answers;
    this.#requestDesk = new RequestDesk(turn, slots, requests, sender);
    this.#taskExecutorDesk = new TaskExecutorDesk(
      turn,
      slots,
      requests,
      sender,
      answers,
      reconciler,
      recovery,
    );
    this.#placement = new Placement(turn, slots, requests, sender, recovery);
  }

  handle(event: SlotManagerEvent, nowMs: number): SlotManagerEffect[] {
    this.#turn.nowMs = Math.max(this.#turn.nowMs, nowMs);
    this.#turn.due.runDue(this.#turn.nowMs);
    this.#dispatch(event);
    // The event may have told that the slot is in use meanwhile: then there is nothing to take back.
    for (const [slot, allocationId] of this.#requests.orphans)
      if (slot.state === 'requested' && slot.holder?.allocationId === allocationId)
        this.#sender.freeSlot(slot);
    this.#requests.orphans.clear();
    this.#placement.run();
    this.#sender.flush();
    return this.#turn.outbox.take();
  }

  nextDueMs(): number | null {
    return this.#turn.due.nextDueMs();
  }

  slotCounts(): SlotCounts {
    return this.#slots.counts();
  }

  pendingRequests(): number {
    return this.#requests.waiting.size;
  }

  slots(): Iterable<SlotView> {
    return slotViews(this.#slots.taskExecutors.values());
  }

  taskExecutors(): Iterable<TaskExecutorSlotsView> {
    return taskExecutorViews(this.#slots.taskExecutors.values());
  }

  recovery(): ReturnType<SlotManager['recovery']> {
    return this.#recovery.view();
  }

  #dispatch(event: SlotManagerEvent): void {
    const desk = this.#taskExecutorDesk;
    switch (event.type) {
      case 'taskExecutorExpected':
        return desk.expected(event);
      case 'taskExecutorRegistered':
        return desk.registered(event);
      case 'slotsReported':
        return desk.reported(event);
      case 'reportNumberSeen':
        return desk.reportNumberSeen(event);
      case 'taskExecutorUnreachable':
        return desk.unreachable(event);
      case 'taskExecutorGone':
        return desk.gone(event);
      case 'taskExecutorAhead':
        return desk.ahead(event);
      case 'drainRequested':
        return desk.drain(event);
      case 'stopRequested':
        return desk.stop(event);
      case 'slotCommandsAnswered':
        return desk.answered(event);
      case 'slotsRequested':
        return this.#requestDesk.requested(event);
      case 'slotRequestsCancelled':
        return this.#requestDesk.cancelled(event);
      case 'slotRejected':
        return this.#requestDesk.rejected(event);
      case 'jobMasterHeartbeat':
        return this.#requestDesk.heartbeat(event);
      case 'taskExecutorsMissed':
        return this.#requestDesk.missed(event);
      case 'jobMasterGone':
        return this.#requestDesk.jobMasterGone(event);
      case 'slotRequestFailedAtTaskExecutor':
        return this.#requestDesk.failed(event);
      case 'tick':
        return;
    }
  }
}
