import type { AllocationId } from '../../src/core/ids.ts';
import type { ProblemCode } from '../../src/core/problem.ts';
import { sameProfile } from '../../src/core/resource-profile.ts';
import type { SlotManagerEvent } from '../../src/core/slotmanager/slot-manager-events.ts';
import { type NaiveBooks, type Request, type Slot, TIMING } from './naive-books.ts';

type Event<Type extends SlotManagerEvent['type']> = Extract<SlotManagerEvent, { type: Type }>;
type Asked = Event<'slotsRequested'>;

/** What job masters say. */
export class NaiveRequests {
  readonly #books: NaiveBooks;
  readonly #mostWaiting: number;

  constructor(books: NaiveBooks, mostWaiting: number) {
    this.#books = books;
    this.#mostWaiting = mostWaiting;
  }

  requested(event: Asked): void {
    const answers = event.requests.map(
      (asked) => `${asked.allocationId} ${this.#ask(event, asked) ?? 'taken'}`,
    );
    this.#books.said.push(`answer ${event.answerKey}: ${answers.join(', ')}`);
  }

  #ask(event: Asked, asked: Asked['requests'][number]): ProblemCode | null {
    const { allocationId, profile } = asked;
    const { jobId, jobMasterId } = event;
    const books = this.#books;
    let request = books.request(allocationId);
    const ended = books.ended.get(allocationId);
    if (request === undefined && ended !== undefined) return ended.jobId === jobId ? ended.code : 'INVALID';
    if (request === undefined) {
      if (books.requests.filter(isWaiting).length >= this.#mostWaiting) return 'OVERLOADED';
      request = books.newRequest({ allocationId, jobId, jobMasterId });
    } else if (request.jobId !== jobId || request.jobMasterId !== jobMasterId) {
      return 'INVALID';
    } else if (request.asked && !sameProfile(request.profile, profile)) {
      return 'INVALID';
    }
    const deadlineMs = books.nowMs + asked.remainingMs;
    request.deadlineMs = request.asked ? Math.min(request.deadlineMs, deadlineMs) : deadlineMs;
    request.order = event.order;
    for (const resourceId of request.unreachableUntilMs.keys())
      if (!asked.excluded.includes(resourceId)) request.unreachableUntilMs.delete(resourceId);
    for (const resourceId of asked.excluded) this.#exclude(request, resourceId);
    if (!request.asked) {
      request.asked = true;
      request.profile = profile;
    }
    // The same request again has the same answer.
    const { slot } = request;
    if (slot !== null && !slot.claimed && books.isUnreachable(request, slot.worker))
      this.#tryElsewhere(request, slot);
    else if (request.state === 'allocated') books.announce(request);
    else if (request.state === 'doubtful' && !request.everClaimed) books.wait(request);
    return null;
  }

  cancelled(event: Event<'slotRequestsCancelled'>): void {
    for (const allocationId of event.allocationIds) {
      const request = this.#books.request(allocationId);
      if (request !== undefined) {
        if (request.jobMasterId === event.jobMasterId && request.jobId === event.jobId) this.#end(request);
      } else if (!this.#books.ended.has(allocationId)) {
        // The request itself may come later.
        this.#books.ended.set(allocationId, { jobId: event.jobId, code: 'CANCELLED' });
      }
    }
  }

  rejected(event: Event<'slotRejected'>): void {
    const { resourceId, slotNumber, allocationId, jobMasterId, grantNumber, reason } = event;
    const worker = this.#books.worker(resourceId);
    const slot = worker?.slots.find((each) => each.slotNumber === slotNumber);
    if (slot?.holder?.allocationId !== allocationId || slot.holder.jobMasterId !== jobMasterId) return;
    if (slot.grantNumber !== null && slot.grantNumber !== grantNumber) return;
    const request = this.#books.request(allocationId);
    if (request?.slot !== slot) return this.#books.free(slot);
    if (reason === 'not-wanted') this.#books.end(request, 'CANCELLED');
    else if (!request.asked) this.#books.forget(request);
    else {
      this.#exclude(request, resourceId);
      return this.#tryElsewhere(request, slot);
    }
    this.#books.free(slot);
  }

  heartbeat(event: Event<'jobMasterHeartbeat'>): void {
    const unknown: AllocationId[] = [];
    for (const allocationId of event.unfinished) {
      const request = this.#books.request(allocationId);
      const ended = this.#books.ended.get(allocationId);
      if (request === undefined && ended?.jobId === event.jobId)
        this.#books.said.push(`fail to ${event.jobId} ${event.jobMasterId}: ${allocationId} ${ended.code}`);
      else if (request?.jobMasterId !== event.jobMasterId) unknown.push(allocationId);
      else if (request.state === 'allocated') this.#books.announce(request);
      else if (request.state === 'doubtful') this.#books.wait(request);
    }
    this.#books.said.push(`heartbeat ${event.answerKey}: ${unknown.join(', ')}`);
  }

  /** It is told of what it has at workers that are elsewhere than it believes. */
  missed({ jobMasterId, missed }: Event<'taskExecutorsMissed'>): void {
    for (const { resourceId, address } of missed) {
      const worker = this.#books.worker(resourceId);
      if (worker?.state !== 'registered' || worker.address === address) continue;
      for (const request of this.#books.allocatedAt(worker))
        if (request.jobMasterId === jobMasterId) this.#books.announce(request);
    }
  }

  /** What it has lapses at the workers; all else of it ends. */
  jobMasterGone({ jobMasterId }: Event<'jobMasterGone'>): void {
    for (const request of this.#books.requests.filter((each) => each.jobMasterId === jobMasterId)) {
      if (request.state === 'allocated') request.asked = false;
      else this.#end(request);
    }
  }

  failed(event: Event<'slotRequestFailedAtTaskExecutor'>): void {
    const request = this.#books.request(event.allocationId);
    if (request === undefined || !request.asked) return;
    if (request.state === 'doubtful') return this.#books.wait(request);
    const { slot } = request;
    if (slot?.slotNumber !== event.slotNumber || slot.worker.resourceId !== event.resourceId) return;
    if (slot.claimed) return;
    this.#books.restAt(request, slot.worker);
    this.#tryElsewhere(request, slot);
  }

  #end(request: Request): void {
    const { slot } = request;
    if (slot?.claimed === true) {
      // In hand: given back at the worker, by whoever holds it.
      request.asked = false;
      return;
    }
    this.#books.end(request, 'CANCELLED');
    if (slot !== null) this.#books.free(slot);
  }

  #tryElsewhere(request: Request, slot: Slot): void {
    request.toldGrant = null;
    this.#books.wait(request);
    this.#books.free(slot);
  }

  /** Its job master cannot reach that worker: not tried there for one lease duration. */
  #exclude(request: Request, resourceId: Slot['worker']['resourceId']): void {
    if ((request.unreachableUntilMs.get(resourceId) ?? 0) > this.#books.nowMs) return;
    request.unreachableUntilMs.set(resourceId, this.#books.nowMs + TIMING.slotLeaseMs);
  }
}

export function isWaiting(request: Request): boolean {
  return request.state === 'waiting';
}
