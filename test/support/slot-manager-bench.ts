import type { CommandNumber } from '../../src/core/command-number.ts';
import type {
  AllocationId,
  InstanceId,
  JobId,
  JobMasterId,
  LeaderSessionId,
  ResourceId,
} from '../../src/core/ids.ts';
import type { SlotReport } from '../../src/core/messages/slots.ts';
import type { Problem } from '../../src/core/problem.ts';
import type { ResourceProfile } from '../../src/core/resource-profile.ts';
import {
  createSlotManager,
  type SlotManagerOptions,
} from '../../src/core/slotmanager/create-slot-manager.ts';
import type {
  SlotManager,
  SlotManagerEffect,
  SlotManagerEvent,
} from '../../src/core/slotmanager/slot-manager-events.ts';
import { DEFAULT_TIMING } from '../../src/core/timing.ts';

/** The two profiles of the table of 2016. */
export const N: ResourceProfile = { cpuCores: 1, memoryMB: 512, extended: {} };
export const B: ResourceProfile = { cpuCores: 2, memoryMB: 1_024, extended: {} };

export const JOB = 'job' as JobId;
export const MASTER = 'master' as JobMasterId;
const TOKEN = { generation: 1, epoch: 7n, leaderSessionId: 'session' as LeaderSessionId };

export type Effect<Type extends SlotManagerEffect['type']> = Extract<SlotManagerEffect, { type: Type }>;
type Call = Effect<'sendSlotCommands'>;
type Status = SlotReport['slots'][number];

/** Command number `n` of the bench's term. */
export function numberOf(n: number): CommandNumber {
  return { generation: TOKEN.generation, epoch: TOKEN.epoch, n };
}

/** A slot as a report names it: empty, or in the hand of an allocation (claimed unless said otherwise). */
export function slot(
  slotNumber: number,
  profile: ResourceProfile,
  allocation: string | null = null,
  more: { state?: Status['state']; grantNumber?: number; jobId?: string; jobMasterId?: string } = {},
): Status {
  const lease = {
    allocationId: (allocation ?? '') as AllocationId,
    jobId: (more.jobId ?? JOB) as JobId,
    jobMasterId: (more.jobMasterId ?? MASTER) as JobMasterId,
    instanceId: 'instance' as InstanceId,
    grantNumber: more.grantNumber ?? 1,
  };
  const state = more.state ?? (allocation === null ? 'free' : 'claimed');
  return { slotNumber, profile, state, lease: allocation === null ? null : lease };
}

/** A slot manager on a bench: each method is one event, and the effects of the last one are in `effects`. */
export class SlotManagerBench {
  readonly manager: SlotManager;
  nowMs = 0;
  effects: SlotManagerEffect[] = [];
  readonly all: SlotManagerEffect[] = [];
  readonly #reportNumbers = new Map<string, number>();
  #grantNumber = 100;
  #answerKey = 0;

  constructor(options: Partial<SlotManagerOptions> = {}) {
    this.manager = createSlotManager({ token: TOKEN, timing: DEFAULT_TIMING, nowMs: 0, ...options });
  }

  send(event: SlotManagerEvent): SlotManagerEffect[] {
    this.effects = this.manager.handle(event, this.nowMs);
    this.all.push(...this.effects);
    return this.effects;
  }

  /** Effects of that type of the last event. */
  of<Type extends SlotManagerEffect['type']>(type: Type): Effect<Type>[] {
    return this.effects.filter((effect): effect is Effect<Type> => effect.type === type);
  }

  /** Effects of that type of all events. */
  allOf<Type extends SlotManagerEffect['type']>(type: Type): Effect<Type>[] {
    return this.all.filter((effect): effect is Effect<Type> => effect.type === type);
  }

  /** Allocated (or asked for) / free / pending, as the table of 2016 counts. */
  counts(): string {
    const { allocated, requested, free } = this.manager.slotCounts();
    return `${allocated + requested}/${free}/${this.manager.pendingRequests()}`;
  }

  states(): string[] {
    return [...this.manager.slots()].map(
      (view) => `${view.resourceId}/${view.slotNumber} ${view.state} ${view.allocationId ?? '-'}`,
    );
  }

  register(
    resourceId: string,
    slots: Status[],
    more: {
      instanceId?: string;
      address?: string;
      lastSeen?: CommandNumber | null;
      draining?: boolean;
    } = {},
  ): void {
    const instanceId = (more.instanceId ?? resourceId) as InstanceId;
    this.send({
      type: 'taskExecutorRegistered',
      resourceId: resourceId as ResourceId,
      instanceId,
      address: more.address ?? `${resourceId}:1`,
      provider: null,
      report: this.#report(instanceId, true, slots, more.lastSeen ?? null, more.draining ?? false),
    });
  }

