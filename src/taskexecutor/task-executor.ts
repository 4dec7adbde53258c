import type { FencingToken } from '../core/fencing-token.ts';
import type { ClusterId, InstanceId, ResourceId } from '../core/ids.ts';
import type { SlotStatus } from '../core/messages/slots.ts';
import { QuartermasterError } from '../core/problem.ts';
import { TaskExecutorBook } from '../core/taskexecutor/task-executor-book.ts';
import type { TaskExecutorEffect, TaskExecutorEvent } from '../core/taskexecutor/task-executor-events.ts';
import type { Acceptor } from '../rpc/connection.ts';
import type { HandshakeContext } from '../rpc/handshake.ts';
import type { Timer } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { Mailbox } from '../runtime/mailbox.ts';
import { Drain, type DrainResult } from './drain.ts';
import { DurableOutbox } from './durable-outbox.ts';
import { JobMasterDoor, type JobMasterRequest } from './job-master-door.ts';
import { journalLine, startLine } from './journal-line.ts';
import { LeaseCallbacks } from './lease-callbacks.ts';
import { PendingAnswers } from './pending-answers.ts';
import { ResourceManagerSide, type CommandRequest } from './resource-manager-side.ts';
import { checkOwner, type OpenState } from './state-store.ts';
import type { TaskExecutorOptions } from './task-executor-options.ts';

/** A task executor at one moment, for people and probes. */
export interface TaskExecutorStatus {
  readonly resourceId: ResourceId;
  readonly instanceId: InstanceId;
  readonly phase: 'new' | 'running' | 'closed';
  readonly clusterId: ClusterId | null;
  readonly highestToken: FencingToken | null;
  /** Resource manager that has acknowledged the registration; null when there is none at the moment. */
  readonly registeredWith: string | null;
  readonly draining: boolean;
  readonly slots: readonly SlotStatus[];
}

/** A token that is adopted is written with the first command under it, or after this long, in milliseconds. */
const TOKEN_WRITE_DELAY_MS = 25;
const MOST_SLOTS = 65_536;

/**
 * Owns numbered slots and is the only one who grants leases of them (Flink's `TaskExecutor`). Registers with
 * whichever resource manager leads, executes its numbered commands, lets job masters claim, renew and release,
 * and keeps what it must not forget in its state store. One event at a time.
 */
export class TaskExecutor {
  readonly instanceId: InstanceId;
  readonly #options: TaskExecutorOptions;
  readonly #logger: Logger;
  readonly #mailbox: Mailbox;
  readonly #resourceManagers: ResourceManagerSide;
  readonly #door: JobMasterDoor;
  readonly #answers = new PendingAnswers();
  readonly #leases: LeaseCallbacks;
  #phase: TaskExecutorStatus['phase'] = 'new';
  #book: TaskExecutorBook | null = null;
  #outbox: DurableOutbox<TaskExecutorEffect> | null = null;
  #openState: OpenState | null = null;
  #tick: { readonly dueMs: number; readonly timer: Timer } | null = null;
  #drain: Drain | null = null;

