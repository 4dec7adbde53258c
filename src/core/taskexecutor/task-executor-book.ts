import type { FencingToken } from '../fencing-token.ts';
import type { ClusterId, InstanceId } from '../ids.ts';
import type { RequestBody } from '../messages/catalogue.ts';
import type { SlotCommand, SlotCommandResult, SlotReport, SlotStatus } from '../messages/slots.ts';
import type { Problem } from '../problem.ts';
import { FencingGate } from './fencing-gate.ts';
import { JobOrders } from './job-orders.ts';
import type { SlotLease } from './slot-lease.ts';
import { SlotTable, type EndedLease } from './slot-table.ts';
import type { TaskExecutorBookOptions } from './task-executor-book-options.ts';
import type {
  JournalEntry,
  PersistedPart,
  TaskExecutorEffect,
  TaskExecutorEvent,
} from './task-executor-events.ts';
import type { TaskExecutorState } from './task-executor-state.ts';

/**
 * Everything that a task executor decides: which leader it obeys, which commands it executes, what its slots
 * hold, what it reports. Pure and synchronous; `nowMs` is monotonic. Each call first ends what has run out,
 * so that a process that was paused judges nothing by a lease that ended during the pause.
 */
export class TaskExecutorBook {
  readonly #options: TaskExecutorBookOptions;
  readonly #table: SlotTable;
  readonly #orders: JobOrders;
  readonly #gate: FencingGate;
  #drainOrdered: boolean;
  #settled: boolean;
  /** Whether a registration's answer has said what a former process may have left behind. */
  #judged = false;
  #closing = false;
  /**
   * The registration sent last, while its connection stands. Once acknowledged, the leader has a full report,
   * to which deltas can be added.
   */
  #registration: { readonly linkKey: number; readonly token: FencingToken; acknowledged: boolean } | null =
    null;
  #reportNumber = 0;
  #reportDue = false;
  #fullReportDue = false;
  #nowMs: number;
  #persistDue: PersistedPart | null = null;
  #effects: TaskExecutorEffect[] = [];

  constructor(options: TaskExecutorBookOptions) {
    const { state, startMs } = options;
    this.#options = options;
    this.#nowMs = startMs;
    this.#table = new SlotTable(options.slots, state?.slots ?? [], options, startMs);
    this.#orders = new JobOrders(state?.jobOrders ?? []);
    this.#gate = new FencingGate(
      options.instanceId,
      state ?? { clusterId: null, highestToken: null, lastSeen: null },
    );
    this.#drainOrdered = state?.drainOrdered ?? false;
    this.#settled = state?.settled === true || options.slotsDieWithProcess;
    if (!this.#settled) this.#table.quarantine(Infinity);
  }

  get clusterId(): ClusterId | null {
    return this.#gate.clusterId;
  }

  /** The highest token accepted; it never falls, over restarts either. */
  get highestToken(): FencingToken | null {
    return this.#gate.highestToken;
  }

  get draining(): boolean {
    return this.#closing || this.#drainOrdered;
  }

  /** Whether it will never take a lease again. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Every lease that runs, claimed or not. */
  leases(): SlotLease[] {
    return this.#table.leases();
  }

  /** Every slot, as the next full report would name it. */
  slots(): SlotStatus[] {
    return this.#table.statuses();
  }

  /** Whether a lease of a former process that is not known may still run in a slot. */
  get quarantined(): boolean {
    return this.#table.quarantined;
  }

  /** When the next `tick` is due; `Infinity` when nothing waits for time. */
  nextDueMs(): number {
    return this.#table.nextDueMs();
  }

  /** What the state file must hold before anything that is told to others from now on. */
  state(): TaskExecutorState {
    const { cluster, resourceId } = this.#options;
    return {
      cluster,
      resourceId,
      clusterId: this.#gate.clusterId,
      highestToken: this.#gate.highestToken,
      lastSeen: this.#gate.lastSeen,
      settled: this.#settled,
      drainOrdered: this.#drainOrdered,
      slots: this.#table.remember(),
      jobOrders: this.#orders.known(),
    };
  }

  /** To be called once, first, when the state is written: tells of the leases that were read. */
  start(): TaskExecutorEffect[] {
    for (const lease of this.#table.leases()) {
      this.#journal({ event: 'restore', lease });
      if (lease.claimed) this.#effects.push({ type: 'leaseClaimed', lease, restored: true });
    }
    return this.#finish();
  }