  report(
    resourceId: string,
    slots: Status[],
    more: {
      instanceId?: string;
      lastSeen?: CommandNumber | null;
      full?: boolean;
      reportNumber?: number;
      draining?: boolean;
    } = {},
  ): void {
    const instanceId = (more.instanceId ?? resourceId) as InstanceId;
    if (more.reportNumber !== undefined) this.#reportNumbers.set(instanceId, more.reportNumber);
    this.send({
      type: 'slotsReported',
      resourceId: resourceId as ResourceId,
      instanceId,
      report: this.#report(
        instanceId,
        more.full ?? false,
        slots,
        more.lastSeen ?? null,
        more.draining ?? false,
      ),
    });
  }

  request(
    allocationIds: string | string[],
    profile: ResourceProfile = N,
    more: { remainingMs?: number; excluded?: string[]; jobId?: string; jobMasterId?: string } = {},
  ): (Problem | null)[] {
    this.send({
      type: 'slotsRequested',
      answerKey: this.#answerKey++,
      jobId: (more.jobId ?? JOB) as JobId,
      jobMasterId: (more.jobMasterId ?? MASTER) as JobMasterId,
      order: { generation: 1, revision: 5n },
      requests: [allocationIds].flat().map((allocationId) => ({
        allocationId: allocationId as AllocationId,
        profile,
        remainingMs: more.remainingMs ?? 300_000,
        excluded: (more.excluded ?? []) as ResourceId[],
      })),
    });
    return this.of('acknowledgeSlotRequests').flatMap(({ results }) => results.map((r) => r.problem));
  }

  heartbeat(unfinished: string[]): string[] {
    this.send({
      type: 'jobMasterHeartbeat',
      answerKey: this.#answerKey++,
      jobId: JOB,
      jobMasterId: MASTER,
      unfinished: unfinished as AllocationId[],
    });
    return this.of('answerHeartbeat').flatMap(({ unknown }) => [...unknown]);
  }

  cancel(...allocationIds: string[]): void {
    const ids = allocationIds as AllocationId[];
    this.send({ type: 'slotRequestsCancelled', jobId: JOB, jobMasterId: MASTER, allocationIds: ids });
  }

  reject(
    allocationId: string,
    resourceId: string,
    slotNumber: number,
    reason: 'not-wanted' | 'unreachable',
  ): void {
    this.send({
      type: 'slotRejected',
      jobId: JOB,
      jobMasterId: MASTER,
      allocationId: allocationId as AllocationId,
      resourceId: resourceId as ResourceId,
      slotNumber,
      grantNumber: this.#grantNumber,
      reason,
    });
  }

  /** The last call sent, of all or to one task executor. */
  lastCall(resourceId?: string): Call {
    const call = this.allOf('sendSlotCommands').findLast(
      (each) => resourceId === undefined || each.resourceId === resourceId,
    );
    if (call === undefined) throw new Error('no call was sent');
    return call;
  }

  /** Answers a call (the last one unless told otherwise): every command is done, or refused with a problem. */
  done(call: Call = this.lastCall(), refuse: Partial<Record<number, Problem>> = {}): void {
    const results = call.commands.map((command, index) => {
      const problem = refuse[index];
      if (problem !== undefined) return { outcome: 'refused' as const, problem };
      const grantNumber = command.kind === 'requestSlot' ? ++this.#grantNumber : null;
      return { outcome: 'done' as const, grantNumber };
    });
    this.#answer(call, { kind: 'done', results });
  }

  refused(call: Call = this.lastCall(), problem: Problem = { code: 'CONFLICT', detail: 'no' }): void {
    this.done(call, Object.fromEntries(call.commands.map((_, index) => [index, problem])));
  }

  problem(code: Problem['code'], call: Call = this.lastCall()): void {
    this.#answer(call, { kind: 'problem', problem: { code, detail: 'no' } });
  }

  noAnswer(call: Call = this.lastCall()): void {
    this.#answer(call, { kind: 'noAnswer', detail: 'timed out' });
  }

  gone(resourceId: string): void {
    this.send({ type: 'taskExecutorGone', resourceId: resourceId as ResourceId, reason: 'failed' });
  }

  unreachable(resourceId: string, instanceId = resourceId): void {
    const id = instanceId as InstanceId;
    this.send({ type: 'taskExecutorUnreachable', resourceId: resourceId as ResourceId, instanceId: id });
  }

  expect(resourceId: string, slots = 1): void {
    const id = resourceId as ResourceId;
    this.send({ type: 'taskExecutorExpected', resourceId: id, instanceId: null, slots });
  }

  /** Lets time pass, ticking whenever something is due; `effects` holds what all the ticks wanted. */
  pass(durationMs: number): void {
    const untilMs = this.nowMs + durationMs;
    const effects: SlotManagerEffect[] = [];
    for (let turns = 0; turns < 10_000; turns++) {
      const dueMs = this.manager.nextDueMs();
      if (dueMs === null || dueMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, dueMs);
      effects.push(...this.send({ type: 'tick' }));
    }
    this.nowMs = untilMs;
    effects.push(...this.send({ type: 'tick' }));
    this.effects = effects;
  }

  #answer(call: Call, outcome: Extract<SlotManagerEvent, { type: 'slotCommandsAnswered' }>['outcome']): void {
    const { resourceId, instanceId, number } = call;
    this.send({ type: 'slotCommandsAnswered', resourceId, instanceId, number, outcome });
  }

  #report(
    instanceId: string,
    full: boolean,
    slots: Status[],
    lastSeen: CommandNumber | null,
    draining: boolean,
  ): SlotReport {
    const reportNumber = this.#reportNumbers.get(instanceId) ?? 1;
    this.#reportNumbers.set(instanceId, reportNumber + 1);
    return { reportNumber, full, lastSeen, draining, slots };
  }
}