  /** Throws `INVALID` when there is no slot, or there are more than 65,536. */
  constructor(options: TaskExecutorOptions) {
    const { identity, clock, randomness, prover, timing, slots } = options;
    if (slots.length === 0 || slots.length > MOST_SLOTS) {
      const detail = `A task executor has 1 to ${MOST_SLOTS} slots, not ${slots.length}.`;
      throw new QuartermasterError({ code: 'INVALID', detail, fields: [{ field: 'slots', detail }] });
    }
    this.#options = options;
    this.instanceId = identity.instanceId ?? (randomness.uuid() as InstanceId);
    const { resourceId, cluster } = identity;
    this.#logger = options.logger.child({ role: 'task-executor', resourceId, instanceId: this.instanceId });
    this.#mailbox = new Mailbox(clock, (error) => this.#fail(error));
    this.#leases = new LeaseCallbacks(options, this.#logger);
    const context: HandshakeContext = {
      clock,
      randomness,
      prover,
      identity: { role: 'task-executor', cluster, id: resourceId, instance: this.instanceId },
    };
    this.#resourceManagers = new ResourceManagerSide({
      executor: options,
      instanceId: this.instanceId,
      context,
      logger: this.#logger,
      known: () => ({
        clusterId: this.#book?.clusterId ?? null,
        highestToken: this.#book?.highestToken ?? null,
      }),
      post: (event) => this.#post(event),
      onCommands: (request) => this.#ask(request),
      onSuperseded: (error) => this.#mailbox.post(() => this.#fail(error)),
    });
    const idleMs = 2 * Math.max(timing.slotLeaseMs, timing.heartbeatTimeoutMs);
    this.#door = new JobMasterDoor(context, idleMs, (request) => this.#ask(request));
  }

  /** Takes the connections of job masters; to be given to the listener at the advertised address. */
  acceptor(): Acceptor {
    return this.#door.acceptor;
  }

  /**
   * Locks and reads the state, then connects to the resource managers. Rejects, and may be dropped then, when
   * the state is held by another process, cannot be read or written, or belongs to somebody else.
   */
  async start(): Promise<void> {
    const { identity, clock, stateStore } = this.#options;
    const startMs = clock.monotonicMs();
    const open = (await stateStore?.open(identity)) ?? null;
    try {
      if (open !== null && open.state !== null) checkOwner(open.state, identity, 'The state');
      const book = this.#openBook(open, startMs);
      await open?.save(book.state());
      if (this.#phase === 'new') return this.#run(book, open);
    } catch (error) {
      await open?.close();
      throw error;
    }
    await open?.close();
  }

  /**
   * Takes no new leases, waits until those that run are released or have lapsed, says goodbye and closes. At
   * the deadline (null: never) it closes without goodbye. Called again it may bring the deadline forward.
   */
  drain(options: { readonly deadlineMs: number | null }): Promise<DrainResult> {
    if (this.#phase === 'closed') return this.#drain?.result ?? Promise.resolve({ leasesLeft: 0 });
    const drain = (this.#drain ??= new Drain(this.#options.clock));
    this.#logger.log('info', 'draining', { deadlineMs: options.deadlineMs });
    if (options.deadlineMs !== null)
      drain.limit(options.deadlineMs, () => this.#mailbox.post(() => this.#checkDrained()));
    this.#post({ type: 'closing' });
    this.#mailbox.post(() => this.#checkDrained());
    return drain.result;
  }

  /** Closes at once and in good order, without goodbye: what is leased stays in the state store. */
  async stop(): Promise<void> {
    if (this.#phase === 'closed') return;
    const leasesLeft = this.#book?.leases().length ?? 0;
    await this.#close();
    this.#drain?.finish({ leasesLeft });
  }

  /** Ends as a crash does, for simulations: nothing more is told to anybody, saved or unlocked. */
  abandon(): void {
    this.#leases.silence();
    this.#openState = null;
    void this.#close();
  }

  status(): TaskExecutorStatus {
    const book = this.#book;
    return {
      resourceId: this.#options.identity.resourceId,
      instanceId: this.instanceId,
      phase: this.#phase,
      clusterId: book?.clusterId ?? null,
      highestToken: book?.highestToken ?? null,
      registeredWith: this.#resourceManagers.session.registeredWith?.resourceManagerId ?? null,
      draining: book?.draining ?? this.#drain !== null,
      slots: book?.slots() ?? [],
    };
  }

  #openBook(open: OpenState | null, startMs: number): TaskExecutorBook {
    const { identity, clock, timing, slots, slotsDieWithProcess } = this.#options;
    const state = open?.state ?? null;
    return new TaskExecutorBook({
      cluster: identity.cluster,
      resourceId: identity.resourceId,
      instanceId: this.instanceId,
      slots,
      slotLeaseMs: timing.slotLeaseMs,
      state,
      slotsDieWithProcess,
      grantNumberFloor: Math.max(0, Math.floor(clock.wallMs())),
      startMs: state === null ? startMs : clock.monotonicMs(),
    });
  }

  #run(book: TaskExecutorBook, open: OpenState | null): void {
    this.#phase = 'running';
    this.#book = book;
    this.#openState = open;
    const { clock } = this.#options;
    this.#outbox = new DurableOutbox<TaskExecutorEffect>({
      save: open === null ? null : () => open.save(book.state()),
      run: (effect) => this.#perform(effect),
      // Should this process die before the token is written: no leader below it can acknowledge the next process.
      maySurpassToken: (effect) => effect.type === 'register',
      later: (continuation) => clock.schedule(TOKEN_WRITE_DELAY_MS, () => this.#mailbox.post(continuation)),
      post: (continuation) =>
        this.#mailbox.post(() => {
          continuation();
          this.#checkDrained();
        }),
      onError: (error) => this.#mailbox.post(() => this.#fail(error)),
    });
    this.#logger.log('info', 'started', {
      slots: book.slots().length,
      leases: book.leases().length,
      quarantined: book.quarantined,
      clusterId: book.clusterId,
      epoch: book.highestToken?.epoch,
    });
    this.#mailbox.post(() => {
      this.#recordStart(book, open);
      this.#carryOut(book.start());
    });
    if (this.#drain !== null) this.#post({ type: 'closing' });
    this.#resourceManagers.start();
  }

  /** Tells what this process knows of the one before: without it nobody can judge what a restart did. */
  #recordStart(book: TaskExecutorBook, open: OpenState | null): void {
    const { journal, clock, identity, slotsDieWithProcess } = this.#options;
    const { highestToken: token } = book;
    journal?.record(
      ...startLine(
        { atMs: clock.monotonicMs(), resourceId: identity.resourceId, process: this.instanceId },
        { remembers: (open?.state ?? null) !== null, slotsDieWithProcess, token },
      ),
    );
  }

  #post(event: TaskExecutorEvent): void {
    this.#mailbox.post(() => {
      if (this.#book !== null) this.#carryOut(this.#book.handle(event, this.#options.clock.monotonicMs()));
    });
  }

  /** Lets the effects out behind the write that they need, and sets the clock for the next end of a lease. */
  #carryOut(effects: readonly TaskExecutorEffect[]): void {
    const [first] = effects;
    const write = first?.type === 'persist' ? first.what : null;
    this.#outbox?.push(write === null ? effects : effects.slice(1), write);
    this.#armTick();
    this.#checkDrained();
  }

  #perform(effect: TaskExecutorEffect): void {
    switch (effect.type) {
      case 'persist':
        return;
      case 'answerCommands':
      case 'answerClaim':
      case 'answerRenewal':
      case 'answerRelease':
      case 'answerProblem':
        return this.#answers.answer(effect);
      case 'register':
        return this.#resourceManagers.register(effect);
      case 'reportSlots':
        return this.#resourceManagers.session.report(effect.linkKey, effect.token, effect.report);
      case 'tellFenced':
        return this.#resourceManagers.tellFenced(effect);
      case 'refuseCluster':
        return this.#resourceManagers.refuseCluster(effect);
      case 'leaseClaimed':
        return this.#leases.granted(effect.lease, effect.restored);
      case 'leaseEnded':
        return this.#leases.ended(effect.lease, effect.reason);
      case 'stop':
        return this.#stopOrdered();
      case 'journal':
        return this.#options.journal?.record(
          ...journalLine(effect, this.#options.identity.resourceId, this.instanceId),
        );
    }
  }

  #ask(request: JobMasterRequest | CommandRequest): void {
    if (this.#book === null) {
      return request.fail({ code: 'UNAVAILABLE', detail: 'The task executor is starting.' });
    }
    const answerKey = this.#answers.add(request);
    if (answerKey === null) return;
    switch (request.type) {
      case 'executeSlotCommands':
        return this.#post({ type: 'commandsReceived', answerKey, body: request.body });
      case 'claimSlot':
        return this.#post({ type: 'slotClaimed', answerKey, body: request.body });
      case 'renewLeases':
        return this.#post({ type: 'leasesRenewed', answerKey, body: request.body });
      case 'releaseLeases':
        return this.#post({ type: 'leasesReleased', answerKey, body: request.body });
    }
  }

  #armTick(): void {
    const { clock } = this.#options;
    const dueMs = this.#book?.nextDueMs() ?? Infinity;
    if (dueMs === Infinity || this.#phase !== 'running') return;
    if (this.#tick !== null && this.#tick.dueMs <= dueMs) return;
    this.#tick?.timer.cancel();
    const timer = clock.schedule(Math.max(0, dueMs - clock.monotonicMs()), () => {
      this.#tick = null;
      this.#post({ type: 'tick' });
    });
    this.#tick = { dueMs, timer };
  }

  #stopOrdered(): void {
    this.#logger.log('info', 'stop-ordered');
    void this.drain({ deadlineMs: null }).then(() => this.#options.onStopped?.());
  }

  #checkDrained(): void {
    const drain = this.#drain;
    if (drain === null || drain.leaving || this.#phase === 'closed') return;
    // What came before the order to drain may still begin a lease.
    if (this.#book?.closing === false) return;
    const leasesLeft = this.#book?.leases().length ?? 0;
    const idle = this.#book === null || (leasesLeft === 0 && this.#outbox?.length === 0);
    if (!idle && !drain.expired) return;
    drain.leaving = true;
    // A goodbye removes the record that would quarantine these slots for a successor without a state file.
    if (leasesLeft > 0 || this.#book === null || this.#book.quarantined)
      return this.#leave(drain, leasesLeft);
    this.#resourceManagers.session.goodbye('drained', (acknowledged) => {
      this.#logger.log('info', 'goodbye', { acknowledged });
      this.#mailbox.post(() => this.#leave(drain, 0));
    });
  }

  #leave(drain: Drain, leasesLeft: number): void {
    this.#close().then(
      () => drain.finish({ leasesLeft }),
      (error: unknown) => {
        this.#logger.log('error', 'state-not-closed', { detail: String(error) });
        drain.finish({ leasesLeft });
      },
    );
  }

  #fail(error: unknown): void {
    if (this.#phase === 'closed') return;
    const cause = error instanceof Error ? error : new Error(String(error));
    this.#logger.log('error', 'failed', { detail: cause.message });
    const leasesLeft = this.#book?.leases().length ?? 0;
    const closed = this.#close().catch(() => {});
    void closed.then(() => {
      this.#drain?.finish({ leasesLeft });
      this.#options.onFatal(cause);
    });
  }

  /** Everything that stops at once; resolves when the state store is closed. */
  #close(): Promise<void> {
    this.#phase = 'closed';
    this.#tick?.timer.cancel();
    this.#drain?.close();
    this.#outbox?.close();
    this.#mailbox.close();
    this.#answers.failAll({ code: 'UNAVAILABLE', detail: 'The task executor is going away.' });
    this.#resourceManagers.close();
    this.#door.close();
    this.#leases.close();
    return this.#openState?.close() ?? Promise.resolve();
  }
}
