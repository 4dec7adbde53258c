import type { Problem } from '../problem.ts';
import { sameProfile } from '../resource-profile.ts';
import type { CommandSender } from './command-sender.ts';
import type { SlotEntry, SlotRequestEntry } from './entries.ts';
import { announce } from './grants.ts';
import type { RequestBook } from './request-book.ts';
import type { SlotBook } from './slot-book.ts';
import type { SlotManagerEvent } from './slot-manager-events.ts';
import type { Turn } from './turn.ts';

type Event<Type extends SlotManagerEvent['type']> = Extract<SlotManagerEvent, { type: Type }>;
type Asked = Event<'slotsRequested'>;

const CANCELLED: Problem = { code: 'CANCELLED', detail: 'The job master has withdrawn this request.' };
const NOT_WANTED: Problem = {
  code: 'CANCELLED',
  detail: 'The job master did not want the slot it was given.',
};
const OVERLOADED: Problem = {
  code: 'OVERLOADED',
  detail: 'Too many requests wait for a slot.',
  retryAfterMs: 1_000,
};

/** What job masters say: requests, withdrawals, rejections, heartbeats and their end. */
export class RequestDesk {
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

  requested(event: Asked): void {
    const results = event.requests.map((asked) => ({
      allocationId: asked.allocationId,
      problem: this.#ask(event, asked),
    }));
    this.#turn.outbox.add({ type: 'acknowledgeSlotRequests', answerKey: event.answerKey, results });
  }

