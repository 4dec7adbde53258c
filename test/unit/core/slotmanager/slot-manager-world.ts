import type { AllocationId, LeaderSessionId } from '../../../../src/core/ids.ts';
import type { ResourceProfile } from '../../../../src/core/resource-profile.ts';
import { createSlotManager } from '../../../../src/core/slotmanager/create-slot-manager.ts';
import type {
  SlotManager,
  SlotManagerEffect,
  SlotManagerEvent,
} from '../../../../src/core/slotmanager/slot-manager-events.ts';
import { DEFAULT_TIMING } from '../../../../src/core/timing.ts';
import { checkCounts, checkNobodyWaitsForAFreeSlot, checkOnePlace } from './slot-manager-invariants.ts';
import { type Call, MODEL_JOB, MODEL_MASTER, ModelTaskExecutor } from './task-executor-population.ts';

const SMALL: ResourceProfile = { cpuCores: 1, memoryMB: 512, extended: {} };
const BIG: ResourceProfile = { cpuCores: 2, memoryMB: 1_024, extended: {} };
const GPU: ResourceProfile = { cpuCores: 1, memoryMB: 512, extended: { gpu: 1 } };
const PROFILES = [SMALL, BIG, GPU];

/** Longer than any back-off of the slot manager: after it, nothing is left alone any more. */
const LONGER_THAN_BACK_OFF_MS = 40_000;

type Outcome = Extract<SlotManagerEvent, { type: 'slotCommandsAnswered' }>['outcome'];

interface Ask {
  readonly profile: ResourceProfile;
  readonly deadlineMs: number;
  told: boolean;
  ended: boolean;
}

/**
 * A slot manager among task executors and a job master over a network that loses, delays and reorders. Each
 * `step` is chosen by numbers, and after each the invariants are checked.
 */
