import type { AllocationId, JobId, JobMasterId } from '../core/ids.ts';
import { compareOrders } from '../core/taskexecutor/job-orders.ts';
import type { RequestBody } from '../core/messages/catalogue.ts';
import type { RegistrationOrder } from '../core/messages/primitives.ts';
import type { Problem } from '../core/problem.ts';
import { STORE_FULL } from '../ha/store-space.ts';
import type { Answer, SlotManagerDriver } from './slot-manager-driver.ts';
import type { ChangeOutcome, Decision, Held, RecordKeeper } from './record-keeper.ts';
import { OUT_OF_DATE, type ProofOfLife } from './proof-of-life.ts';
import { OwedRemovals } from './owed-removals.ts';
import { alsoSuperseded, writer, type JobMasterRecord } from './records.ts';
import { SUSPENDED, TERM_OVER, type TermContext } from './term-context.ts';

type Registration = RequestBody<'registerJobMaster'>;

/** One job master as the leader's endpoint knows it. */
export interface JobMasterEntry {
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
  /** Orders it against other processes of its job; from the record in etcd. */
  readonly order: RegistrationOrder;
  state: 'expected' | 'registered';
  /** When it last said anything; for one that is expected, the end of the grace. */
  lastHeardMs: number;
  /** Allocations that it named as in its hand at its last heartbeat. */
  held: ReadonlySet<AllocationId>;
  /** When that was, in this registration; -Infinity before the first one. */
  heldSaidMs: number;
}

const NOBODY: Answer<unknown> = { respond: () => {}, fail: () => {} };
const NOTHING_HELD: ReadonlySet<AllocationId> = new Set();

/** Registers job masters with one term's leader, one process for each job, and finds out who is gone. */
export class JobMasterDesk {
  readonly #context: TermContext;
  readonly #keeper: RecordKeeper<JobId, JobMasterRecord>;
  readonly #driver: SlotManagerDriver;
  readonly #proofs: ProofOfLife;
  readonly #entries = new Map<JobId, JobMasterEntry>();
  readonly #leaving = new Set<JobId>();
  /** Gone, with records that etcd had no space to remove: deletions are fenced by a put. */
  readonly #owed = new OwedRemovals<JobId, JobMasterRecord>();

  constructor(
    context: TermContext,
    keeper: RecordKeeper<JobId, JobMasterRecord>,
    driver: SlotManagerDriver,
    proofs: ProofOfLife,
  ) {
    this.#context = context;
    this.#keeper = keeper;
    this.#driver = driver;
    this.#proofs = proofs;
  }

  get(jobId: JobId): JobMasterEntry | null {
    return this.#entries.get(jobId) ?? null;
  }

