import type { InstanceId, ResourceId } from '../../../src/core/ids.ts';
import type {
  LeaseKey,
  SlotCommand,
  SlotCommandResult,
  SlotReport,
} from '../../../src/core/messages/slots.ts';
import type { FencingToken } from '../../../src/core/fencing-token.ts';
import type { Problem } from '../../../src/core/problem.ts';
import { TaskExecutorBook } from '../../../src/core/taskexecutor/task-executor-book.ts';
import type { TaskExecutorBookOptions } from '../../../src/core/taskexecutor/task-executor-book-options.ts';
import type { TaskExecutorEffect } from '../../../src/core/taskexecutor/task-executor-events.ts';
import type { JobId, JobMasterId } from '../../../src/core/ids.ts';
import { CLUSTER_ID, tokenOf } from './testing-resource-manager.ts';
import { PROFILE } from './task-executor-fixture.ts';

export const LEASE_MS = 30_000;

/** Who asks, as a job master names itself. */
export interface Asker {
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
  readonly order: { readonly generation: number; readonly revision: bigint };
}

export function asker(jobMasterId = 'jm-1', revision = 10, jobId = 'job-1'): Asker {
  return {
    jobId: jobId as JobId,
    jobMasterId: jobMasterId as JobMasterId,
    order: { generation: 1, revision: BigInt(revision) },
  };
}

type EffectOf<T extends TaskExecutorEffect['type']> = Extract<TaskExecutorEffect, { type: T }>;

/** A book, with time to move and words for what is often asked of it. Keeps all effects. */
export class BookDriver {
  readonly book: TaskExecutorBook;
  readonly effects: TaskExecutorEffect[] = [];
  nowMs: number;
  #n = 0;

  constructor(changes: Partial<TaskExecutorBookOptions> = {}) {
    this.nowMs = changes.startMs ?? 1_000;
    this.book = new TaskExecutorBook({
      cluster: 'test',
      resourceId: 'te-1' as ResourceId,
      instanceId: 'instance-1' as InstanceId,
      slots: [PROFILE, PROFILE],
      slotLeaseMs: LEASE_MS,
      state: null,
      slotsDieWithProcess: false,
      grantNumberFloor: 0,
      startMs: this.nowMs,
      ...changes,
    });
    this.effects.push(...this.book.start());
  }

  /** A process that finds what this one would have saved now. */
  restart(changes: Partial<TaskExecutorBookOptions> = {}): BookDriver {
    return new BookDriver({
      state: this.book.state(),
      instanceId: 'instance-2' as InstanceId,
      startMs: this.nowMs,
      ...changes,
    });
  }

  handle(event: Parameters<TaskExecutorBook['handle']>[0]): TaskExecutorEffect[] {
    const effects = this.book.handle(event, this.nowMs);
    this.effects.push(...effects);
    return effects;
  }

  /** Lets time pass without telling the book, as a pause does. */
  pause(ms: number): this {
    this.nowMs += ms;
    return this;
  }

  announce(token: FencingToken, linkKey = 1, byItself = true, clusterId = CLUSTER_ID): TaskExecutorEffect[] {
    return this.handle({ type: 'leaderAnnounced', linkKey, byItself, token, clusterId });
  }

  /** The leader of that token announces itself and acknowledges the registration. */
  registered(token = tokenOf(1), linkKey = 1, knownBefore = false): this {
    this.announce(token, linkKey);
    this.handle({ type: 'registrationAcknowledged', linkKey, token, knownBefore });
    return this;
  }

  command(
    commands: readonly SlotCommand[],
    options: { token?: FencingToken; instanceId?: string; n?: number } = {},
  ): { results: readonly SlotCommandResult[]; problem: Problem | null; effects: TaskExecutorEffect[] } {
    const token = options.token ?? this.book.highestToken ?? tokenOf(1);
    const instanceId = (options.instanceId ?? 'instance-1') as InstanceId;
    const n = options.n ?? (this.#n += 1);
    const number = { generation: token.generation, epoch: token.epoch, n };
    const body = { token, instanceId, number, commands };
    const effects = this.handle({ type: 'commandsReceived', answerKey: 1, body });
    const answered = find(effects, 'answerCommands');
    return { results: answered?.reply.results ?? [], problem: problemIn(effects), effects };
  }

  claim(
    lease: LeaseKey,
    who = asker(),
  ): { durationMs: number | null; code: string; effects: TaskExecutorEffect[] } {
    const effects = this.handle({ type: 'slotClaimed', answerKey: 2, body: { ...who, lease } });
    const durationMs = find(effects, 'answerClaim')?.reply.durationMs ?? null;
    return { durationMs, code: problemIn(effects)?.code ?? 'ok', effects };
  }

  /** The code for each lease, or the one of the whole call. */
  renew(leases: readonly LeaseKey[], who = asker()): string[] {
    const effects = this.handle({ type: 'leasesRenewed', answerKey: 3, body: { ...who, leases } });
    const answered = find(effects, 'answerRenewal');
    if (answered === undefined) return [problemIn(effects)?.code ?? 'nothing'];
    return answered.reply.results.map(({ problem }) => problem?.code ?? 'ok');
  }

  release(leases: readonly LeaseKey[], who = asker()): TaskExecutorEffect[] {
    const { jobId, jobMasterId } = who;
    return this.handle({ type: 'leasesReleased', answerKey: 4, body: { jobId, jobMasterId, leases } });
  }

  /** Each slot's state, in order. */
  get states(): string[] {
    return this.book.slots().map((slot) => slot.state);
  }

  get reports(): SlotReport[] {
    return this.effects.flatMap((effect) =>
      effect.type === 'reportSlots' || effect.type === 'register' ? [effect.report] : [],
    );
  }
}

/** The first effect of that type. */
export function find<T extends TaskExecutorEffect['type']>(
  effects: readonly TaskExecutorEffect[],
  type: T,
): EffectOf<T> | undefined {
  return effects.find((effect): effect is EffectOf<T> => effect.type === type);
}

/** The problem that was answered; null when none was. */
export function problemIn(effects: readonly TaskExecutorEffect[]): Problem | null {
  return find(effects, 'answerProblem')?.problem ?? null;
}

/** The grant number of a done command; throws when it was refused. */
export function granted(result: SlotCommandResult | undefined): number {
  if (result?.outcome !== 'done' || result.grantNumber === null)
    throw new Error(`not granted: ${JSON.stringify(result)}`);
  return result.grantNumber;
}

/** The code with which a command was refused; `done` when it was not. */
export function refusal(result: SlotCommandResult | undefined): string {
  return result?.outcome === 'refused' ? result.problem.code : 'done';
}
