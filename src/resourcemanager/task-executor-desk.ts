import type { InstanceId, ResourceId } from '../core/ids.ts';
import type { RequestBody } from '../core/messages/catalogue.ts';
import type { Problem } from '../core/problem.ts';
import { STORE_FULL } from '../ha/store-space.ts';
import type { Answer, SlotManagerDriver } from './slot-manager-driver.ts';
import type { ChangeOutcome, Decision, Held, RecordKeeper } from './record-keeper.ts';
import { OUT_OF_DATE, type ProofOfLife } from './proof-of-life.ts';
import { OwedRemovals } from './owed-removals.ts';
import { alsoSuperseded, writer, type TaskExecutorRecord } from './records.ts';
import { SUSPENDED, TERM_OVER, type TermContext } from './term-context.ts';

type Registration = RequestBody<'registerTaskExecutor'>;

/** One task executor as the leader's endpoint knows it; its slots are the slot manager's. */
export interface TaskExecutorEntry {
  readonly resourceId: ResourceId;
  readonly instanceId: InstanceId;
  readonly address: string | null;
  readonly provider: string | null;
  state: 'expected' | 'registered' | 'unreachable';
  /** When it last said anything; for one that is expected, the end of the grace. */
  lastHeardMs: number;
}

/** Who wants to know of task executors that come and go. */
export interface TaskExecutorDeskListener {
  onRegistered(resourceId: ResourceId, provider: string | null): void;
  onGone(resourceId: ResourceId): void;
}

/** What is known of the leases at task executors that this leader does not hear. */
export interface LeasesElsewhere {
  /** Their job masters say that they hold slots there. */
  readonly held: ReadonlySet<ResourceId>;
  /** The books hold leases there, and nobody has said that they are over. */
  readonly possible: ReadonlySet<ResourceId>;
}

/** How one is taken out of the books. */
interface Removal {
  /** Asked when earlier changes of the record are done. */
  readonly isMeant: () => boolean;
  readonly reason: string;
  /** Then the record stays, marked as gone. */
  readonly leasesMayRun: boolean;
  /** Whether it is tried again by itself where the store has no space. */
  readonly again: boolean;
}

/** Most records that are kept of task executors that count no more. */
const MOST_GONE = 1_000;

const NOBODY: Answer<unknown> = { respond: () => {}, fail: () => {} };

/** Registers task executors with one term's leader, hears their heartbeats, and finds out who is gone. */
export class TaskExecutorDesk {
  readonly #context: TermContext;
  readonly #keeper: RecordKeeper<ResourceId, TaskExecutorRecord>;
  readonly #driver: SlotManagerDriver;
  readonly #proofs: ProofOfLife;
  readonly #listener: TaskExecutorDeskListener;
  /** Instances whose record is being written. */
  readonly #registering = new Set<InstanceId>();
  readonly #entries = new Map<ResourceId, TaskExecutorEntry>();
  readonly #leaving = new Set<ResourceId>();
  /** Gone, with records that etcd had no space to remove: deletions are fenced by a put. */
  readonly #owed = new OwedRemovals<ResourceId, TaskExecutorRecord>();

  constructor(
    context: TermContext,
    keeper: RecordKeeper<ResourceId, TaskExecutorRecord>,
    driver: SlotManagerDriver,
    proofs: ProofOfLife,
    listener: TaskExecutorDeskListener,
  ) {
    this.#context = context;
    this.#keeper = keeper;
    this.#driver = driver;
    this.#proofs = proofs;
    this.#listener = listener;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(resourceId: ResourceId): TaskExecutorEntry | null {
    return this.#entries.get(resourceId) ?? null;
  }