  /** Takes one event and returns what is to be done, in order. */
  handle(event: TaskExecutorEvent, nowMs: number): TaskExecutorEffect[] {
    this.#nowMs = nowMs;
    this.#expire();
    switch (event.type) {
      case 'leaderAnnounced':
        this.#announced(event);
        break;
      case 'registrationDue':
        this.#register(event.linkKey, event.token);
        break;
      case 'registrationAcknowledged':
        this.#acknowledged(event);
        break;
      case 'linkLost':
        if (this.#registration?.linkKey === event.linkKey) this.#registration = null;
        break;
      case 'reportRequested':
        this.#reportRequested(event.token, event.instanceId);
        break;
      case 'commandsReceived':
        this.#commands(event.answerKey, event.body);
        break;
      case 'slotClaimed':
        this.#claim(event.answerKey, event.body);
        break;
      case 'leasesRenewed':
        this.#renew(event.answerKey, event.body);
        break;
      case 'leasesReleased':
        this.#release(event.answerKey, event.body);
        break;
      case 'closing':
        this.#reportDue ||= !this.draining;
        this.#closing = true;
        break;
      case 'tick':
        break;
    }
    return this.#finish();
  }

  #expire(): void {
    const { ended, settled } = this.#table.expire(this.#nowMs);
    for (const end of ended) this.#ended(end);
    if (settled) {
      this.#settled = true;
      this.#changed('state');
    }
  }

