import { formatToken, type FencingToken } from '../core/fencing-token.ts';
import type { ClusterId, JobId, ResourceId } from '../core/ids.ts';
import type { SlotManager } from '../core/slotmanager/slot-manager-events.ts';
import type { Timing } from '../core/timing.ts';
import type { CoordinationStore, KeyValue } from '../ha/coordination-store.ts';
import { storeContext } from '../ha/persistent-call.ts';
import type { ClusterKeys } from '../ha/keys.ts';
import type { FolderStart, Leadership } from '../ha/leader-election.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { Logger, LogLevel } from '../runtime/logger.ts';
import type { EventLog } from './event-log.ts';
import { FencingCheck } from './fencing-check.ts';
import { GuardedWriter } from './guarded-writer.ts';
import { JobMasterDesk } from './job-master-desk.ts';
import type { ClusterEvent, ClusterEventKind } from './operator-view.ts';
import { ProofOfLife } from './proof-of-life.ts';
import { RecordKeeper } from './record-keeper.ts';
import {
  JOB_MASTER_FORMAT,
  TASK_EXECUTOR_FORMAT,
  type JobMasterRecord,
  type TaskExecutorRecord,
  writer,
} from './records.ts';
import { SlotManagerDriver } from './slot-manager-driver.ts';
import { readFolder } from './take-over.ts';
import { TaskExecutorDesk, type LeasesElsewhere } from './task-executor-desk.ts';
import type { TermContext } from './term-context.ts';
import { TermRequests } from './term-requests.ts';
import { isAhead, type ConnectionRegister, type WorkerConnection } from './worker-connection.ts';
import { WorkerControl } from './worker-control.ts';
import type { WorkerLimits } from './worker-pool.ts';
import type { WorkerProvider } from './worker-provider.ts';

const MOST_WAITING_REGISTRATIONS = 50_000;
const SWEEPS_PER_TIMEOUT = 15;

/** What one term of office is made from. */
export interface TermOptions {
  readonly leadership: Leadership;
  readonly slotManager: SlotManager;
  readonly store: CoordinationStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly logger: Logger;
  readonly events: EventLog;
  readonly connections: ConnectionRegister;
  /** The mailbox of the resource manager. */
  readonly post: (event: () => void) => void;
  /** Null: nobody starts task executors but people. */
  readonly workerProvider: WorkerProvider | null;
  readonly workerLimits: WorkerLimits;
  readonly mintWorkerName: () => ResourceId;
  /** Addresses of all resource managers, this one first. */
  readonly resourceManagers: () => readonly string[];
  /** A doubt of its leadership has been cleared: what was held back meanwhile may be told. */
  readonly onServingAgain: () => void;
}

/**
 * One confirmed term of office: books, registrations and everything done in the name of one token. A new
 * object for each term; after `end` nothing more happens in its name.
 */
export class Term implements TermContext {
  readonly leadership: Leadership;
  readonly token: FencingToken;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly logger: Logger;
  readonly connections: ConnectionRegister;
  readonly driver: SlotManagerDriver;
  readonly taskExecutors: TaskExecutorDesk;
  readonly jobMasters: JobMasterDesk;
  readonly requests: TermRequests;
  readonly #options: TermOptions;
  readonly #proofs: ProofOfLife;
  readonly #writer: GuardedWriter;
  readonly #fencing: FencingCheck;
  readonly #taskExecutorRecords: RecordKeeper<ResourceId, TaskExecutorRecord>;
  readonly #jobMasterRecords: RecordKeeper<JobId, JobMasterRecord>;
  readonly #workers: WorkerControl | null;
  #waitingForRecords: (() => void)[] | null = [];
  readonly #sweepEveryMs: number;
  #sweepTimer: Timer | null = null;
  #lastSweepMs: number;
  #listeningSinceMs: number;
  #ended = false;
  /** Ends what is being read. */
  readonly #life = new AbortController();

