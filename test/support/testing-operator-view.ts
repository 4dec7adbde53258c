import type { Identity } from '../../src/core/election/identity.ts';
import type {
  AllocationId,
  ClusterId,
  InstanceId,
  JobId,
  JobMasterId,
  LeaderSessionId,
  ResourceId,
  ResourceManagerId,
} from '../../src/core/ids.ts';
import { QuartermasterError, type Problem } from '../../src/core/problem.ts';
import type { GenerationPlan } from '../../src/ha/leader-election.ts';
import type {
  ClusterEvent,
  HistoryRow,
  JobMasterRow,
  LeaderView,
  OverviewView,
  Page,
  PageRequest,
  ResourceManagerOperations,
  ResourceManagerState,
  ResourceManagerStatus,
  ResourceManagerView,
  SlotRow,
  Subscription,
  TaskExecutorRow,
} from '../../src/resourcemanager/operator-view.ts';

/** A leader of that name and epoch. */
export function testingLeader(id: string, epoch: bigint, address = '127.0.0.1:1'): LeaderView {
  return {
    resourceManagerId: id as ResourceManagerId,
    address,
    leaderSessionId: `session-${epoch}` as LeaderSessionId,
    generation: 1,
    epoch,
  };
}

export type TestingOrder = readonly [string, ...unknown[]];

/** A resource manager's view whose state a test sets by hand; it notes each order and refuses when told to. */
export class TestingOperatorView implements ResourceManagerView, ResourceManagerOperations {
  readonly id: ResourceManagerId;
  state: ResourceManagerState = 'serving';
  ready = true;
  contradiction: string | null = null;
  /** When set, reads and orders are refused with it. */
  refusal: Problem | null = null;
  /** When set, reads and orders fail with it as an unforeseen error does. */
  failure: Error | null = null;
  /** When set, reads wait for it. */
  held: Promise<void> | null = null;
  slotRows: SlotRow[] = [];
  taskExecutorRows: TaskExecutorRow[] = [];
  jobMasterRows: JobMasterRow[] = [];
  historyRows: HistoryRow[] = [];
  keptEvents: ClusterEvent[] = [];
  readonly orders: TestingOrder[] = [];
  readonly pages: PageRequest[] = [];
  readonly leaderListeners = new Set<(leader: LeaderView | null) => void>();
  readonly eventListeners = new Set<(event: ClusterEvent) => void>();
  #leader: LeaderView | null;

  constructor(id = 'rm-1') {
    this.id = id as ResourceManagerId;
    this.#leader = testingLeader(id, 42n);
  }

  status(): ResourceManagerStatus {
    return {
      cluster: 'test',
      resourceManagerId: this.id,
      address: '127.0.0.1:1',
      version: '0.1.0',
      state: this.state,
      ready: this.ready,
      serving: this.state === 'serving',
      contradiction: this.contradiction,
      leaderSessionId: null,
      epoch: null,
      storeFull: false,
    };
  }

  leader(): LeaderView | null {
    return this.#leader;
  }

  setLeader(leader: LeaderView | null): void {
    this.#leader = leader;
    for (const listener of this.leaderListeners) listener(leader);
  }

  /** Makes it a standby of that leader: reads and orders are refused as such. */
  stepBehind(leader: LeaderView | null): void {
    this.state = 'standby';
    this.refusal =
      leader === null
        ? { code: 'NO_LEADER', detail: 'Nobody leads at the moment.' }
        : {
            code: 'NOT_LEADER',
            detail: `${leader.resourceManagerId} leads, at ${leader.address}.`,
            leader: { resourceManagerId: leader.resourceManagerId, address: leader.address },
          };
    this.setLeader(leader);
  }

