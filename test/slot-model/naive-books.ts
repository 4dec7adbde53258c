import type { CommandNumber } from '../../src/core/command-number.ts';
import type {
  AllocationId,
  InstanceId,
  JobId,
  JobMasterId,
  LeaderSessionId,
  ResourceId,
} from '../../src/core/ids.ts';
import type { RegistrationOrder } from '../../src/core/messages/primitives.ts';
import type { SlotCommand } from '../../src/core/messages/slots.ts';
import type { ProblemCode } from '../../src/core/problem.ts';
import type { ResourceProfile } from '../../src/core/resource-profile.ts';
import { DEFAULT_TIMING } from '../../src/core/timing.ts';

/** One slot, as a person would write it on a card. */
export interface Slot {
  readonly worker: Worker;
  readonly slotNumber: number;
  profile: ResourceProfile;
  state: 'free' | 'requested' | 'allocated' | 'quarantined';
  holder: {
    readonly allocationId: AllocationId;
    readonly jobId: JobId;
    readonly jobMasterId: JobMasterId;
  } | null;
  grantNumber: number | null;
  grantedBy: InstanceId | null;
  claimed: boolean;
  /** Whether its holder is to be put out: not told yet, in the next call, or in the one that is under way. */
  freeing: 'no' | 'wanted' | 'queued' | 'sent';
  timesFreed: number;
  freeAgainAtMs: number[];
  lastNumber: CommandNumber | null;
  /** A report that could not be believed yet named another lease in it. */
  passedOver: boolean;
  refusals: number;
  restUntilMs: number;
}

export interface Request {
  readonly allocationId: AllocationId;
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
  state: 'waiting' | 'requested' | 'allocated' | 'doubtful';
  asked: boolean;
  profile: ResourceProfile;
  order: RegistrationOrder;
  deadlineMs: number;
  doubtUntilMs: number;
  waitingSinceMs: number;
  waitingSinceTurn: number;
  slot: Slot | null;
  everClaimed: boolean;
  toldGrant: number | null;
  containerAsked: boolean;
  unreachableUntilMs: Map<ResourceId, number>;
  rests: Map<ResourceId, { readonly times: number; readonly untilMs: number }>;
}

export type Command =
  | { readonly kind: 'requestSlot'; readonly slot: Slot; readonly request: Request }
  | { readonly kind: 'freeSlot'; readonly slot: Slot; readonly allocationId: AllocationId }
  | { readonly kind: 'noOperation' }
  | { readonly kind: 'drain'; readonly draining: boolean }
  | { readonly kind: 'stop' };

export interface Worker {
  readonly resourceId: ResourceId;
  instanceId: InstanceId | null;
  address: string;
  provider: string | null;
  state: 'expected' | 'registered' | 'unreachable' | 'ahead';
  expectedSlots: number;
  slots: Slot[];
  idleSinceMs: number | null;
  draining: boolean;
  drainOrdered: boolean | null;
  drainNumber: CommandNumber | null;
  drainDone: boolean;
  stopping: 'no' | 'wanted' | 'told';
  lastReport: number;
  reportAsked: { readonly times: number; readonly againAtMs: number } | null;
  queue: Extract<Command, { slot: Slot }>[];
  call: {
    readonly number: CommandNumber;
    readonly commands: readonly Command[];
    readonly givenUpAtMs: number;
  } | null;
  /** Slots asked for in calls that nobody answered. */
  lost: { readonly slot: Slot; readonly request: Request }[];
  /** False from a call without a good answer to the next good one. */
  settled: boolean;
  failures: number;
  notBeforeMs: number;
}

/** Where more than one outcome is right, the model allows each and goes on with what the slot manager chose. */
export interface Choices {
  /** `resourceId/slotNumber` that is requested for it now. */
  slotOf(allocationId: AllocationId): string | undefined;
  asksForContainer(allocationId: AllocationId): boolean;
  /** Its number, and the order in which it names slots. */
  callTo(
    resourceId: ResourceId,
  ): { readonly number: CommandNumber; readonly commands: readonly SlotCommand[] } | undefined;
}

/** The term that is served. */
export const TOKEN = { generation: 1, epoch: 7n, leaderSessionId: 'session' as LeaderSessionId };
export const TIMING = DEFAULT_TIMING;
/** As the comment of `createSlotManager` says. */
export const REFUSAL_DELAY = { firstMs: 200, mostMs: 30_000 };
export const CALL_DELAY = { firstMs: 100, mostMs: 5_000 };
export const BRAKE_MS = 300_000;

/** The first, then twice as long each time, up to the longest. */
export function delayMs({ firstMs, mostMs }: typeof CALL_DELAY, times: number): number {
  let delay = firstMs;
  for (let i = 0; i < times && delay < mostMs; i++) delay *= 2;
  return Math.min(delay, mostMs);
}

/** All that the books hold, in lists, and what is said in the turn that is under way. */
export class NaiveBooks {
  nowMs: number;
  turn = 0;
  workers: Worker[] = [];
  /** In the order in which they came. */
  requests: Request[] = [];
  readonly ended = new Map<AllocationId, { readonly jobId: JobId; readonly code: ProblemCode }>();
  /** What is said in this turn; each a line. */
  said: string[] = [];
  /** Allocations whose job master is to look after them. */
  looks: { readonly jobId: JobId; readonly allocationId: AllocationId }[] = [];

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  worker(resourceId: ResourceId): Worker | undefined {
    return this.workers.find((worker) => worker.resourceId === resourceId);
  }

  request(allocationId: AllocationId): Request | undefined {
    return this.requests.find((request) => request.allocationId === allocationId);
  }