  cancelled(event: Event<'slotRequestsCancelled'>): void {
    for (const allocationId of event.allocationIds) {
      const request = this.#requests.get(allocationId);
      if (request === undefined) {
        // The request itself may still be on its way.
        if (this.#requests.finished.get(allocationId) === undefined)
          this.#requests.finished.remember(allocationId, { jobId: event.jobId, problem: CANCELLED });
        continue;
      }
      if (request.jobMasterId !== event.jobMasterId || request.jobId !== event.jobId) continue;
      this.#end(request, CANCELLED);
    }
  }

  rejected(event: Event<'slotRejected'>): void {
    const slot = this.#slots.taskExecutors.get(event.resourceId)?.slots.get(event.slotNumber);
    if (slot === undefined || slot.holder === null) return;
    if (slot.holder.allocationId !== event.allocationId || slot.holder.jobMasterId !== event.jobMasterId)
      return;
    if (slot.grantNumber !== null && slot.grantNumber !== event.grantNumber) return;
    const request = this.#requests.get(event.allocationId);
    if (request === undefined || request.slot !== slot) {
      this.#sender.freeSlot(slot);
      return;
    }
    if (event.reason === 'not-wanted') {
      this.#requests.finish(request, NOT_WANTED);
      this.#sender.freeSlot(slot);
      return;
    }
    const { resourceId } = event;
    this.#turn.outbox.report('warn', 'slotUnreachable', { allocationId: request.allocationId, resourceId });
    if (request.asked) {
      this.#requests.exclude(request, resourceId);
      this.tryElsewhere(request, slot);
    } else {
      // Asked of a former leader only: the heartbeat's answer makes the job master ask again.
      this.#requests.forget(request);
      this.#sender.freeSlot(slot);
    }
  }

  heartbeat(event: Event<'jobMasterHeartbeat'>): void {
    const unknown = event.unfinished.filter((allocationId) => {
      const request = this.#requests.get(allocationId);
      if (request === undefined) {
        const finished = this.#requests.finished.get(allocationId);
        if (finished === undefined || finished.jobId !== event.jobId) return true;
        const { jobId, jobMasterId } = event;
        const { problem } = finished;
        this.#turn.outbox.add({ type: 'failSlotRequest', jobId, jobMasterId, allocationId, problem });
        return false;
      }
      if (request.jobMasterId !== event.jobMasterId) return true;
      if (request.state === 'allocated') announce(this.#turn, request);
      if (request.state === 'doubtful') this.#requests.wait(request);
      return false;
    });
    this.#turn.outbox.add({ type: 'answerHeartbeat', answerKey: event.answerKey, unknown });
  }

  /** What it has at task executors that have moved is told to it again: word of it may have been lost, with its leader. */
  missed({ jobMasterId, missed }: Event<'taskExecutorsMissed'>): void {
    for (const { resourceId, address } of missed) {
      const entry = this.#slots.taskExecutors.get(resourceId);
      if (entry?.state !== 'registered' || entry.address === address) continue;
      for (const request of this.#requests.allocatedAt(entry))
        if (request.jobMasterId === jobMasterId) announce(this.#turn, request);
    }
  }

  /** Its waiting requests end; what it was being given is freed; what it has is left to lapse at the task executors. */
  jobMasterGone(event: Event<'jobMasterGone'>): void {
    const problem: Problem = { code: 'CANCELLED', detail: `The job master is gone: ${event.reason}` };
    for (const request of this.#requests.ofJobMaster(event.jobMasterId)) {
      if (request.state === 'allocated') request.asked = false;
      else this.#end(request, problem);
    }
  }

  /** Late word that a request's slot failed: that slot only, and only if the request still has it or none. */
  failed(event: Event<'slotRequestFailedAtTaskExecutor'>): void {
    const request = this.#requests.get(event.allocationId);
    if (request === undefined || !request.asked) return;
    if (request.state === 'doubtful') {
      this.#requests.wait(request);
      return;
    }
    const { slot } = request;
    if (slot === null || slot.claimed) return;
    if (slot.slotNumber !== event.slotNumber || slot.taskExecutor.resourceId !== event.resourceId) return;
    this.#requests.rest(request, event.resourceId);
    this.tryElsewhere(request, slot);
  }

  /** Frees the slot by command; the request waits for another one meanwhile. */
  tryElsewhere(request: SlotRequestEntry, slot: SlotEntry): void {
    request.announcedGrant = null;
    this.#requests.wait(request);
    this.#sender.freeSlot(slot);
  }

  #ask(event: Asked, asked: Asked['requests'][number]): Problem | null {
    const { allocationId, profile } = asked;
    const { jobId, jobMasterId, order } = event;
    const finished = this.#requests.finished.get(allocationId);
    const known = this.#requests.get(allocationId);
    if (known === undefined) {
      if (finished !== undefined)
        return finished.jobId === jobId
          ? finished.problem
          : invalid('The allocation id belongs to another job.');
      if (this.#requests.waiting.size >= this.#turn.settings.maxPendingRequests) return OVERLOADED;
    } else if (known.jobId !== jobId || known.jobMasterId !== jobMasterId) {
      return invalid('The allocation id belongs to another job or job master.');
    } else if (known.asked && !sameProfile(known.profile, profile)) {
      return invalid('The allocation id was used for another profile.');
    }
    const request = known ?? this.#requests.create({ allocationId, jobId, jobMasterId });
    const deadlineMs = this.#turn.nowMs + asked.remainingMs;
    request.deadlineMs = request.asked ? Math.min(request.deadlineMs, deadlineMs) : deadlineMs;
    request.order = order;
    this.#requests.allowAllBut(request, asked.excluded);
    for (const resourceId of asked.excluded) this.#requests.exclude(request, resourceId);
    if (!request.asked) {
      request.asked = true;
      request.profile = profile;
      request.classKey = this.#turn.settings.matching.classKey(profile);
    }
    this.#serve(request);
    return null;
  }

  /** The same request again gets the same answer; if it has a slot, its job master is told of it again. */
  #serve(request: SlotRequestEntry): void {
    const { slot } = request;
    if (slot !== null && !slot.claimed && this.#requests.isUnreachable(request, slot.taskExecutor.resourceId))
      this.tryElsewhere(request, slot);
    else if (request.state === 'allocated') announce(this.#turn, request);
    else if (request.state === 'waiting') this.#requests.wait(request);
    else if (request.state === 'requested') this.#requests.awaitDeadline(request);
    // One that has been claimed and ended is not brought back by a late duplicate, only by a heartbeat.
    else if (request.state === 'doubtful' && !request.everClaimed) this.#requests.wait(request);
  }

  #end(request: SlotRequestEntry, problem: Problem): void {
    const { slot } = request;
    // A claimed slot is given back at the task executor, by whoever holds it.
    if (slot?.claimed === true) {
      request.asked = false;
      return;
    }
    this.#requests.finish(request, problem);
    if (slot !== null) this.#sender.freeSlot(slot);
  }
}

function invalid(detail: string): Problem {
  return { code: 'INVALID', detail, fields: [{ field: 'allocationId', detail }] };
}