  #ended({ lease, reason }: EndedLease): void {
    this.#changed('state');
    this.#journal({ event: 'end', lease, reason });
    if (lease.claimed) this.#effects.push({ type: 'leaseEnded', lease, reason });
  }

  #changed(what: PersistedPart): void {
    if (this.#persistDue !== 'state') this.#persistDue = what;
  }

  /** Puts the write first and the report last: both speak of the state that the whole event has left. */
  #finish(): TaskExecutorEffect[] {
    const effects: TaskExecutorEffect[] =
      this.#persistDue === null ? [] : [{ type: 'persist', what: this.#persistDue }];
    effects.push(...this.#effects);
    const due = this.#reportDue || this.#fullReportDue || this.#table.hasChanges;
    if (due && this.#registration?.acknowledged === true) {
      const { linkKey, token } = this.#registration;
      effects.push({ type: 'reportSlots', linkKey, token, report: this.#report(this.#fullReportDue) });
    }
    this.#persistDue = null;
    this.#effects = [];
    return effects;
  }

  #report(full: boolean): SlotReport {
    const changes = this.#table.takeChanges();
    this.#reportDue = false;
    this.#fullReportDue = false;
    this.#reportNumber += 1;
    return {
      reportNumber: this.#reportNumber,
      full: full || changes === null,
      lastSeen: this.#gate.lastSeen,
      draining: this.draining,
      slots: full || changes === null ? this.#table.statuses() : changes,
    };
  }

  #announced(event: Extract<TaskExecutorEvent, { type: 'leaderAnnounced' }>): void {
    const { token, clusterId, linkKey, byItself } = event;
    const verdict = this.#gate.offer(token, clusterId);
    if (verdict.kind === 'wrongCluster') {
      const { known, offered } = verdict;
      this.#effects.push({ type: 'refuseCluster', linkKey, known, offered });
      return;
    }
    if (verdict.kind === 'fenced') {
      if (byItself) this.#effects.push({ type: 'tellFenced', linkKey, token: verdict.highest });
      return;
    }
    if (verdict.kind === 'adopted') {
      this.#changed(verdict.clusterLearned ? 'state' : 'token');
      this.#registration = null;
      this.#journal({ event: 'token-adopted', token });
    }
    if (verdict.kind === 'known' && verdict.clusterLearned) this.#changed('state');
    if (!byItself) return;
    const underWay = this.#registration?.linkKey === linkKey && verdict.kind === 'known';
    if (!underWay) this.#register(linkKey, token);
  }

  #register(linkKey: number, token: FencingToken): void {
    if (!this.#gate.isHighest(token)) return;
    this.#registration = { linkKey, token, acknowledged: false };
    this.#effects.push({ type: 'register', linkKey, token, report: this.#report(true) });
  }

  #acknowledged(event: Extract<TaskExecutorEvent, { type: 'registrationAcknowledged' }>): void {
    const { linkKey, token, knownBefore } = event;
    this.#settleBy(knownBefore);
    if (!this.#gate.acknowledge(token)) return;
    if (this.#registration?.linkKey === linkKey) this.#registration.acknowledged = true;
  }

  /** Without a state file the answer to the registration says whether there was a former process. */
  #settleBy(knownBefore: boolean): void {
    if (this.#settled || this.#judged) return;
    this.#judged = true;
    this.#changed('state');
    const { startMs, slotLeaseMs } = this.#options;
    if (knownBefore) {
      this.#table.quarantine(startMs + slotLeaseMs);
      return;
    }
    this.#settled = true;
    this.#table.settle();
  }

  #reportRequested(token: FencingToken, instanceId: InstanceId): void {
    if (!this.#gate.isHighest(token) || instanceId !== this.#options.instanceId) return;
    this.#fullReportDue = true;
  }

  #commands(answerKey: number, body: RequestBody<'executeSlotCommands'>): void {
    const refusal = this.#gate.admit(body);
    if (refusal !== null) {
      const { token, number } = body;
      this.#journal({ event: 'command-refused', token, number, problem: refusal });
      return this.#answerProblem(answerKey, refusal);
    }
    this.#changed('state');
    const results = body.commands.map((command) => this.#execute(command, body));
    this.#effects.push({ type: 'answerCommands', answerKey, reply: { results } });
    this.#orders.prune(() => this.#table.jobs());
  }

  #execute(command: SlotCommand, call: RequestBody<'executeSlotCommands'>): SlotCommandResult {
    switch (command.kind) {
      case 'requestSlot':
        return this.#requestSlot(command, call);
      case 'freeSlot': {
        const end = this.#table.free(command.slotNumber, command.allocationId);
        if (end !== null && 'code' in end) return this.#refused(call, end);
        if (end !== null) this.#ended(end);
        return DONE;
      }
      case 'noOperation':
        return DONE;
      case 'drain':
        this.#reportDue ||= this.#drainOrdered !== command.draining;
        this.#drainOrdered = command.draining;
        return DONE;
      case 'stop':
        this.#reportDue ||= !this.draining;
        this.#closing = true;
        this.#effects.push({ type: 'stop' });
        return DONE;
    }
  }

  #requestSlot(
    command: Extract<SlotCommand, { kind: 'requestSlot' }>,
    call: RequestBody<'executeSlotCommands'>,
  ): SlotCommandResult {
    if (this.#orders.supersedes(command, command.order)) return this.#refused(call, superseded(command));
    // A bound: without a state file, the next process waits no longer than this for an unknown lease.
    const durationMs = Math.min(command.unclaimedMs, this.#options.slotLeaseMs);
    const { instanceId } = this.#options;
    const { token } = call;
    const terms = { instanceId, token, durationMs, draining: this.draining };
    const verdict = this.#table.grant(command, terms, this.#nowMs);
    if (!verdict.ok) return this.#refused(call, verdict.problem);
    this.#orders.learn(command, command.order);
    if (verdict.first) this.#journal({ event: 'grant', lease: verdict.lease });
    return { outcome: 'done', grantNumber: verdict.lease.grantNumber };
  }

  #refused({ token, number }: RequestBody<'executeSlotCommands'>, problem: Problem): SlotCommandResult {
    this.#journal({ event: 'command-refused', token, number, problem });
    return { outcome: 'refused', problem };
  }

  #claim(answerKey: number, body: RequestBody<'claimSlot'>): void {
    const durationMs = this.#options.slotLeaseMs;
    if (this.#orders.supersedes(body, body.order)) return this.#answerProblem(answerKey, superseded(body));
    const verdict = this.#table.claim(body, body.lease, durationMs, this.#nowMs);
    if (!verdict.ok) return this.#answerProblem(answerKey, verdict.problem);
    // Only the holder of a lease is believed: a stranger's word must not shut a job out.
    if (this.#orders.learn(body, body.order)) this.#changed('state');
    const { lease, first } = verdict;
    this.#journal({ event: first ? 'claim' : 'renew', lease });
    if (first) {
      this.#changed('state');
      this.#effects.push({ type: 'leaseClaimed', lease, restored: false });
    }
    this.#effects.push({ type: 'answerClaim', answerKey, reply: { durationMs } });
  }

  #renew(answerKey: number, body: RequestBody<'renewLeases'>): void {
    const durationMs = this.#options.slotLeaseMs;
    if (this.#orders.supersedes(body, body.order)) return this.#answerProblem(answerKey, superseded(body));
    const results = body.leases.map((key) => {
      const verdict = this.#table.renew(body, key, durationMs, this.#nowMs);
      if (!verdict.ok) return { allocationId: key.allocationId, problem: verdict.problem };
      if (this.#orders.learn(body, body.order)) this.#changed('state');
      this.#journal({ event: 'renew', lease: verdict.lease });
      return { allocationId: key.allocationId, problem: null };
    });
    this.#effects.push({ type: 'answerRenewal', answerKey, reply: { durationMs, results } });
  }

  #release(answerKey: number, body: RequestBody<'releaseLeases'>): void {
    for (const key of body.leases) {
      const end = this.#table.release(body, key);
      if (end !== null) this.#ended(end);
    }
    this.#effects.push({ type: 'answerRelease', answerKey });
  }

  #journal(entry: JournalEntry): void {
    this.#effects.push({ type: 'journal', atMs: this.#nowMs, entry });
  }

  #answerProblem(answerKey: number, problem: Problem): void {
    this.#effects.push({ type: 'answerProblem', answerKey, problem });
  }
}

const DONE: SlotCommandResult = { outcome: 'done', grantNumber: null };

function superseded({ jobId }: { jobId: string }): Problem {
  return { code: 'SUPERSEDED', detail: `A newer job master of job ${jobId} has registered.` };
}