  allocatedAt(worker: Worker): Request[] {
    return this.requests.filter(({ state, slot }) => state === 'allocated' && slot?.worker === worker);
  }

  slots(): Slot[] {
    return this.workers.flatMap((worker) => worker.slots);
  }

  /** It is in the books, and nothing is known of it but who it is for. */
  newRequest(holder: NonNullable<Slot['holder']>): Request {
    const request: Request = {
      allocationId: holder.allocationId,
      jobId: holder.jobId,
      jobMasterId: holder.jobMasterId,
      state: 'doubtful',
      asked: false,
      profile: { cpuCores: 0, memoryMB: 0, extended: {} },
      order: { generation: 0, revision: 0n },
      deadlineMs: 0,
      doubtUntilMs: Infinity,
      waitingSinceMs: this.nowMs,
      waitingSinceTurn: this.turn,
      slot: null,
      everClaimed: false,
      toldGrant: null,
      containerAsked: false,
      unreachableUntilMs: new Map(),
      rests: new Map(),
    };
    this.requests.push(request);
    return request;
  }

  /** It wants a slot again; its place in the line is that of its first arrival. */
  wait(request: Request): void {
    if (request.state !== 'waiting') {
      request.waitingSinceMs = this.nowMs;
      request.waitingSinceTurn = this.turn;
    }
    request.state = 'waiting';
    request.slot = null;
  }

  allocate(request: Request, slot: Slot): void {
    request.state = 'allocated';
    request.slot = slot;
    request.containerAsked = false;
    this.looks = this.looks.filter(
      (look) => look.allocationId !== request.allocationId || look.jobId !== request.jobId,
    );
  }

  /** The job master is told where its slot is, once the grant number is known. */
  announce(request: Request): void {
    const { slot, allocationId, jobId, jobMasterId } = request;
    if (slot === null || slot.grantNumber === null) return;
    request.toldGrant = slot.grantNumber;
    const { worker, slotNumber, grantedBy, grantNumber, profile } = slot;
    const place = `${worker.resourceId}/${slotNumber} at ${worker.address}`;
    this.said.push(
      `grant to ${jobId} ${jobMasterId}: ${allocationId} has ${place} of ${grantedBy} under ${grantNumber} ${JSON.stringify(profile)}`,
    );
  }

  /** Out of the books; whoever asks again is told how it ended. */
  end(request: Request, code: ProblemCode): void {
    this.ended.set(request.allocationId, { jobId: request.jobId, code });
    this.forget(request);
  }

  forget(request: Request): void {
    request.slot = null;
    this.requests = this.requests.filter((each) => each !== request);
  }

  fail(request: Request, code: ProblemCode): void {
    this.said.push(`fail to ${request.jobId} ${request.jobMasterId}: ${request.allocationId} ${code}`);
    this.end(request, code);
  }

  /** That worker refused or lost it: it is not tried there for a while, longer each time. */
  restAt(request: Request, { resourceId }: Worker): void {
    const times = (request.rests.get(resourceId)?.times ?? 0) + 1;
    const untilMs = this.nowMs + delayMs(REFUSAL_DELAY, times - 1);
    request.rests.set(resourceId, { times, untilMs });
  }

  isUnreachable(request: Request, { resourceId }: Worker): boolean {
    return (request.unreachableUntilMs.get(resourceId) ?? 0) > this.nowMs;
  }

  /** A worker was seen without what it was thought to hold. The job master is told to look. */
  loseSlot(slot: Slot): void {
    const request = slot.holder === null ? undefined : this.request(slot.holder.allocationId);
    if (request === undefined || request.slot !== slot) return;
    const wasAllocated = request.state === 'allocated';
    request.slot = null;
    request.toldGrant = null;
    this.looks.push(request);
    if (!request.asked) return this.forget(request);
    this.restAt(request, slot.worker);
    if (!wasAllocated) return this.wait(request);
    // It may have been in hand: only its job master knows whether it still wants a slot.
    request.state = 'doubtful';
    request.doubtUntilMs = Math.max(request.deadlineMs, this.nowMs + 2 * TIMING.heartbeatTimeoutMs);
  }

  askReport(worker: Worker, times = 0): void {
    if (worker.reportAsked !== null || worker.state !== 'registered') return;
    this.said.push(`report wanted of ${worker.resourceId} ${worker.instanceId}`);
    const first = TIMING.taskExecutorCallMs;
    const delay = delayMs({ firstMs: first, mostMs: 16 * first }, times);
    worker.reportAsked = { times, againAtMs: this.nowMs + delay };
  }

  /** Puts the holder out; until the worker has said that it is gone, nobody else gets the slot. */
  free(slot: Slot): void {
    const { worker, holder } = slot;
    if (holder === null || slot.freeing === 'queued' || slot.freeing === 'sent') return;
    const unsent = worker.queue.find((command) => command.slot === slot);
    if (unsent?.kind === 'requestSlot') {
      worker.queue = worker.queue.filter((command) => command !== unsent);
      vacate(slot);
      return;
    }
    slot.freeing = 'wanted';
    if (worker.state !== 'registered') return;
    slot.freeing = 'queued';
    worker.queue.push({ kind: 'freeSlot', slot, allocationId: holder.allocationId });
  }
}

export function vacate(slot: Slot): void {
  slot.state = 'free';
  slot.holder = null;
  slot.grantNumber = null;
  slot.grantedBy = null;
  slot.claimed = false;
  slot.freeing = 'no';
  slot.timesFreed = 0;
}

/** It is to end or to be emptied. */
export function takesNoWork(worker: Worker): boolean {
  return worker.draining || worker.drainOrdered === true || worker.stopping !== 'no';
}