  constructor(options: TermOptions) {
    const { leadership, keys } = options;
    this.#options = options;
    this.leadership = leadership;
    this.token = leadership.token;
    this.clock = options.clock;
    this.timing = options.timing;
    this.connections = options.connections;
    this.#sweepEveryMs = options.timing.heartbeatTimeoutMs / SWEEPS_PER_TIMEOUT;
    this.#lastSweepMs = options.clock.monotonicMs();
    this.#listeningSinceMs = this.#lastSweepMs;
    const { epoch, leaderSessionId } = leadership.token;
    this.logger = options.logger.child({ epoch, leaderSessionId });
    this.#writer = new GuardedWriter(leadership, options.post);
    this.#fencing = new FencingCheck({
      leadership,
      keyToRead: keys.leader,
      post: (event) => this.post(event),
      onAhead: (connection, token) => this.#markAhead(connection, token),
      onNote: (event, fields) => this.note('warn', 'leadership', event, fields),
      onCleared: options.onServingAgain,
    });
    this.driver = new SlotManagerDriver(this, options.slotManager, {
      jobMasterOf: (jobId) => this.jobMasters.get(jobId)?.jobMasterId ?? null,
      observe: (effect) => this.#workers?.observe(effect),
      cancelled: (allocationIds) => this.#workers?.settled(allocationIds),
    });
    this.#taskExecutorRecords = new RecordKeeper(
      TASK_EXECUTOR_FORMAT,
      (resourceId: ResourceId) => keys.taskExecutor(resourceId),
      this.#writer,
      (record) => ({ ...record, ...writer(this.token) }),
    );
    this.#jobMasterRecords = new RecordKeeper(
      JOB_MASTER_FORMAT,
      (jobId: JobId) => keys.jobMaster(jobId),
      this.#writer,
      (record) => ({ ...record, ...writer(this.token) }),
    );
    this.#proofs = new ProofOfLife(this);
    this.taskExecutors = new TaskExecutorDesk(this, this.#taskExecutorRecords, this.driver, this.#proofs, {
      onRegistered: (resourceId, provider) => this.#workers?.registered(resourceId, provider),
      onGone: (resourceId) => this.#workers?.gone(resourceId),
    });
    this.jobMasters = new JobMasterDesk(this, this.#jobMasterRecords, this.driver, this.#proofs);
    this.#workers = this.#workerControl();
    this.requests = new TermRequests(this, this.driver, this.taskExecutors, this.jobMasters, (request) =>
      this.#afterTakeOver(request),
    );
  }

  #workerControl(): WorkerControl | null {
    const { workerProvider: provider, workerLimits: limits, mintWorkerName: mintName } = this.#options;
    const { resourceManagers } = this.#options;
    if (provider === null) return null;
    const { driver } = this;
    return new WorkerControl({
      context: this,
      provider,
      limits,
      keeper: this.#taskExecutorRecords,
      driver,
      mintName,
      resourceManagers,
    });
  }

  /** The worker provider says that a worker's process has ended. */
  workerEnded(resourceId: ResourceId, detail: string): void {
    this.#workers?.ended(resourceId, detail);
  }

  /** Reads what etcd holds of registrations, in pages, and starts to look for the silent. */
  start(): void {
    this.#takeOver().catch((error: unknown) =>
      this.post(() => {
        throw error;
      }),
    );
    this.#scheduleSweep();
  }

  mayServe(): boolean {
    return !this.#ended && !this.#fencing.suspended && this.leadership.mayServe();
  }

  post(event: () => void): void {
    this.#options.post(() => {
      if (!this.#ended) event();
    });
  }

  note(level: LogLevel, kind: ClusterEventKind, event: string, fields: ClusterEvent['fields'] = {}): void {
    this.#options.events.note(this.logger, level, kind, event, fields);
  }

  /** A worker has said to which cluster it belongs: one of another cluster obeys nobody here. */
  belongsTo(connection: WorkerConnection, clusterId: ClusterId): void {
    const own = this.leadership.clusterId;
    if (clusterId === own) return;
    this.#outOfUse(connection, 'receiver-of-another-cluster', { clusterId, own });
  }

  fencedBy(connection: WorkerConnection, token: FencingToken): void {
    this.#fencing.fencedBy(connection, token);
  }

  /** Whether no write and no call to a task executor is being waited for. */
  get idle(): boolean {
    return this.#writer.idle && this.driver.idle;
  }

  get hasTakenOver(): boolean {
    return this.#waitingForRecords === null;
  }

  /** Something came over this connection. */
  heard({ who }: WorkerConnection): void {
    if (who?.role === 'task-executor') this.taskExecutors.heard(who.resourceId, who.instanceId);
    if (who?.role === 'job-master') this.jobMasters.heard(who.jobId, who.jobMasterId);
  }

  /** The connection that counted for its process has ended. */
  connectionLost({ who }: WorkerConnection): void {
    if (who?.role === 'task-executor') this.taskExecutors.connectionLost(who.resourceId, who.instanceId);
  }

  /** Drops the books in this very turn. Whoever waits for an answer is told that the term has ended. */
  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#life.abort();
    this.#sweepTimer?.cancel();
    this.driver.end();
    this.#proofs.end();
    this.#writer.end();
    const waiting = this.#waitingForRecords ?? [];
    this.#waitingForRecords = null;
    for (const request of waiting) request();
    this.note('info', 'leadership', 'term-ended', { reason });
  }

  #afterTakeOver(request: () => void): boolean {
    if (this.#waitingForRecords === null) {
      request();
      return true;
    }
    if (this.#waitingForRecords.length >= MOST_WAITING_REGISTRATIONS) return false;
    this.#waitingForRecords.push(request);
    return true;
  }

  async #takeOver(): Promise<void> {
    const { store, clock, timing, keys } = this.#options;
    const startMs = clock.monotonicMs();
    const reading = storeContext(store, clock, timing, this.logger);
    const { registrations } = this.leadership;
    const read = (
      prefix: string,
      start: FolderStart | null,
      onKey: (name: string, keyValue: KeyValue) => void,
    ): Promise<boolean> =>
      readFolder({
        context: reading,
        prefix,
        signal: this.#life.signal,
        start,
        onPage: (keyValues) =>
          // Each an event of its own, so that a page is worked off in as many turns as it takes.
          this.post(() => {
            for (const keyValue of keyValues)
              this.post(() => onKey(keyValue.key.slice(prefix.length), keyValue));
          }),
      });
    const complete = await Promise.all([
      read(keys.taskExecutors, registrations?.taskExecutors ?? null, (name, keyValue) =>
        this.#expectTaskExecutor(name, keyValue),
      ),
      read(keys.jobMasters, registrations?.jobMasters ?? null, (name, keyValue) =>
        this.#expectJobMaster(name, keyValue),
      ),
    ]);
    if (!complete.every(Boolean)) return;
    // Behind the records, which are posted by an event that may still wait.
    this.post(() => this.post(() => this.#takenOver(clock.monotonicMs() - startMs)));
  }

  #expectTaskExecutor(name: string, keyValue: KeyValue): void {
    const resourceId = name as ResourceId;
    const record = this.#taskExecutorRecords.load(resourceId, keyValue);
    if (record === null) return this.#unreadable(keyValue.key);
    this.taskExecutors.expect(resourceId, record);
    if (!record.gone) this.#workers?.found(resourceId, record);
  }

  #expectJobMaster(name: string, keyValue: KeyValue): void {
    const jobId = name as JobId;
    const record = this.#jobMasterRecords.load(jobId, keyValue);
    if (record === null) return this.#unreadable(keyValue.key);
    this.jobMasters.expect(jobId, record, keyValue.modRevision);
  }

  #unreadable(key: string): void {
    this.note('error', 'failure', 'record-unreadable', { key });
  }

  #takenOver(tookMs: number): void {
    const waiting = this.#waitingForRecords ?? [];
    this.#waitingForRecords = null;
    const expected = { taskExecutors: this.taskExecutors.size, jobMasters: this.jobMasters.size };
    this.note('info', 'leadership', 'registrations-read', { ...expected, tookMs });
    // Whoever was ahead of an earlier term of this process, and is of this one, is told nothing, and so says nothing.
    for (const connection of this.connections.introduced())
      if (connection.ahead !== null && isAhead(connection, this.token))
        this.#markAhead(connection, connection.ahead);
    for (const request of waiting) this.post(request);
  }

  #scheduleSweep(): void {
    this.#sweepTimer = this.clock.schedule(this.#sweepEveryMs, () =>
      this.post(() => {
        this.#sweep();
        this.#scheduleSweep();
      }),
    );
  }

  /** Silence counts only while this process listened: what was sent while it was stopped has not been read yet. */
  #sweep(): void {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.#lastSweepMs > 2 * this.#sweepEveryMs) this.#listeningSinceMs = nowMs;
    this.#lastSweepMs = nowMs;
    if (!this.mayServe() || !this.hasTakenOver) return;
    const mayFail = this.driver.slotManager.recovery() === null;
    this.taskExecutors.sweep(mayFail, this.#listeningSinceMs, () => this.#leases());
    this.jobMasters.sweep(mayFail, this.#listeningSinceMs);
    this.#workers?.tick();
  }

  /** What the books and the job masters say of the leases of task executors that only the leader cannot reach. */
  #leases(): LeasesElsewhere {
    const held = new Set<ResourceId>();
    const possible = new Set<ResourceId>();
    for (const { resourceId, allocationId, jobId, jobMasterId } of this.driver.slotManager.slots()) {
      if (allocationId === null || jobId === null || jobMasterId === null) continue;
      if (this.jobMasters.saysItHolds(jobId, allocationId)) held.add(resourceId);
      if (!this.jobMasters.deniesHolding(jobId, jobMasterId, allocationId)) possible.add(resourceId);
    }
    return { held, possible };
  }

  #markAhead(connection: WorkerConnection, token: FencingToken): void {
    connection.ahead = token;
    const fields = { token: formatToken(token), obeys: token.leaderSessionId, own: formatToken(this.token) };
    this.#outOfUse(connection, 'receiver-ahead', fields);
  }

  /** An alarm, and slots that are given to nobody, as their task executor would not obey. */
  #outOfUse(connection: WorkerConnection, event: string, more: Readonly<Record<string, string>>): void {
    const { who } = connection;
    const fields = { by: connection.channel.peer, ...more };
    if (who?.role !== 'task-executor') return this.note('error', 'failure', event, fields);
    const { resourceId, instanceId } = who;
    this.note('error', 'failure', event, { ...fields, resourceId });
    // Another process of that name has nothing to do with it.
    if (this.taskExecutors.get(resourceId)?.instanceId !== instanceId) return;
    this.driver.handle({ type: 'taskExecutorAhead', resourceId });
  }
}