  watchLeader(onChange: (leader: LeaderView | null) => void): Subscription {
    this.leaderListeners.add(onChange);
    onChange(this.#leader);
    return { cancel: () => this.leaderListeners.delete(onChange) };
  }

  emit(event: ClusterEvent): void {
    for (const listener of this.eventListeners) listener(event);
  }

  watchEvents(afterId: number | null, onEvent: (event: ClusterEvent) => void): Subscription {
    if (afterId !== null) {
      for (const event of this.keptEvents) if (event.id > afterId) onEvent(event);
    }
    this.eventListeners.add(onEvent);
    return { cancel: () => this.eventListeners.delete(onEvent) };
  }

  async overview(): Promise<OverviewView> {
    await this.#gate();
    return {
      role: 'leader',
      state: this.state,
      leader: this.#leader ?? testingLeader(this.id, 42n),
      standbys: [
        {
          resourceManagerId: 'rm-2' as ResourceManagerId,
          address: '127.0.0.1:2',
          version: '0.1.0',
          connected: true,
          ready: true,
        },
      ],
      taskExecutors: 1,
      slots: { total: 4, free: 3, requested: 0, allocated: 1, quarantined: 0, unknown: 0 },
      pendingRequests: 0,
      jobMasters: 1,
      storeFull: false,
      recovery: { silentTaskExecutors: 1, expectedTaskExecutors: 2, braked: false, remainingMs: 1_500 },
    };
  }

  slots(page: PageRequest): Promise<Page<SlotRow>> {
    return this.#page(page, this.slotRows);
  }

  taskExecutors(page: PageRequest): Promise<Page<TaskExecutorRow>> {
    return this.#page(page, this.taskExecutorRows);
  }

  jobMasters(page: PageRequest): Promise<Page<JobMasterRow>> {
    return this.#page(page, this.jobMasterRows);
  }

  history(page: PageRequest): Promise<Page<HistoryRow>> {
    return this.#page(page, this.historyRows);
  }

  stepDown(order: { readonly to: ResourceManagerId | null; readonly reason: string }): Promise<void> {
    return this.#order('stepDown', order);
  }

  planGeneration(): Promise<GenerationPlan> {
    const clusterId = 'cluster-id' as ClusterId;
    return Promise.resolve({
      present: { clusterId: 'another' as ClusterId, generation: 1 },
      identity: { clusterId, generation: 2 },
      informedWorkers: 3,
      contradictingWorkers: 2,
      contradiction: this.contradiction,
    });
  }

  async newGeneration(generation: number | null): Promise<Identity> {
    await this.#order('newGeneration', generation);
    return { clusterId: 'cluster-id' as ClusterId, generation: generation ?? 2 };
  }

  drain(resourceId: ResourceId, draining: boolean): Promise<void> {
    return this.#order('drain', resourceId, draining);
  }

  forgetTaskExecutor(resourceId: ResourceId): Promise<void> {
    return this.#order('forgetTaskExecutor', resourceId);
  }

  forgetJobMaster(jobId: JobId): Promise<void> {
    return this.#order('forgetJobMaster', jobId);
  }

  /** Pages by position: `after` is the number of rows seen. */
  async #page<Row>(page: PageRequest, rows: readonly Row[]): Promise<Page<Row>> {
    this.pages.push(page);
    await this.#gate();
    const start = page.after === null ? 0 : Number(page.after);
    const end = start + page.limit;
    return { rows: rows.slice(start, end), next: end < rows.length ? String(end) : null };
  }

  async #order(...order: TestingOrder): Promise<void> {
    await this.#gate();
    this.orders.push(order);
  }

  async #gate(): Promise<void> {
    if (this.held !== null) await this.held;
    if (this.failure !== null) throw this.failure;
    if (this.refusal !== null) throw new QuartermasterError(this.refusal);
  }
}

/** A view with a row of each kind in every listing. */
export function populatedView(id = 'rm-1'): TestingOperatorView {
  const view = new TestingOperatorView(id);
  const profile = { cpuCores: 1, memoryMB: 512, extended: { gpu: 1 } };
  const resourceId = 'te-1' as ResourceId;
  view.slotRows = [
    {
      resourceId,
      slotNumber: 0,
      state: 'allocated',
      allocationId: 'a-1' as AllocationId,
      jobId: 'job-1' as JobId,
      jobMasterId: 'jm-1' as JobMasterId,
      grantNumber: 7,
      profile,
      beingFreed: false,
    },
    ...[1, 2, 3].map((slotNumber) => ({
      resourceId,
      slotNumber,
      state: 'free' as const,
      allocationId: null,
      jobId: null,
      jobMasterId: null,
      grantNumber: null,
      profile,
      beingFreed: false,
    })),
  ];
  view.taskExecutorRows = [
    {
      resourceId,
      instanceId: 'i-1' as InstanceId,
      address: '127.0.0.1:4000',
      state: 'registered',
      connected: true,
      draining: false,
      provider: null,
      slots: 4,
      freeSlots: 3,
      silentForMs: 12.5,
    },
  ];
  view.jobMasterRows = [
    {
      jobId: 'job-1' as JobId,
      jobMasterId: 'jm-1' as JobMasterId,
      state: 'registered',
      connected: true,
      allocatedSlots: 1,
      silentForMs: null,
    },
  ];
  view.historyRows = [
    {
      generation: 1,
      epoch: 42n,
      createRevision: 43n,
      modRevision: 43n,
      record: { resourceManagerId: id, reason: null, epoch: 'not this one' },
    },
  ];
  return view;
}
