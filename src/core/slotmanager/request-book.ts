import type { AllocationId, JobMasterId, ResourceId } from '../ids.ts';
import type { Problem } from '../problem.ts';
import { doublingDelayMs } from './doubling-delay.ts';
import type { SlotEntry, SlotHolder, SlotRequestEntry, TaskExecutorEntry } from './entries.ts';
import { FinishedRequests } from './finished-requests.ts';
import type { Turn } from './turn.ts';
import { WaitingRequests } from './waiting-requests.ts';

/** How an allocation ends that has been in its job master's hand, or is not wanted any more. */
const ENDED: Problem = {
  code: 'CONFLICT',
  detail: 'This allocation has ended; an allocation id is never used again.',
};

/** Every request and allocation of the term, from asking to its end, with the waiting ones indexed. */
export class RequestBook {
  readonly waiting: WaitingRequests;
  readonly finished: FinishedRequests;
  /** Requests to look for a slot for, because they are new, or wait again, or may use a task executor again. */
  readonly toPlace = new Set<SlotRequestEntry>();
  /** Slots asked for on behalf of a request that has timed out since: to be freed by a command. */
  readonly orphans = new Map<SlotEntry, AllocationId>();
  readonly #turn: Turn;
  readonly #requests = new Map<AllocationId, SlotRequestEntry>();
  readonly #byJobMaster = new Map<JobMasterId, Set<SlotRequestEntry>>();
  #sequence = 0;

  constructor(turn: Turn) {
    this.#turn = turn;
    this.waiting = new WaitingRequests(turn.settings.matching);
    this.finished = new FinishedRequests(turn.settings.maxRememberedRequests);
  }

  get(allocationId: AllocationId): SlotRequestEntry | undefined {
    return this.#requests.get(allocationId);
  }

  ofJobMaster(jobMasterId: JobMasterId): SlotRequestEntry[] {
    return [...(this.#byJobMaster.get(jobMasterId) ?? [])];
  }

  /** Those that have a slot of that task executor. */
  allocatedAt(taskExecutor: TaskExecutorEntry): SlotRequestEntry[] {
    return [...taskExecutor.slots.values()].flatMap((slot) => {
      const request = slot.holder === null ? undefined : this.#requests.get(slot.holder.allocationId);
      return request?.state === 'allocated' && request.slot === slot ? [request] : [];
    });
  }

  /** A new entry that nobody has asked for yet; it waits for nothing and has no slot. */
  create(holder: SlotHolder): SlotRequestEntry {
    const request: SlotRequestEntry = {
      allocationId: holder.allocationId,
      jobId: holder.jobId,
      jobMasterId: holder.jobMasterId,
      sequence: this.#sequence++,
      asked: false,
      profile: { cpuCores: 0, memoryMB: 0, extended: {} },
      classKey: '',
      order: { generation: 0, revision: 0n },
      deadlineMs: 0,
      state: 'doubtful',
      waitingSinceMs: this.#turn.nowMs,
      slot: null,
      everClaimed: false,
      announcedGrant: null,
      containerAsked: false,
      excluded: new Map(),
      rests: new Map(),
      timer: null,
    };
    this.#requests.set(request.allocationId, request);
    const ofJobMaster = this.#byJobMaster.get(request.jobMasterId);
    if (ofJobMaster === undefined) this.#byJobMaster.set(request.jobMasterId, new Set([request]));
    else ofJobMaster.add(request);
    return request;
  }

  /** It wants a slot (again); it keeps its place in the line. */
  wait(request: SlotRequestEntry): void {
    if (request.state !== 'waiting') request.waitingSinceMs = this.#turn.nowMs;
    request.state = 'waiting';
    request.slot = null;
    this.waiting.add(request);
    this.toPlace.add(request);
    this.awaitDeadline(request);
  }

  /** It waits, or is being given a slot, until its deadline as it stands now. */
  awaitDeadline(request: SlotRequestEntry): void {
    this.#setTimer(request, request.deadlineMs, () => this.#timeOut(request));
  }

  /** It was given a slot that its task executor has not confirmed; its deadline goes on. */
  give(request: SlotRequestEntry, slot: SlotEntry): void {
    this.#leaveLine(request);
    request.state = 'requested';
    request.slot = slot;
  }

  /** Its task executor says that it has that slot. */
  allocate(request: SlotRequestEntry, slot: SlotEntry): void {
    this.#leaveLine(request);
    this.#turn.due.cancel(request.timer);
    request.timer = null;
    request.state = 'allocated';
    request.slot = slot;
    request.containerAsked = false;
    this.#turn.outbox.unlook(request.jobId, request.allocationId);
  }

  /**
   * Its slot was seen without it. Its job master is told to look. A request whose grant was never told of is
   * tried again at once; otherwise only the job master knows whether it still wants a slot.
   */
  loseSlot(request: SlotRequestEntry, resourceId: ResourceId): void {
    const wasAllocated = request.state === 'allocated';
    request.slot = null;
    request.announcedGrant = null;
    this.#turn.outbox.look(request.jobId, request.allocationId);
    if (!request.asked) {
      this.#drop(request);
      return;
    }
    this.rest(request, resourceId);
    if (!wasAllocated) {
      this.wait(request);
      return;
    }
    request.state = 'doubtful';
    const untilMs = Math.max(
      request.deadlineMs,
      this.#turn.nowMs + 2 * this.#turn.settings.timing.heartbeatTimeoutMs,
    );
    this.#setTimer(request, untilMs, () => this.finish(request, ENDED));
  }

  /**
   * Its job master could not reach that task executor: tried elsewhere for one lease duration. A network heals,
   * so a request that nobody else can serve is not left to time out for it.
   */
  exclude(request: SlotRequestEntry, resourceId: ResourceId): void {
    if (this.isUnreachable(request, resourceId)) return;
    const untilMs = this.#turn.nowMs + this.#turn.settings.timing.slotLeaseMs;
    request.excluded.set(resourceId, untilMs);
    this.#turn.due.schedule(untilMs, () => {
      if (request.state === 'waiting') this.toPlace.add(request);
    });
  }

