import type { CommandNumber } from '../../src/core/command-number.ts';
import type { AllocationId, InstanceId, JobId, JobMasterId, ResourceId } from '../../src/core/ids.ts';
import type { SlotCommandResult, SlotReport, SlotRequest } from '../../src/core/messages/slots.ts';
import type { ProblemCode } from '../../src/core/problem.ts';
import type { ResourceProfile } from '../../src/core/resource-profile.ts';
import type { SlotManagerEvent } from '../../src/core/slotmanager/slot-manager-events.ts';
import type { SeededRandomness } from '../support/testing-randomness.ts';
import { type NaiveBooks, type Slot, TOKEN, type Worker } from './naive-books.ts';

type Event<Type extends SlotManagerEvent['type']> = Extract<SlotManagerEvent, { type: Type }>;
type Status = SlotReport['slots'][number];

const WORKERS = ['a', 'b', 'c', 'd'] as ResourceId[];
/** Which fits which is no order of size: memory here, cores there, extended resources beside them. */
const PROFILES: readonly ResourceProfile[] = [
  { cpuCores: 1, memoryMB: 512, extended: {} },
  { cpuCores: 2, memoryMB: 1_024, extended: {} },
  { cpuCores: 1, memoryMB: 16_384, extended: {} },
  { cpuCores: 8, memoryMB: 1_024, extended: {} },
  { cpuCores: 1, memoryMB: 512, extended: { gpu: 1 } },
  { cpuCores: 2, memoryMB: 1_024, extended: { gpu: 2, disk: 0 } },
];
const JOBS = [
  { jobId: 'job-1' as JobId, jobMasterId: 'master-1' as JobMasterId },
  { jobId: 'job-1' as JobId, jobMasterId: 'master-1b' as JobMasterId },
  { jobId: 'job-2' as JobId, jobMasterId: 'master-2' as JobMasterId },
];
const REFUSALS: readonly ProblemCode[] = ['UNAVAILABLE', 'SLOT_TAKEN', 'SUPERSEDED', 'INVALID', 'CONFLICT'];
const PROBLEMS: readonly ProblemCode[] = ['STALE', 'FENCED', 'INVALID', 'UNKNOWN_TASK_EXECUTOR', 'INTERNAL'];

/** Chooses what happens next among all that can, from the books of the model; mostly what the protocol lets happen. */
export class EventDrawer {
  readonly #books: NaiveBooks;
  readonly #random: SeededRandomness;
  #minted: number;

  /** Ids are minted above `minted`: ten at most for each event. */
  constructor(books: NaiveBooks, random: SeededRandomness, minted: number) {
    this.#books = books;
    this.#random = random;
    this.#minted = minted;
  }

