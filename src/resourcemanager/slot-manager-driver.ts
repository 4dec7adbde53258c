import type { AllocationId, JobId, JobMasterId } from '../core/ids.ts';
import type { Problem } from '../core/problem.ts';
import type {
  SlotManager,
  SlotManagerEffect,
  SlotManagerEvent,
} from '../core/slotmanager/slot-manager-events.ts';
import type { Timer } from '../runtime/clock.ts';
import { SUSPENDED, TERM_OVER, type TermContext } from './term-context.ts';
import { isAhead, type WorkerConnection } from './worker-connection.ts';

type EventOf<T extends SlotManagerEvent['type']> = Extract<SlotManagerEvent, { type: T }>;
type EffectOf<T extends SlotManagerEffect['type']> = Extract<SlotManagerEffect, { type: T }>;
type Results = EffectOf<'acknowledgeSlotRequests'>['results'];
type Outcome = EventOf<'slotCommandsAnswered'>['outcome'];

/** How an answer goes back to whoever asked. */
export interface Answer<T> {
  respond(reply: T): void;
  fail(problem: Problem): void;
}

/** What the driver asks of the rest of the term. */
export interface DriverSurroundings {
  /** The registered process of a job; null when there is none. */
  jobMasterOf(jobId: JobId): JobMasterId | null;
  /** Sees every effect before it is carried out; for the pool of workers. */
  observe(effect: SlotManagerEffect): void;
  /** Requests that their job master has withdrawn. */
  cancelled(allocationIds: readonly AllocationId[]): void;
}

/** After this long a command that could not be sent counts as not answered, in milliseconds. */
const NOT_SENT_MS = 100;

/**
 * Feeds one term's slot manager and carries out what it wants. Each effect begins only if the leader may serve
 * in that very turn; what is dropped is asked for again, by the slot manager or by whoever waits for it.
 */
export class SlotManagerDriver {
  readonly slotManager: SlotManager;
  readonly #context: TermContext;
  readonly #surroundings: DriverSurroundings;
  readonly #acknowledgements = new Map<number, Answer<Results>>();
  readonly #heartbeats = new Map<number, Answer<readonly AllocationId[]>>();
  #nextAnswerKey = 1;
  #callsUnderWay = 0;
  #heldBack = false;
  #timer: Timer | null = null;
  #timerDueMs: number | null = null;
  #ended = false;

  constructor(context: TermContext, slotManager: SlotManager, surroundings: DriverSurroundings) {
    this.#context = context;
    this.slotManager = slotManager;
    this.#surroundings = surroundings;
  }

  /** Whether no task executor is being waited for. */
  get idle(): boolean {
    return this.#callsUnderWay === 0;
  }

  /** Begins no command until it is told to go on; each counts as not sent. */
  holdBack(): void {
    this.#heldBack = true;
  }

  goOn(): void {
    this.#heldBack = false;
  }