export class SlotManagerWorld {
  readonly manager: SlotManager;
  readonly executors: ModelTaskExecutor[];
  nowMs = 0;
  readonly asks = new Map<AllocationId, Ask>();
  /** Calls that have not been answered to the slot manager yet, by instance. */
  readonly #underWay = new Map<string, Call>();
  readonly #sentMs = new Map<Call, number>();
  /** Calls that the network still holds; they may arrive after they were given up. */
  #inNetwork: Call[] = [];
  #answers: { readonly call: Call; readonly outcome: Outcome }[] = [];
  readonly #numbers = new Set<number>();
  readonly #troubleMs = new Map<string, number>();
  readonly #grants: {
    allocationId: AllocationId;
    executor: ModelTaskExecutor;
    slotNumber: number;
    grantNumber: number;
  }[] = [];
  #answerKey = 0;
  #nextAsk = 0;

  constructor() {
    const leaderSessionId = 'session' as LeaderSessionId;
    this.manager = createSlotManager({
      token: { generation: 1, epoch: 7n, leaderSessionId },
      timing: DEFAULT_TIMING,
      nowMs: 0,
    });
    this.executors = [
      new ModelTaskExecutor('a', [SMALL, BIG]),
      new ModelTaskExecutor('b', [SMALL, GPU, BIG]),
      new ModelTaskExecutor('c', [SMALL]),
    ];
  }

  /** One thing that can happen, chosen by `kind`; `a` and `b` say to whom and how. */
  step(kind: number, a: number, b: number): void {
    const executor = pick(this.executors, a);
    if (executor === undefined) return;
    const steps: (() => void)[] = [
      () => this.#ask(a, b),
      () => this.#ask(a, b),
      () => this.#deliverCall(a, b % 8 === 0),
      () => this.#deliverCall(a, b % 8 === 0),
      () => this.#deliverCall(a, b % 8 === 0),
      () => this.#deliverAnswer(a),
      () => this.#deliverAnswer(a),
      () => this.#deliverAnswer(a),
      () => this.#giveUpCall(a),
      () => void this.#inNetwork.splice(a % Math.max(1, this.#inNetwork.length), 1),
      () => this.#deliverReport(executor, b % 6 === 0),
      () => this.#deliverReport(executor, b % 6 === 0),
      () => void executor.reports.splice(b % Math.max(1, executor.reports.length), 1),
      () => this.#claim(b),
      () => this.#claim(b),
      () => this.#endLease(executor, b),
      () => this.#reject(b),
      () => this.#connection(executor, b),
      () => this.#pass(b % 3 === 0 ? 100 : b % 3 === 1 ? 2_500 : 45_000),
      () => this.#heartbeat(),
      () => this.#cancel(b),
      () => this.#sayReportNumber(executor),
    ];
    pick(steps, kind)?.();
  }

  /** The network is good from now on and everybody does what the protocol says, until nothing moves any more. */
  heal(): void {
    for (const executor of this.executors) {
      if (!executor.connected) this.#register(executor);
      this.#send({ type: 'drainRequested', resourceId: executor.resourceId, draining: false });
      this.#troubleMs.set(executor.resourceId, this.nowMs);
    }
    // What a job master has done with, the slot manager may not have seen in its hand.
    const allocationIds = [...this.asks].flatMap(([id, ask]) => (ask.ended ? [id] : []));
    this.#send({ type: 'slotRequestsCancelled', jobId: MODEL_JOB, jobMasterId: MODEL_MASTER, allocationIds });
    for (let round = 0; round < 60; round++) {
      while (this.#inNetwork.length > 0) this.#deliverCall(0, false);
      while (this.#answers.length > 0) this.#deliverAnswer(0);
      for (const executor of this.executors)
        while (executor.reports.length > 0) this.#deliverReport(executor, false);
      if (round % 3 === 0) for (const executor of this.executors) this.#sayReportNumber(executor);
      this.#heartbeat();
      this.#pass(round < 30 ? 1_000 : 10_000);
    }
  }

  /** Differences between the books and the truth at the task executors. */
  differences(): string[] {
    const differences: string[] = [];
    for (const view of this.manager.slots()) {
      const executor = this.executors.find((each) => each.resourceId === view.resourceId);
      const slot = executor?.slots[view.slotNumber];
      const truth = slot?.lease?.allocationId ?? null;
      if (view.allocationId !== truth || (truth === null) !== (view.state === 'free'))
        differences.push(
          `${view.resourceId}/${view.slotNumber}: ${view.state} ${view.allocationId}, but ${truth}`,
        );
    }
    return differences;
  }

  /** Requests that nobody has ended and that no task executor holds. */
  unserved(): AllocationId[] {
    const held = new Set(
      this.executors.flatMap((executor) => executor.slots.map((slot) => slot.lease?.allocationId)),
    );
    return [...this.asks].flatMap(([id, ask]) =>
      ask.ended || held.has(id) || ask.deadlineMs <= this.nowMs ? [] : [id],
    );
  }

  check(): void {
    const views = [...this.manager.slots()];
    checkCounts(this.manager, views);
    checkOnePlace(views);
    const placed = new Set(views.map((view) => view.allocationId));
    const waiting = [...this.asks].flatMap(([id, ask]) =>
      ask.ended || ask.told || placed.has(id) || ask.deadlineMs <= this.nowMs ? [] : [{ id, ...ask }],
    );
    checkNobodyWaitsForAFreeSlot(this.manager, views, waiting, (resourceId) => {
      const troubleMs = this.#troubleMs.get(resourceId) ?? -Infinity;
      return this.nowMs - troubleMs > LONGER_THAN_BACK_OFF_MS;
    });
  }

  #send(event: SlotManagerEvent): void {
    for (const effect of this.manager.handle(event, this.nowMs)) this.#perform(effect);
    this.check();
  }

  #perform(effect: SlotManagerEffect): void {
    if (effect.type === 'sendSlotCommands') {
      if (this.#underWay.has(effect.instanceId))
        throw new Error(`two calls under way to ${effect.instanceId}`);
      if (this.#numbers.has(effect.number.n)) throw new Error(`number ${effect.number.n} was used twice`);
      if (effect.commands.length === 0) throw new Error('an empty call');
      this.#numbers.add(effect.number.n);
      this.#underWay.set(effect.instanceId, effect);
      this.#sentMs.set(effect, this.nowMs);
      this.#inNetwork.push(effect);
    }
    if (effect.type === 'notifySlotsAllocated')
      for (const { allocationId, slotId, grantNumber } of effect.grants) {
        const executor = this.executors.find((each) => each.resourceId === slotId.resourceId);
        const ask = this.asks.get(allocationId);
        if (ask !== undefined) ask.told = true;
        if (executor !== undefined)
          this.#grants.push({ allocationId, executor, slotNumber: slotId.slotNumber, grantNumber });
      }
    if (effect.type === 'failSlotRequest') {
      const ask = this.asks.get(effect.allocationId);
      if (ask !== undefined) ask.ended = true;
    }
    if (effect.type === 'requestSlotReport') {
      const executor = this.executors.find((each) => each.instanceId === effect.instanceId);
      executor?.queueFullReport();
    }
  }

  #ask(a: number, b: number): void {
    const again = b % 5 === 0 ? pick([...this.asks], a) : undefined;
    const allocationId = again?.[0] ?? (`r${this.#nextAsk++}` as AllocationId);
    const ask = again?.[1] ?? {
      profile: pick(PROFILES, b) ?? SMALL,
      deadlineMs: this.nowMs + 1_000_000,
      told: false,
      ended: false,
    };
    this.asks.set(allocationId, ask);
    const remainingMs = Math.max(0, ask.deadlineMs - this.nowMs);
    this.#send({
      type: 'slotsRequested',
      answerKey: this.#answerKey++,
      jobId: MODEL_JOB,
      jobMasterId: MODEL_MASTER,
      order: { generation: 1, revision: 1n },
      requests: [{ allocationId, profile: ask.profile, remainingMs, excluded: [] }],
    });
  }

  #deliverCall(a: number, refuse: boolean): void {
    const index = a % Math.max(1, this.#inNetwork.length);
    const [call] = this.#inNetwork.splice(index, 1);
    if (call === undefined) return;
    const executor = this.executors.find((each) => each.resourceId === call.resourceId);
    if (executor === undefined) return;
    const outcome = executor.execute(call, refuse);
    if (this.#underWay.get(call.instanceId) === call) this.#answers.push({ call, outcome });
  }

  #deliverAnswer(a: number): void {
    const [answer] = this.#answers.splice(a % Math.max(1, this.#answers.length), 1);
    if (answer !== undefined) this.#answered(answer.call, answer.outcome);
  }

  #giveUpCall(a: number): void {
    const call = pick([...this.#underWay.values()], a);
    if (call !== undefined) this.#answered(call, { kind: 'noAnswer', detail: 'timed out' });
  }

  #answered(call: Call, outcome: Outcome): void {
    if (this.#underWay.get(call.instanceId) !== call) return;
    this.#underWay.delete(call.instanceId);
    this.#answers = this.#answers.filter((answer) => answer.call !== call);
    if (outcome.kind !== 'done' || outcome.results.some((result) => result.outcome === 'refused'))
      this.#troubleMs.set(call.resourceId, this.nowMs);
    const { resourceId, instanceId, number } = call;
    this.#send({ type: 'slotCommandsAnswered', resourceId, instanceId, number, outcome });
    if (outcome.kind === 'problem' && outcome.problem.code === 'UNKNOWN_TASK_EXECUTOR') {
      const executor = this.executors.find((each) => each.instanceId === instanceId);
      if (executor?.connected === true) this.#register(executor);
    }
  }

  #deliverReport(executor: ModelTaskExecutor, newestFirst: boolean): void {
    const report = newestFirst ? executor.reports.pop() : executor.reports.shift();
    if (report === undefined) return;
    this.#troubleMs.set(executor.resourceId, this.nowMs);
    this.#send({ type: 'slotsReported', resourceId: executor.resourceId, ...report });
  }

  #claim(b: number): void {
    const grant = pick(this.#grants, b);
    const ask = grant === undefined ? undefined : this.asks.get(grant.allocationId);
    if (grant === undefined || ask === undefined || ask.ended) return;
    const elsewhere = this.executors.some((executor) =>
      executor.slots.some(
        (slot) => slot.state === 'claimed' && slot.lease?.allocationId === grant.allocationId,
      ),
    );
    if (!elsewhere) grant.executor.claim(grant.allocationId);
  }

  #endLease(executor: ModelTaskExecutor, b: number): void {
    const slot = executor.slots[b % executor.slots.length];
    const ask =
      slot?.lease === null || slot === undefined ? undefined : this.asks.get(slot.lease.allocationId);
    if (slot?.state === 'claimed' && ask !== undefined) ask.ended = true;
    executor.end(b);
  }

  #reject(b: number): void {
    const grant = pick(this.#grants, b);
    const ask = grant === undefined ? undefined : this.asks.get(grant.allocationId);
    if (grant === undefined || ask === undefined) return;
    const { allocationId, executor, slotNumber, grantNumber } = grant;
    const slot = executor.slots[slotNumber];
    if (slot?.state === 'claimed' && slot.lease?.allocationId === allocationId) return;
    ask.ended = true;
    this.#send({
      type: 'slotRejected',
      jobId: MODEL_JOB,
      jobMasterId: MODEL_MASTER,
      allocationId,
      resourceId: executor.resourceId,
      slotNumber,
      grantNumber,
      reason: 'not-wanted',
    });
  }

  #connection(executor: ModelTaskExecutor, b: number): void {
    const { resourceId, instanceId } = executor;
    if (!executor.connected) {
      this.#register(executor);
    } else if (b % 4 === 0) {
      executor.restart(b % 8 === 0);
    } else if (b % 4 === 1) {
      executor.connected = false;
      this.#send({ type: 'taskExecutorGone', resourceId, reason: 'failed' });
      for (let i = 0; i < executor.slots.length; i++) executor.end(i);
      executor.reports = [];
    } else if (b % 4 === 2) {
      executor.connected = false;
      this.#send({ type: 'taskExecutorUnreachable', resourceId, instanceId });
    } else {
      const draining = !executor.draining;
      this.#troubleMs.set(resourceId, this.nowMs);
      this.#send({ type: 'drainRequested', resourceId, draining });
    }
  }

  #register(executor: ModelTaskExecutor): void {
    const { resourceId, instanceId } = executor;
    executor.connected = true;
    this.#troubleMs.set(resourceId, this.nowMs);
    for (const call of this.#underWay.values())
      if (call.resourceId === resourceId && call.instanceId !== instanceId)
        this.#underWay.delete(call.instanceId);
    const report = executor.fullReport();
    this.#send({
      type: 'taskExecutorRegistered',
      resourceId,
      instanceId,
      address: `${resourceId}:1`,
      provider: null,
      report,
    });
  }

  /** The shell answers each call at its deadline at the latest. */
  #pass(durationMs: number): void {
    const untilMs = this.nowMs + durationMs;
    for (;;) {
      const [call] = this.#underWay.values();
      const deadlineMs =
        call === undefined ? Infinity : (this.#sentMs.get(call) ?? 0) + DEFAULT_TIMING.taskExecutorCallMs;
      const dueMs = Math.min(deadlineMs, this.manager.nextDueMs() ?? Infinity);
      if (dueMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, dueMs);
      if (call !== undefined && dueMs === deadlineMs)
        this.#answered(call, { kind: 'noAnswer', detail: 'timed out' });
      else this.#send({ type: 'tick' });
    }
    this.nowMs = untilMs;
    this.#send({ type: 'tick' });
  }

  #heartbeat(): void {
    const held = new Set(
      this.executors.flatMap(({ slots }) =>
        slots.map((slot) => (slot.state === 'claimed' ? slot.lease?.allocationId : undefined)),
      ),
    );
    const unfinished = [...this.asks].flatMap(([id, ask]) => (ask.ended || held.has(id) ? [] : [id]));
    this.#send({
      type: 'jobMasterHeartbeat',
      answerKey: this.#answerKey++,
      jobId: MODEL_JOB,
      jobMasterId: MODEL_MASTER,
      unfinished,
    });
  }

  #cancel(b: number): void {
    const ask = pick([...this.asks], b);
    if (ask === undefined) return;
    ask[1].ended = true;
    const allocationIds = [ask[0]];
    this.#send({ type: 'slotRequestsCancelled', jobId: MODEL_JOB, jobMasterId: MODEL_MASTER, allocationIds });
  }

  #sayReportNumber(executor: ModelTaskExecutor): void {
    if (!executor.connected) return;
    const { resourceId, instanceId, reportNumber } = executor;
    this.#send({ type: 'reportNumberSeen', resourceId, instanceId, reportNumber });
  }
}

function pick<Item>(items: readonly Item[], index: number): Item | undefined {
  return items[index % Math.max(1, items.length)];
}