  /** One thing that happens; time passes by other means. */
  event(): SlotManagerEvent {
    const draws: readonly [number, () => SlotManagerEvent][] = [
      [10, () => this.#registered()],
      [26, () => this.#reported()],
      [3, () => this.#numberSeen()],
      [3, () => ({ type: 'taskExecutorUnreachable', ...this.#instance() })],
      [2, () => ({ type: 'taskExecutorGone', resourceId: this.#pick(WORKERS), reason: 'failed' })],
      [1, () => ({ type: 'taskExecutorAhead', resourceId: this.#pick(WORKERS) })],
      [3, () => this.#drain()],
      [2, () => ({ type: 'stopRequested', resourceId: this.#pick(WORKERS) })],
      [24, () => this.#answered()],
      [20, () => this.#requested()],
      [4, () => this.#cancelled()],
      [5, () => this.#rejected()],
      [5, () => this.#heartbeat()],
      [1, () => ({ type: 'jobMasterGone', ...this.#pick(JOBS), reason: 'goodbye' })],
      [2, () => this.#failed()],
      [2, () => this.#missed()],
    ];
    let left = this.#random.between(
      1,
      draws.reduce((sum, [weight]) => sum + weight, 0),
    );
    for (const [weight, draw] of draws) {
      left -= weight;
      if (left <= 0) return draw();
    }
    return { type: 'tick' };
  }

  expected(): Event<'taskExecutorExpected'>[] {
    return WORKERS.slice(0, this.#random.between(0, WORKERS.length)).map((resourceId) => ({
      type: 'taskExecutorExpected',
      resourceId,
      instanceId: this.#chance(0.5) ? (`${resourceId}-0` as InstanceId) : null,
      slots: this.#random.between(0, 3),
    }));
  }

  /** A worker that is new, and gets one big slot after the other: who waits is served in order. */
  *sweep(): Generator<SlotManagerEvent> {
    const resourceId = 'last' as ResourceId;
    const instanceId = 'last-0' as InstanceId;
    const profile = { cpuCores: 64, memoryMB: 1 << 20, extended: { gpu: 64, disk: 64 } };
    const report = (reportNumber: number, slots: readonly Status[]): SlotReport => ({
      reportNumber,
      full: reportNumber === 0,
      lastSeen: null,
      draining: false,
      slots: [...slots],
    });
    const address = 'last:1';
    const provider = null;
    const first = report(0, []);
    yield { type: 'taskExecutorRegistered', resourceId, instanceId, address, provider, report: first };
    for (let slotNumber = 0; slotNumber < 10; slotNumber++) {
      const slot: Status = { slotNumber, profile, state: 'free', lease: null };
      yield { type: 'slotsReported', resourceId, instanceId, report: report(slotNumber + 1, [slot]) };
    }
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[this.#random.between(0, items.length - 1)] as Item;
  }

  #chance(share: number): boolean {
    return this.#random.fraction() < share;
  }

  #instance(): { readonly resourceId: ResourceId; readonly instanceId: InstanceId } {
    const resourceId = this.#pick(WORKERS);
    const now = this.#books.worker(resourceId)?.instanceId;
    const instanceId = now && this.#chance(0.95) ? now : (`${resourceId}-0` as InstanceId);
    return { resourceId, instanceId };
  }

  #registered(): SlotManagerEvent {
    const { resourceId, instanceId: now } = this.#instance();
    const worker = this.#books.worker(resourceId);
    // One that was given up may come back, and so may one that was not noticed to be away.
    const isSame = this.#chance(worker === undefined ? 0.3 : 0.6);
    const instanceId = isSame ? now : (`${resourceId}-${++this.#minted}` as InstanceId);
    const reportNumber = isSame ? this.#reportNumber(worker) : this.#random.between(0, 2);
    const report = { ...this.#report(worker, true), reportNumber };
    const provider = this.#chance(0.3) ? 'provider' : null;
    const address = `${resourceId}:${this.#random.between(1, 2)}`;
    return { type: 'taskExecutorRegistered', resourceId, instanceId, address, provider, report };
  }

  #reported(): SlotManagerEvent {
    const { resourceId, instanceId } = this.#instance();
    const report = this.#report(this.#books.worker(resourceId), this.#chance(0.4));
    return { type: 'slotsReported', resourceId, instanceId, report };
  }

  #reportNumber(worker: Worker | undefined): number {
    const last = worker?.lastReport ?? 0;
    return Math.max(0, last + this.#pick([1, 1, 1, 1, 1, 1, 2, 3, 0, -1]));
  }

  #report(worker: Worker | undefined, full: boolean): SlotReport {
    const slots: Status[] = [];
    for (let slotNumber = 0; slotNumber < 4; slotNumber++) {
      if (this.#chance(full ? 0.15 : 0.5)) continue;
      const slot = worker?.slots.find((each) => each.slotNumber === slotNumber);
      slots.push(this.#status(slotNumber, slot, worker));
    }
    const draining = this.#chance(0.9) ? (worker?.draining ?? false) : this.#chance(0.5);
    const reportNumber = this.#reportNumber(worker);
    return { reportNumber, full, lastSeen: this.#lastSeen(worker), draining, slots };
  }

  #lastSeen(worker: Worker | undefined): CommandNumber | null {
    const sent = worker?.slots.flatMap(({ lastNumber }) => (lastNumber === null ? [] : [lastNumber])) ?? [];
    const highest = Math.max(0, worker?.call?.number.n ?? 0, ...sent.map(({ n }) => n));
    const { generation, epoch } = TOKEN;
    if (this.#chance(0.1)) return this.#pick([null, { generation, epoch: epoch - 1n, n: 1_000 }]);
    const n = this.#pick([highest, highest, highest, highest, highest - 1, highest - 2, highest + 3]);
    return n <= 0 ? null : { generation, epoch, n };
  }

  /** Mostly what follows from the books: granted what was asked for, claimed what was granted, free again. */
  #status(slotNumber: number, slot: Slot | undefined, worker: Worker | undefined): Status {
    const isSameProfile = slot !== undefined && this.#chance(0.95);
    const profile = isSameProfile ? slot.profile : this.#pick(PROFILES);
    const free: Status = { slotNumber, profile, state: 'free', lease: null };
    const holder = slot?.holder ?? null;
    if (this.#chance(0.06)) return { slotNumber, profile, state: 'quarantined', lease: null };
    if (this.#chance(0.07)) return this.#held(slotNumber, profile, this.#anyHolder(), worker, null);
    if (holder === null || this.#chance(0.25)) return free;
    return this.#held(slotNumber, profile, holder, worker, slot?.grantNumber ?? null);
  }

  #held(
    slotNumber: number,
    profile: ResourceProfile,
    { allocationId, jobId, jobMasterId }: NonNullable<Slot['holder']>,
    worker: Worker | undefined,
    grantNumber: number | null,
  ): Status {
    const instanceId = worker?.instanceId ?? ('old' as InstanceId);
    const number = grantNumber !== null && this.#chance(0.95) ? grantNumber : this.#random.between(1, 50);
    const lease = { allocationId, jobId, jobMasterId, instanceId, grantNumber: number };
    return { slotNumber, profile, state: this.#pick(['granted', 'claimed']), lease };
  }

  /** Of a request in the books, of one that has ended, or of one that nobody knows of. */
  #anyHolder(): NonNullable<Slot['holder']> {
    const { requests, ended } = this.#books;
    if (requests.length > 0 && this.#chance(0.6)) return holderOf(this.#pick(requests));
    const known = [...ended.keys()];
    if (known.length > 0 && this.#chance(0.5))
      return { allocationId: this.#pick(known), ...this.#pick(JOBS) };
    return { allocationId: `old-${this.#random.between(1, 6)}` as AllocationId, ...this.#pick(JOBS) };
  }

  #numberSeen(): SlotManagerEvent {
    const of = this.#instance();
    return {
      type: 'reportNumberSeen',
      ...of,
      reportNumber: this.#reportNumber(this.#books.worker(of.resourceId)),
    };
  }

  #drain(): SlotManagerEvent {
    const resourceId = this.#pick(WORKERS);
    const isDraining = this.#books.worker(resourceId)?.drainOrdered === true;
    return {
      type: 'drainRequested',
      resourceId,
      draining: this.#chance(0.9) ? !isDraining : this.#chance(0.5),
    };
  }

  #answered(): SlotManagerEvent {
    const busy = this.#books.workers.filter(({ call }) => call !== null);
    if (busy.length === 0) return this.#requested();
    const worker = this.#pick(busy);
    const { resourceId, call } = worker;
    const isOld = this.#chance(0.04);
    const instanceId = isOld ? (`${resourceId}-0` as InstanceId) : (worker.instanceId ?? ('' as InstanceId));
    const { generation, epoch, n } = call?.number ?? { ...TOKEN, n: 0 };
    const number = { generation, epoch, n: this.#chance(0.04) ? n - 1 : n };
    const about = { type: 'slotCommandsAnswered', resourceId, instanceId, number } as const;
    if (this.#chance(0.15)) return { ...about, outcome: { kind: 'noAnswer', detail: 'timed out' } };
    const problem = { code: this.#pick(PROBLEMS), detail: 'no' };
    if (this.#chance(0.1)) return { ...about, outcome: { kind: 'problem', problem } };
    const results = (call?.commands ?? []).map(({ kind }) => this.#result(kind));
    if (this.#chance(0.03)) results.pop();
    return { ...about, outcome: { kind: 'done', results } };
  }

  #result(kind: string): SlotCommandResult {
    if (this.#chance(kind === 'noOperation' ? 0 : 0.15))
      return { outcome: 'refused', problem: { code: this.#pick(REFUSALS), detail: 'no' } };
    const isGrant = kind === 'requestSlot' && this.#chance(0.97);
    return { outcome: 'done', grantNumber: isGrant ? this.#random.between(1, 50) : null };
  }

  #requested(): SlotManagerEvent {
    const of = this.#pick(JOBS);
    const requests = Array.from({ length: this.#random.between(1, 3) }, () => this.#request());
    const order = { generation: 1, revision: BigInt(JOBS.indexOf(of) + 1) };
    return { type: 'slotsRequested', answerKey: ++this.#minted, ...of, order, requests };
  }

  #request(): SlotRequest {
    const again = this.#chance(0.25) ? this.#anyHolder().allocationId : null;
    const profile = this.#books.request(again ?? ('' as AllocationId))?.profile;
    return {
      allocationId: again ?? (`r${++this.#minted}` as AllocationId),
      profile: profile !== undefined && this.#chance(0.9) ? profile : this.#pick(PROFILES),
      remainingMs: this.#pick([0, 1_500, 9_700, 61_300, 300_000, 300_000, 300_000]),
      excluded: this.#chance(0.15) ? [this.#pick(WORKERS)] : [],
    };
  }

  #someIds(): AllocationId[] {
    return Array.from({ length: this.#random.between(1, 3) }, () => this.#anyHolder().allocationId);
  }

  /** Who has it, mostly. */
  #masterOf(allocationId: AllocationId | undefined): (typeof JOBS)[number] {
    const request = this.#books.request(allocationId ?? ('' as AllocationId));
    return JOBS.find((each) => each.jobMasterId === request?.jobMasterId) ?? this.#pick(JOBS);
  }

  #cancelled(): SlotManagerEvent {
    const allocationIds = this.#someIds();
    return { type: 'slotRequestsCancelled', ...this.#masterOf(allocationIds[0]), allocationIds };
  }

  #heartbeat(): SlotManagerEvent {
    const of = this.#pick(JOBS);
    const own = this.#books.requests.filter((each) => each.jobMasterId === of.jobMasterId);
    const unfinished = [...own.map((each) => each.allocationId), ...this.#someIds()];
    return { type: 'jobMasterHeartbeat', answerKey: ++this.#minted, ...of, unfinished };
  }

  #missed(): SlotManagerEvent {
    const { jobMasterId } = this.#pick(JOBS);
    const missed = WORKERS.filter(() => this.#chance(0.4)).map((resourceId) => ({
      resourceId,
      address: `${resourceId}:${this.#random.between(1, 2)}`,
    }));
    return { type: 'taskExecutorsMissed', jobMasterId, missed };
  }

  #rejected(): SlotManagerEvent {
    const placed = this.#books.slots().filter(({ holder }) => holder !== null);
    if (placed.length === 0) return this.#heartbeat();
    const { worker, slotNumber, holder, grantNumber } = this.#pick(placed);
    return {
      type: 'slotRejected',
      ...(holder !== null && this.#chance(0.9) ? holderOf(holder) : this.#anyHolder()),
      resourceId: worker.resourceId,
      slotNumber,
      grantNumber: grantNumber !== null && this.#chance(0.9) ? grantNumber : this.#random.between(1, 50),
      reason: this.#pick(['not-wanted', 'unreachable']),
    };
  }

  #failed(): SlotManagerEvent {
    const { allocationId } = this.#anyHolder();
    const slot = this.#books.request(allocationId)?.slot;
    return {
      type: 'slotRequestFailedAtTaskExecutor',
      allocationId,
      resourceId: slot?.worker.resourceId ?? this.#pick(WORKERS),
      slotNumber: slot?.slotNumber ?? 0,
      problem: { code: 'UNAVAILABLE', detail: 'no' },
    };
  }
}

function holderOf({
  allocationId,
  jobId,
  jobMasterId,
}: NonNullable<Slot['holder']>): NonNullable<Slot['holder']> {
  return { allocationId, jobId, jobMasterId };
}