  handle(event: SlotManagerEvent): void {
    if (this.#ended) return;
    for (const effect of this.slotManager.handle(event, this.#context.clock.monotonicMs())) {
      this.#execute(effect);
    }
    if (event.type === 'slotRequestsCancelled') this.#surroundings.cancelled(event.allocationIds);
    this.#setTimer();
  }

  requestSlots(event: Omit<EventOf<'slotsRequested'>, 'type' | 'answerKey'>, answer: Answer<Results>): void {
    const answerKey = this.#nextAnswerKey++;
    this.#acknowledgements.set(answerKey, answer);
    this.handle({ type: 'slotsRequested', answerKey, ...event });
  }

  jobMasterHeartbeat(
    event: Omit<EventOf<'jobMasterHeartbeat'>, 'type' | 'answerKey'>,
    answer: Answer<readonly AllocationId[]>,
  ): void {
    const answerKey = this.#nextAnswerKey++;
    this.#heartbeats.set(answerKey, answer);
    this.handle({ type: 'jobMasterHeartbeat', answerKey, ...event });
  }

  /** Nothing more happens in the name of this term; whoever waits is told that it has ended. */
  end(): void {
    this.#ended = true;
    this.#timer?.cancel();
    for (const answer of this.#acknowledgements.values()) answer.fail(TERM_OVER);
    for (const answer of this.#heartbeats.values()) answer.fail(TERM_OVER);
    this.#acknowledgements.clear();
    this.#heartbeats.clear();
  }

  #setTimer(): void {
    const dueMs = this.#ended ? null : this.slotManager.nextDueMs();
    if (dueMs === this.#timerDueMs) return;
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    if (dueMs === null) return;
    const delayMs = Math.max(0, dueMs - this.#context.clock.monotonicMs());
    this.#timer = this.#context.clock.schedule(delayMs, () => {
      this.#timerDueMs = null;
      this.#context.post(() => this.handle({ type: 'tick' }));
    });
  }

  #execute(effect: SlotManagerEffect): void {
    this.#surroundings.observe(effect);
    const maySend = this.#context.mayServe();
    switch (effect.type) {
      case 'report': {
        const kind = effect.level === 'info' ? 'allocation' : 'failure';
        return this.#context.note(effect.level, kind, effect.event, effect.fields);
      }
      case 'acknowledgeSlotRequests': {
        const answer = this.#acknowledgements.get(effect.answerKey);
        this.#acknowledgements.delete(effect.answerKey);
        return maySend ? answer?.respond(effect.results) : answer?.fail(SUSPENDED);
      }
      case 'answerHeartbeat': {
        const answer = this.#heartbeats.get(effect.answerKey);
        this.#heartbeats.delete(effect.answerKey);
        return maySend ? answer?.respond(effect.unknown) : answer?.fail(SUSPENDED);
      }
      case 'sendSlotCommands':
        if (!maySend) return this.#notSent(effect, 'leadership is being checked');
        if (this.#heldBack) return this.#notSent(effect, 'leadership is being handed over');
        return this.#sendSlotCommands(effect);
      case 'notifySlotsAllocated':
      case 'failSlotRequest':
      case 'checkAllocations':
        return maySend ? this.#tellJobMaster(effect) : undefined;
      case 'requestSlotReport':
        return maySend ? this.#requestSlotReport(effect) : undefined;
      case 'allocateContainer':
        return;
    }
  }

  #sendSlotCommands(effect: EffectOf<'sendSlotCommands'>): void {
    const { resourceId, instanceId, number, commands } = effect;
    const { token, timing } = this.#context;
    const connection = this.#context.connections.taskExecutor(resourceId, instanceId);
    if (connection === null || isAhead(connection, token)) {
      return this.#notSent(effect, 'there is no connection to it');
    }
    const body = { token, instanceId, number, commands };
    this.#callsUnderWay += 1;
    connection.channel.request('executeSlotCommands', body, timing.taskExecutorCallMs, (outcome) => {
      this.#callsUnderWay -= 1;
      this.#context.post(() => {
        if (!outcome.ok) return this.#commandsFailed(connection, effect, outcome.problem);
        const { results } = outcome.reply;
        this.#answered(
          effect,
          results.length === commands.length
            ? { kind: 'done', results }
            : { kind: 'noAnswer', detail: `${results.length} results for ${commands.length} commands` },
        );
      });
    });
  }

  #commandsFailed(
    connection: WorkerConnection,
    effect: EffectOf<'sendSlotCommands'>,
    problem: Problem,
  ): void {
    if (problem.code === 'NO_ANSWER') {
      return this.#answered(effect, { kind: 'noAnswer', detail: problem.detail });
    }
    if (problem.code === 'FENCED' && problem.token !== undefined) {
      this.#context.fencedBy(connection, problem.token);
    }
    this.#answered(effect, { kind: 'problem', problem });
  }

  /** In a later turn, as an answer would come: the slot manager may at once want to send again. */
  #notSent(effect: EffectOf<'sendSlotCommands'>, detail: string): void {
    this.#context.clock.schedule(NOT_SENT_MS, () =>
      this.#context.post(() => this.#answered(effect, { kind: 'noAnswer', detail: `Not sent: ${detail}.` })),
    );
  }

  #answered(effect: EffectOf<'sendSlotCommands'>, outcome: Outcome): void {
    const { resourceId, instanceId, number } = effect;
    this.handle({ type: 'slotCommandsAnswered', resourceId, instanceId, number, outcome });
  }

  #requestSlotReport(effect: EffectOf<'requestSlotReport'>): void {
    const { resourceId, instanceId } = effect;
    const { connections, token } = this.#context;
    const connection = connections.taskExecutor(resourceId, instanceId);
    if (connection === null || isAhead(connection, token)) return;
    connection.channel.notify('requestSlotReport', { token, instanceId });
  }

  #tellJobMaster(
    effect: EffectOf<'notifySlotsAllocated'> | EffectOf<'failSlotRequest'> | EffectOf<'checkAllocations'>,
  ): void {
    const { connections, token } = this.#context;
    const jobMasterId =
      effect.type === 'checkAllocations' ? this.#surroundings.jobMasterOf(effect.jobId) : effect.jobMasterId;
    const connection = jobMasterId === null ? null : connections.jobMaster(effect.jobId, jobMasterId);
    if (jobMasterId === null || connection === null || isAhead(connection, token)) return;
    const { channel } = connection;
    const head = { token, jobMasterId };
    switch (effect.type) {
      case 'notifySlotsAllocated':
        return channel.notify('notifySlotsAllocated', { ...head, grants: effect.grants });
      case 'failSlotRequest': {
        const { allocationId, problem } = effect;
        return channel.notify('failSlotRequests', { ...head, failures: [{ allocationId, problem }] });
      }
      case 'checkAllocations':
        return channel.notify('checkAllocations', { ...head, allocationIds: effect.allocationIds });
    }
  }
}