  entries(): Iterable<JobMasterEntry> {
    return this.#entries.values();
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Known from etcd at take-over. */
  expect(jobId: JobId, record: JobMasterRecord, modRevision: bigint): void {
    const { clock, timing } = this.#context;
    this.#entries.set(jobId, {
      jobId,
      jobMasterId: record.jobMasterId,
      order: { generation: record.generation, revision: modRevision },
      state: 'expected',
      lastHeardMs: clock.monotonicMs() + timing.graceMs,
      held: NOTHING_HELD,
      heldSaidMs: -Infinity,
    });
  }

  /** Answers only when the record is known to stand in etcd; its revision is the order. */
  register(body: Registration, answer: Answer<{ order: RegistrationOrder }>): void {
    const { jobId, jobMasterId } = body;
    const known = this.#keeper.get(jobId).record?.jobMasterId ?? null;
    if (!this.#mayReplace(body)) return this.#write(body, known, answer);
    this.#proofs.ask(
      this.#context.connections.jobMaster(jobId, jobMasterId),
      () => this.#write(body, known, answer),
      (problem) => answer.fail(problem),
    );
  }

  /** Whether it would come in the place of another process. */
  #mayReplace({ jobId, jobMasterId }: Registration): boolean {
    const known = this.#keeper.get(jobId).record?.jobMasterId ?? null;
    if (known === jobMasterId) return false;
    return known !== null || this.#keeper.isChanging(jobId);
  }

  /** In the place of nobody but the process that was known when it was asked for a proof. */
  #write(body: Registration, known: JobMasterId | null, answer: Answer<{ order: RegistrationOrder }>): void {
    this.#keeper.change(
      body.jobId,
      (held) => this.#decide(held, body, known),
      (outcome) => {
        if (outcome.kind === 'refused' && outcome.problem === OUT_OF_DATE) return this.register(body, answer);
        this.#recorded(body, outcome, answer);
      },
    );
  }

  #decide(
    { record, modRevision }: Held<JobMasterRecord>,
    body: Registration,
    known: JobMasterId | null,
  ): Decision<JobMasterRecord> {
    const { jobId, jobMasterId, order } = body;
    const { generation } = this.#context.token;
    // Its revision orders nothing across a wipe of etcd: task executors may know a higher one of that generation.
    const isOld = record !== null && record.generation < generation;
    if (record?.jobMasterId === jobMasterId) {
      if (!isOld) return { kind: 'keep' };
      return { kind: 'put', record: { ...record, ...writer(this.#context.token) } };
    }
    // Its own record may have been removed, and what that knew of it, before the other came.
    const cameLater =
      record !== null &&
      order !== null &&
      order !== undefined &&
      compareOrders(order, { generation: record.generation, revision: modRevision }) < 0;
    if (cameLater || record?.superseded.includes(jobMasterId) === true) {
      return { kind: 'refuse', problem: supersededProblem(jobId) };
    }
    if (record !== null && record.jobMasterId !== known) return { kind: 'refuse', problem: OUT_OF_DATE };
    const superseded = record === null ? [] : alsoSuperseded(record.superseded, record.jobMasterId);
    return { kind: 'put', record: { jobMasterId, superseded, ...writer(this.#context.token) } };
  }

  #recorded(
    { jobId, jobMasterId }: Registration,
    outcome: ChangeOutcome<JobMasterRecord>,
    answer: Answer<{ order: RegistrationOrder }>,
  ): void {
    if (outcome.kind === 'over') return answer.fail(TERM_OVER);
    if (outcome.kind === 'full') return answer.fail(STORE_FULL);
    if (outcome.kind === 'refused') {
      this.#context.note('warn', 'failure', 'job-master-superseded', { jobId, jobMasterId });
      return answer.fail(outcome.problem);
    }
    if (!this.#context.mayServe()) return answer.fail(SUSPENDED);
    this.#owed.cancel(jobId);
    const generation = outcome.now.record?.generation ?? this.#context.token.generation;
    const order = { generation, revision: outcome.now.modRevision };
    const connection = this.#context.connections.jobMaster(jobId, jobMasterId);
    if (connection !== null) connection.ahead = null;
    const before = this.#entries.get(jobId);
    this.#entries.set(jobId, {
      jobId,
      jobMasterId,
      order,
      state: 'registered',
      lastHeardMs: this.#context.clock.monotonicMs(),
      held: before?.jobMasterId === jobMasterId ? before.held : NOTHING_HELD,
      heldSaidMs: -Infinity,
    });
    if (before !== undefined && before.jobMasterId !== jobMasterId) this.#replaced(before, jobMasterId);
    answer.respond({ order });
    const fields = { jobId, jobMasterId, order: order.revision, written: outcome.written };
    this.#context.note('info', 'registration', 'job-master-registered', fields);
  }

  #replaced({ jobId, jobMasterId }: JobMasterEntry, by: JobMasterId): void {
    const fields = { jobId, jobMasterId: by, replaced: jobMasterId };
    this.#context.note('warn', 'registration', 'job-master-replaced', fields);
    const older = this.#context.connections.jobMaster(jobId, jobMasterId);
    older?.channel.notify('problem', supersededProblem(jobId));
    this.#driver.handle({ type: 'jobMasterGone', jobId, jobMasterId, reason: 'superseded' });
  }

  /** The problem of a message in the name of a process that is not registered with this leader; else null. */
  problemOf(jobId: JobId, jobMasterId: JobMasterId): Problem | null {
    const entry = this.#entries.get(jobId);
    if (entry?.jobMasterId === jobMasterId && entry.state === 'registered') return null;
    if (this.#keeper.get(jobId).record?.superseded.includes(jobMasterId)) return supersededProblem(jobId);
    return {
      code: 'UNKNOWN_JOB_MASTER',
      detail: `This process of job ${jobId} is not registered with this leader.`,
    };
  }

  /** Any word of it, on its connection. */
  heard(jobId: JobId, jobMasterId: JobMasterId): void {
    const entry = this.#entries.get(jobId);
    if (entry?.jobMasterId !== jobMasterId || entry.state !== 'registered') return;
    entry.lastHeardMs = this.#context.clock.monotonicMs();
  }

  /** What it named as in its hand at its heartbeat. */
  holds(jobId: JobId, held: readonly AllocationId[]): void {
    const entry = this.#entries.get(jobId);
    if (entry === undefined) return;
    entry.held = new Set(held);
    entry.heldSaidMs = this.#context.clock.monotonicMs();
  }

  /** Whether a process that is heard of says that the allocation is in its hand. */
  saysItHolds(jobId: JobId, allocationId: AllocationId): boolean {
    const entry = this.#entries.get(jobId);
    if (entry?.state !== 'registered' || !entry.held.has(allocationId)) return false;
    return this.#context.clock.monotonicMs() - entry.lastHeardMs < this.#context.timing.heartbeatTimeoutMs;
  }

  /** Whether that very process says that the allocation is not in its hand, and has said so of late. */
  deniesHolding(jobId: JobId, jobMasterId: JobMasterId, allocationId: AllocationId): boolean {
    const entry = this.#entries.get(jobId);
    if (entry?.jobMasterId !== jobMasterId || entry.state !== 'registered') return false;
    const { clock, timing } = this.#context;
    if (clock.monotonicMs() - entry.heldSaidMs >= timing.heartbeatTimeoutMs) return false;
    return !entry.held.has(allocationId);
  }

  /** Its goodbye: the record goes first, then its waiting requests. */
  disconnect(body: RequestBody<'disconnectJobMaster'>, answer: Answer<Record<string, never>>): void {
    const { jobId, jobMasterId, reason } = body;
    const isMeant = (): boolean => this.#keeper.get(jobId).record?.jobMasterId === jobMasterId;
    this.#remove(jobId, isMeant, `goodbye: ${reason}`, answer);
  }

  /** Removes it by an operator's order, whichever process it is. */
  forget(jobId: JobId, answer: Answer<Record<string, never>>): void {
    this.#remove(jobId, () => true, 'forgotten by an operator', answer);
  }

  /** Whether there is anything to forget. */
  knows(jobId: JobId): boolean {
    return this.#entries.has(jobId) || this.#keeper.get(jobId).modRevision !== 0n;
  }

  /** Deletes the record, then ends its requests. `isMeant` is asked when earlier changes of the record are done. */
  #remove(
    jobId: JobId,
    isMeant: () => boolean,
    reason: string,
    answer: Answer<Record<string, never>>,
    silent = false,
  ): void {
    let meant = false;
    this.#leaving.add(jobId);
    this.#keeper.change(
      jobId,
      () => {
        meant = isMeant();
        return meant ? { kind: 'delete' } : { kind: 'keep' };
      },
      (outcome) => {
        this.#leaving.delete(jobId);
        if (outcome.kind === 'over') return answer.fail(TERM_OVER);
        // The silent are tried again at the next sweep; who has said goodbye is gone, record or not.
        if (outcome.kind === 'full' && silent) return;
        if (outcome.kind === 'full') this.#owed.add(jobId, this.#keeper.get(jobId).modRevision);
        const entry = this.#entries.get(jobId);
        if (meant && entry !== undefined) this.#gone(entry, reason);
        answer.respond({});
      },
    );
  }

  #gone({ jobId, jobMasterId }: JobMasterEntry, reason: string): void {
    this.#entries.delete(jobId);
    this.#context.note('info', 'registration', 'job-master-gone', { jobId, jobMasterId, reason });
    this.#driver.handle({ type: 'jobMasterGone', jobId, jobMasterId, reason });
  }

  /** Finds those that have been silent for longer than their leases; nobody while `mayFail` is false. */
  sweep(mayFail: boolean, listeningSinceMs: number): void {
    this.#owed.pay(this.#keeper);
    if (!mayFail) return;
    const { clock, timing } = this.#context;
    const nowMs = clock.monotonicMs();
    for (const entry of this.#entries.values()) {
      const { jobId, lastHeardMs } = entry;
      if (nowMs - Math.max(lastHeardMs, listeningSinceMs) < timing.heartbeatTimeoutMs + timing.slotLeaseMs)
        continue;
      if (this.#leaving.has(jobId)) continue;
      const isStillSilent = (): boolean =>
        this.#entries.get(jobId) === entry && entry.lastHeardMs === lastHeardMs;
      this.#remove(jobId, isStillSilent, 'silent for longer than its leases last', NOBODY, true);
    }
  }
}

function supersededProblem(jobId: JobId): Problem {
  return { code: 'SUPERSEDED', detail: `A newer process has registered as job master of ${jobId}.` };
}
