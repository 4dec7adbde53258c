import type { SlotReport } from '../messages/slots.ts';
import { type CommandSender, mayJudge } from './command-sender.ts';
import { compareCommandNumbers } from '../command-number.ts';
import type { SlotEntry, SlotHolder, SlotRequestEntry, TaskExecutorEntry } from './entries.ts';
import { announce } from './grants.ts';
import type { RequestBook } from './request-book.ts';
import type { SlotBook } from './slot-book.ts';
import type { Turn } from './turn.ts';

type SlotStatus = SlotReport['slots'][number];
type Lease = NonNullable<SlotStatus['lease']>;

/**
 * Brings the books in line with what a task executor says of itself. It is believed, except about a slot whose
 * last command it had not seen when it spoke.
 */
export class ReportReconciler {
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

  /** Takes a report of the instance in the books; an older one than the last is dropped. */
  take(entry: TaskExecutorEntry, report: SlotReport): void {
    const last = entry.lastReportNumber;
    if (report.reportNumber < last || (report.reportNumber === last && !report.full)) return;
    if (report.lastSeen !== null) this.#sender.sawNumber(report.lastSeen);
    entry.lastReportNumber = report.reportNumber;
    if (report.full) this.#reportArrived(entry);
    this.#takeDraining(entry, report);
    // First what is no longer so, then what is: an allocation that moved is seen to leave before it arrives.
    this.#detach(entry, report);
    for (const status of report.slots) this.#apply(entry, status, report);
    if (!report.full && report.reportNumber > last + 1) this.#sender.requestReport(entry);
  }

  /** The slot is gone from the task executor's hands; what was in it is tried again or looked for. */
  removeSlot(slot: SlotEntry): void {
    this.#displace(slot);
    this.#slots.removeSlot(slot);
  }

  #reportArrived(entry: TaskExecutorEntry): void {
    this.#turn.due.cancel(entry.reportWanted?.timer ?? null);
    entry.reportWanted = null;
  }

  #takeDraining(entry: TaskExecutorEntry, report: SlotReport): void {
    const { drainNumber } = entry;
    if (!entry.drainDone || report.draining === entry.draining) return;
    const seen =
      drainNumber === null ||
      (report.lastSeen !== null && compareCommandNumbers(drainNumber, report.lastSeen) <= 0);
    if (!seen) return;
    this.#slots.changeTaskExecutor(entry, (changed) => {
      changed.draining = report.draining;
    });
  }

  #detach(entry: TaskExecutorEntry, report: SlotReport): void {
    const named = new Set<number>();
    for (const status of report.slots) {
      named.add(status.slotNumber);
      const slot = entry.slots.get(status.slotNumber);
      if (slot === undefined || !mayJudge(slot, report.lastSeen)) continue;
      this.#slots.setProfile(slot, status.profile);
      if (slot.holder !== null && leaseOf(status)?.allocationId !== slot.holder.allocationId) {
        this.#displace(slot);
        this.#slots.vacate(slot);
      }
    }
    if (!report.full) return;
    for (const slot of entry.slots.values())
      if (!named.has(slot.slotNumber) && mayJudge(slot, report.lastSeen)) this.removeSlot(slot);
  }

  #displace(slot: SlotEntry): void {
    const request = slot.holder === null ? undefined : this.#requests.get(slot.holder.allocationId);
    if (request !== undefined && request.slot === slot)
      this.#requests.loseSlot(request, slot.taskExecutor.resourceId);
  }

  #apply(entry: TaskExecutorEntry, status: SlotStatus, report: SlotReport): void {
    const slot =
      entry.slots.get(status.slotNumber) ?? this.#slots.addSlot(entry, status.slotNumber, status.profile);
    const lease = leaseOf(status);
    if (!mayJudge(slot, report.lastSeen)) {
      slot.passedOver ||= lease !== null && lease.allocationId !== slot.holder?.allocationId;
      return;
    }
    slot.passedOver = false;
    if (lease !== null) {
      this.#hold(slot, lease, status.state === 'claimed');
      return;
    }
    const state = status.state === 'free' ? 'free' : 'quarantined';
    if (slot.state !== state)
      this.#slots.changeSlot(slot, (changed) => {
        changed.state = state;
      });
  }

  #hold(slot: SlotEntry, lease: Lease, claimed: boolean): void {
    const wasFreeing = slot.freeing !== 'no';
    this.#slots.changeSlot(slot, (changed) => {
      changed.state = 'allocated';
      changed.holder = lease;
      changed.grantNumber = lease.grantNumber;
      changed.grantInstanceId = lease.instanceId;
      changed.claimed = claimed;
      changed.refusals = 0;
    });
    const request = this.#requests.get(lease.allocationId);
    const other = request?.slot ?? null;
    if (request !== undefined && other !== null && other !== slot) {
      if (movesTo(slot, other, wasFreeing)) {
        this.#sender.freeSlot(other);
        this.#attach(slot, request);
      } else this.#freeAgain(slot);
      return;
    }
    const unwanted =
      request === undefined
        ? this.#requests.finished.get(lease.allocationId) !== undefined
        : wasFreeing && this.#requests.isUnreachable(request, slot.taskExecutor.resourceId);
    // A claimed slot is in its job master's hand, whatever was thought of the request before.
    if (unwanted && !claimed) this.#freeAgain(slot);
    else this.#attach(slot, request ?? this.#requests.create(holderOf(lease)));
  }

  #attach(slot: SlotEntry, request: SlotRequestEntry): void {
    slot.freeing = 'no';
    slot.freeAttempts = 0;
    const wasAllocated = request.state === 'allocated';
    this.#requests.allocate(request, slot);
    if (slot.claimed) request.everClaimed = true;
    const isNews = !wasAllocated || (request.announcedGrant !== slot.grantNumber && !slot.claimed);
    if (request.asked && isNews && request.announcedGrant !== slot.grantNumber) announce(this.#turn, request);
  }

  #freeAgain(slot: SlotEntry): void {
    if (slot.freeing === 'no' && slot.freeAttempts === 0) {
      slot.freeAttempts = 1;
      this.#sender.freeSlot(slot);
    } else this.#sender.freeSlotLater(slot);
  }
}

/** The lease of a slot that is in use; a slot in use without one is treated as in quarantine. */
function leaseOf(status: SlotStatus): Lease | null {
  return status.state === 'granted' || status.state === 'claimed' ? status.lease : null;
}

function holderOf(lease: Lease): SlotHolder {
  return { allocationId: lease.allocationId, jobId: lease.jobId, jobMasterId: lease.jobMasterId };
}

/**
 * One allocation in two slots: whether the reported one is kept. Claimed goes before granted, granted before
 * only asked for. Between equals the one that its job master was told of first stays, unless it was claimed or
 * the same task executor spoke last: then the news counts, but it never calls back one that is being freed.
 */
function movesTo(slot: SlotEntry, other: SlotEntry, wasFreeing: boolean): boolean {
  const rank = slot.claimed ? 3 : 2;
  const otherRank = other.state === 'requested' ? 1 : other.claimed ? 3 : 2;
  if (rank !== otherRank) return rank > otherRank;
  return !wasFreeing && (slot.claimed || other.taskExecutor === slot.taskExecutor);
}