  /** Whether its job master could not reach that task executor a short while ago. */
  isUnreachable(request: SlotRequestEntry, resourceId: ResourceId): boolean {
    return (request.excluded.get(resourceId) ?? -Infinity) > this.#turn.nowMs;
  }

  /** Its job master says anew which task executors it cannot reach: no other one is kept from the request any more. */
  allowAllBut(request: SlotRequestEntry, unreachable: readonly ResourceId[]): void {
    for (const resourceId of request.excluded.keys()) {
      if (!unreachable.includes(resourceId)) request.excluded.delete(resourceId);
    }
  }

  /** Leaves that task executor alone for this request for a while, longer each time. */
  rest(request: SlotRequestEntry, resourceId: ResourceId): void {
    const attempt = (request.rests.get(resourceId)?.attempt ?? -1) + 1;
    const untilMs = this.#turn.nowMs + doublingDelayMs(this.#turn.settings.refusalDelay, attempt);
    request.rests.set(resourceId, { attempt, untilMs });
    this.#turn.due.schedule(untilMs, () => {
      if (request.state === 'waiting') this.toPlace.add(request);
    });
  }

  readonly isExcluded = (request: SlotRequestEntry, taskExecutor: TaskExecutorEntry): boolean => {
    if (this.isUnreachable(request, taskExecutor.resourceId)) return true;
    const rest = request.rests.get(taskExecutor.resourceId);
    return rest !== undefined && rest.untilMs > this.#turn.nowMs;
  };

  /** Ends it; whoever asks for it again in this term is answered with that problem. Its slot is the caller's concern. */
  finish(request: SlotRequestEntry, problem: Problem = ENDED): void {
    this.finished.remember(request.allocationId, { jobId: request.jobId, problem });
    this.#drop(request);
  }

  /** Takes it out of the books without remembering it: whoever asks for it again starts anew. */
  forget(request: SlotRequestEntry): void {
    this.#drop(request);
  }

  /** Ends it and tells its job master why. */
  fail(request: SlotRequestEntry, problem: Problem): void {
    const { jobId, jobMasterId, allocationId } = request;
    this.#turn.outbox.add({ type: 'failSlotRequest', jobId, jobMasterId, allocationId, problem });
    this.finish(request, problem);
  }

  #timeOut(request: SlotRequestEntry): void {
    const slot = request.slot;
    const unreachable = [...request.excluded.keys()].join(', ');
    this.fail(request, {
      code: 'REQUEST_TIMEOUT',
      detail:
        unreachable === ''
          ? 'No slot was found that fits.'
          : `No slot was found that fits on another task executor than those that cannot be reached: ${unreachable}.`,
    });
    if (slot !== null) this.orphans.set(slot, request.allocationId);
  }

  #leaveLine(request: SlotRequestEntry): void {
    if (request.state === 'waiting') this.waiting.delete(request);
    this.toPlace.delete(request);
  }

  #drop(request: SlotRequestEntry): void {
    this.#leaveLine(request);
    this.#turn.due.cancel(request.timer);
    request.timer = null;
    request.state = 'doubtful';
    request.slot = null;
    this.#requests.delete(request.allocationId);
    const ofJobMaster = this.#byJobMaster.get(request.jobMasterId);
    ofJobMaster?.delete(request);
    if (ofJobMaster?.size === 0) this.#byJobMaster.delete(request.jobMasterId);
  }

  #setTimer(request: SlotRequestEntry, dueMs: number, action: () => void): void {
    this.#turn.due.cancel(request.timer);
    request.timer = this.#turn.due.schedule(dueMs, action);
  }
}