  /** Known from etcd at take-over. A worker that was only recorded is the pool's to wait for. */
  expect(resourceId: ResourceId, record: TaskExecutorRecord): void {
    const { instanceId, address, provider, slots, gone } = record;
    if (instanceId === null || gone) return;
    const { clock, timing } = this.#context;
    const lastHeardMs = clock.monotonicMs() + timing.graceMs;
    this.#entries.set(resourceId, {
      resourceId,
      instanceId,
      address,
      provider,
      state: 'expected',
      lastHeardMs,
    });
    this.#driver.handle({ type: 'taskExecutorExpected', resourceId, instanceId, slots });
  }

  /** Answers only when the record is known to stand in etcd. */
  register(body: Registration, answer: Answer<{ knownBefore: boolean }>): void {
    if (!body.report.full) {
      const detail = 'A registration needs a full report.';
      return answer.fail({ code: 'INVALID', detail, fields: [{ field: 'report.full', detail }] });
    }
    const { resourceId, instanceId } = body;
    this.#registering.add(instanceId);
    const known = this.#keeper.get(resourceId).record?.instanceId ?? null;
    if (!this.#mayReplace(body)) return this.#write(body, known, answer);
    this.#proofs.ask(
      this.#context.connections.taskExecutor(resourceId, instanceId),
      () => this.#write(body, known, answer),
      (problem) => {
        this.#registering.delete(instanceId);
        answer.fail(problem);
      },
    );
  }

  /** Whether it would come in the place of another process. */
  #mayReplace({ resourceId, instanceId }: Registration): boolean {
    const known = this.#keeper.get(resourceId).record?.instanceId ?? null;
    if (known === instanceId) return false;
    return known !== null || this.#keeper.isChanging(resourceId);
  }

  /** In the place of nobody but the instance that was known when it was asked for a proof. */
  #write(body: Registration, known: InstanceId | null, answer: Answer<{ knownBefore: boolean }>): void {
    this.#keeper.change(
      body.resourceId,
      (held) => this.#decide(held, body, known),
      (outcome) => {
        this.#registering.delete(body.instanceId);
        if (outcome.kind === 'refused' && outcome.problem === OUT_OF_DATE) return this.register(body, answer);
        this.#recorded(body, outcome, answer);
      },
    );
  }

  #decide(
    held: Held<TaskExecutorRecord>,
    body: Registration,
    known: InstanceId | null,
  ): Decision<TaskExecutorRecord> {
    const { record } = held;
    const { resourceId, instanceId, address, provider } = body;
    const slots = body.report.slots.length;
    if (record?.superseded.includes(instanceId)) {
      return { kind: 'refuse', problem: supersededProblem(resourceId) };
    }
    const former = record === null || record.instanceId === instanceId ? null : record.instanceId;
    if (former !== null && former !== known) return { kind: 'refuse', problem: OUT_OF_DATE };
    if (record !== null && record.instanceId === instanceId) {
      const same = record.address === address && record.provider === provider && record.slots === slots;
      if (same && !record.gone) return { kind: 'keep' };
    }
    const unreadable = record === null && held.modRevision !== 0n;
    const superseded = record?.superseded ?? [];
    // Generations are declared because etcd has lost what it held: nothing is known of one that it does not name.
    const lost = record === null && this.#context.token.generation > 1;
    return {
      kind: 'put',
      record: {
        instanceId,
        address,
        slots,
        provider,
        knownBefore: former !== null || unreadable || lost || (record?.knownBefore ?? false),
        gone: false,
        superseded: former === null ? superseded : alsoSuperseded(superseded, former),
        ...writer(this.#context.token),
      },
    };
  }

  #recorded(
    body: Registration,
    outcome: ChangeOutcome<TaskExecutorRecord>,
    answer: Answer<{ knownBefore: boolean }>,
  ): void {
    const { resourceId, instanceId, address, provider, report } = body;
    const names = { resourceId, instanceId };
    if (outcome.kind === 'over') return answer.fail(TERM_OVER);
    if (outcome.kind === 'full') return answer.fail(STORE_FULL);
    if (outcome.kind === 'refused') {
      this.#context.note('error', 'failure', 'task-executor-id-used-twice', names);
      return answer.fail(outcome.problem);
    }
    if (!this.#context.mayServe()) return answer.fail(SUSPENDED);
    this.#owed.cancel(resourceId);
    this.#replace(body);
    const { clock, connections } = this.#context;
    const connection = connections.taskExecutor(resourceId, instanceId);
    if (connection !== null) connection.ahead = null;
    const lastHeardMs = clock.monotonicMs();
    const entry: TaskExecutorEntry = {
      resourceId,
      instanceId,
      address,
      provider,
      state: 'registered',
      lastHeardMs,
    };
    this.#entries.set(resourceId, entry);
    // First the acknowledgement: until it has come, the task executor obeys nobody.
    answer.respond({ knownBefore: outcome.now.record?.knownBefore ?? true });
    const fields = { ...names, address, provider, slots: report.slots.length, written: outcome.written };
    this.#context.note('info', 'registration', 'task-executor-registered', fields);
    this.#driver.handle({ type: 'taskExecutorRegistered', ...names, address, provider, report });
    this.#listener.onRegistered(resourceId, provider);
    if (connections.taskExecutor(resourceId, instanceId) === null)
      this.connectionLost(resourceId, instanceId);
  }

  /** Another instance under the same id: the newer one is kept, the older one is told if it can be. */
  #replace({ resourceId, instanceId }: Registration): void {
    const before = this.#entries.get(resourceId);
    if (before === undefined || before.instanceId === instanceId) return;
    const older = this.#context.connections.taskExecutor(resourceId, before.instanceId);
    const fields = { resourceId, instanceId, replaced: before.instanceId, stillConnected: older !== null };
    this.#context.note(older === null ? 'info' : 'error', 'registration', 'task-executor-replaced', fields);
    older?.channel.notify('problem', supersededProblem(resourceId));
  }

  /** Whether its record is being written: what it reports meanwhile is the slot manager's to remember. */
  isRegistering(instanceId: InstanceId): boolean {
    return this.#registering.has(instanceId);
  }

  /** The problem of a message in the name of an instance that is not registered with this leader; else null. */
  problemOf(resourceId: ResourceId, instanceId: InstanceId): Problem | null {
    const entry = this.#entries.get(resourceId);
    if (entry?.instanceId === instanceId && entry.state === 'registered') return null;
    if (this.#keeper.get(resourceId).record?.superseded.includes(instanceId)) {
      return supersededProblem(resourceId);
    }
    return {
      code: 'UNKNOWN_TASK_EXECUTOR',
      detail: `This instance of ${resourceId} is not registered with this leader.`,
    };
  }

  /** Any word of it, on its connection. */
  heard(resourceId: ResourceId, instanceId: InstanceId): void {
    const entry = this.#entries.get(resourceId);
    if (entry?.instanceId !== instanceId || entry.state !== 'registered') return;
    entry.lastHeardMs = this.#context.clock.monotonicMs();
  }

  connectionLost(resourceId: ResourceId, instanceId: InstanceId): void {
    const entry = this.#entries.get(resourceId);
    if (entry?.instanceId !== instanceId || entry.state !== 'registered') return;
    entry.state = 'unreachable';
    this.#context.note('warn', 'failure', 'task-executor-unreachable', { resourceId, instanceId });
    this.#driver.handle({ type: 'taskExecutorUnreachable', resourceId, instanceId });
  }

  /** Its goodbye: the record goes first, then the slots. */
  disconnect(body: RequestBody<'disconnectTaskExecutor'>, answer: Answer<Record<string, never>>): void {
    const { resourceId, instanceId, reason } = body;
    const isMeant = (): boolean => this.#keeper.get(resourceId).record?.instanceId === instanceId;
    const how = { isMeant, reason: `goodbye: ${reason}`, leasesMayRun: false, again: false };
    this.#remove(resourceId, how, answer);
  }

  /**
   * Removes it by an operator's order, whichever instance it is. Its jobs may go on to renew where only we are cut
   * off, and until it is out of the books its slots are given away: nobody can say that no lease of it will run.
   */
  forget(resourceId: ResourceId, answer: Answer<Record<string, never>>): void {
    const reason = 'forgotten by an operator';
    this.#remove(resourceId, { isMeant: () => true, reason, leasesMayRun: true, again: false }, answer);
  }

  /** Whether there is anything to forget. */
  knows(resourceId: ResourceId): boolean {
    const { record, modRevision } = this.#keeper.get(resourceId);
    return this.#entries.has(resourceId) || (modRevision !== 0n && record?.gone !== true);
  }

  /** Deletes the record, or marks it as gone when leases may still run, then forgets the slots. */
  #remove(
    resourceId: ResourceId,
    { isMeant, reason, leasesMayRun, again }: Removal,
    answer: Answer<Record<string, never>>,
  ): void {
    let meant = false;
    const decide = ({ record }: Held<TaskExecutorRecord>): Decision<TaskExecutorRecord> => {
      if (!leasesMayRun || record === null || record.instanceId === null) return { kind: 'delete' };
      return { kind: 'put', record: { ...record, gone: true, ...writer(this.#context.token) } };
    };
    this.#leaving.add(resourceId);
    this.#keeper.change(
      resourceId,
      (held) => {
        meant = isMeant();
        return meant ? decide(held) : { kind: 'keep' };
      },
      (outcome) => {
        this.#leaving.delete(resourceId);
        if (outcome.kind === 'over') return answer.fail(TERM_OVER);
        // The silent are tried again at the next sweep; who has said goodbye is gone, record or not.
        if (outcome.kind === 'full' && again) return;
        if (outcome.kind === 'full')
          this.#owed.add(resourceId, this.#keeper.get(resourceId).modRevision, decide);
        if (meant && this.#entries.has(resourceId)) this.#gone(resourceId, reason);
        answer.respond({});
      },
    );
  }

  #gone(resourceId: ResourceId, reason: string): void {
    this.#entries.delete(resourceId);
    this.#context.note('info', 'registration', 'task-executor-gone', { resourceId, reason });
    this.#driver.handle({ type: 'taskExecutorGone', resourceId, reason });
    this.#listener.onGone(resourceId);
  }

  /**
   * Finds the silent ones. `mayFail` is false while the books are not complete after a take-over: then nobody
   * is declared failed, nor is anybody whose slots job masters still report as held.
   */
  sweep(mayFail: boolean, listeningSinceMs: number, leasesElsewhere: () => LeasesElsewhere): void {
    this.#owed.pay(this.#keeper);
    const { clock, timing, connections } = this.#context;
    const nowMs = clock.monotonicMs();
    let leases: LeasesElsewhere | null = null;
    for (const entry of this.#entries.values()) {
      const { resourceId, instanceId, lastHeardMs } = entry;
      const silentMs = nowMs - Math.max(lastHeardMs, listeningSinceMs);
      if (silentMs < timing.heartbeatTimeoutMs) continue;
      if (entry.state === 'registered') {
        this.connectionLost(resourceId, instanceId);
        connections
          .taskExecutor(resourceId, instanceId)
          ?.channel.close({ code: 'NO_ANSWER', detail: `Nothing was heard for ${Math.round(silentMs)} ms.` });
      }
      if (silentMs < timing.heartbeatTimeoutMs + timing.slotLeaseMs) continue;
      if (!mayFail || this.#leaving.has(resourceId)) continue;
      leases ??= leasesElsewhere();
      if (leases.held.has(resourceId)) continue;
      // One that has not spoken in this term may have leases that are not in its books.
      const mayRun = entry.state === 'expected' || leases.possible.has(resourceId);
      const isStillSilent = (): boolean =>
        this.#entries.get(resourceId) === entry && entry.lastHeardMs === lastHeardMs;
      const how = {
        isMeant: isStillSilent,
        reason: 'silent for too long',
        leasesMayRun: mayRun,
        again: true,
      };
      this.#remove(resourceId, how, NOBODY);
    }
    if (leases !== null) this.#forgetOldest();
  }

  /** A bound on the records of those that count no more. */
  #forgetOldest(): void {
    const gone = [...this.#keeper.entries()].filter(([, { record }]) => record?.gone === true);
    if (gone.length <= MOST_GONE) return;
    const oldestFirst = gone.toSorted(([, a], [, b]) => (a.modRevision < b.modRevision ? -1 : 1));
    for (const [resourceId] of oldestFirst.slice(0, gone.length - MOST_GONE)) {
      const decide = ({ record }: Held<TaskExecutorRecord>): Decision<TaskExecutorRecord> =>
        record?.gone === true ? { kind: 'delete' } : { kind: 'keep' };
      this.#keeper.change(resourceId, decide, () => {});
    }
  }
}

function supersededProblem(resourceId: ResourceId): Problem {
  return { code: 'SUPERSEDED', detail: `A newer process has registered as task executor ${resourceId}.` };
}
