import type { InstanceId, ResourceId } from '../../src/core/ids.ts';
import type { TaskExecutorBook } from '../../src/core/taskexecutor/task-executor-book.ts';
import type {
  TaskExecutorEffect,
  TaskExecutorEvent,
} from '../../src/core/taskexecutor/task-executor-events.ts';
import type { TaskExecutorState } from '../../src/core/taskexecutor/task-executor-state.ts';
import type { Turn } from './processes.ts';
import { CLUSTER_ID, jobOf, PROFILE, type SlotMachines, TIMING, tokenOf } from './slot-machines.ts';
import type { SlotMessage, SlotMessageOf } from './slot-messages.ts';

/** A task executor: the book that ships, and a shell that does at once what its effects say. */
export interface TaskExecutorProcess {
  readonly kind: 'te';
  readonly index: number;
  book: TaskExecutorBook;
  /** What its state file holds. */
  saved: TaskExecutorState;
  incarnation: number;
  /** With whom it has registered, and whether that is acknowledged. */
  registration: { readonly epoch: number; readonly acknowledged: boolean } | null;
  reportNumber: number;
  /** It has come back without its state file, so that it cannot know its leases. */
  forgetful: boolean;
}

type Out = Turn<SlotMessage>;

export function instanceOf(index: number, incarnation: number): InstanceId {
  return `te-${index}.${incarnation}` as InstanceId;
}

export function startTaskExecutor(
  machines: SlotMachines,
  index: number,
  slots: number,
  nowMs: number,
  before: { readonly state: TaskExecutorState | null; readonly incarnation: number } | null,
  out: Out,
): TaskExecutorProcess {
  const incarnation = before === null ? 0 : before.incarnation + 1;
  const book = new machines.TaskExecutorBook({
    cluster: 'model',
    resourceId: `te-${index}` as ResourceId,
    instanceId: instanceOf(index, incarnation),
    slots: Array.from({ length: slots }, () => PROFILE),
    slotLeaseMs: TIMING.slotLeaseMs,
    state: before?.state ?? null,
    slotsDieWithProcess: false,
    // As production reckons it, from the time of day: above any number of the process before.
    grantNumberFloor: 1_000 * incarnation,
    startMs: nowMs,
  });
  const process: TaskExecutorProcess = {
    kind: 'te',
    index,
    book,
    saved: book.state(),
    incarnation,
    registration: null,
    reportNumber: 0,
    forgetful: before !== null && before.state === null,
  };
  perform(process, book.start(), null, 0, out);
  return process;
}

/** Takes a message. */
export function taskExecutorTakes(
  process: TaskExecutorProcess,
  from: string,
  message: SlotMessage,
  nowMs: number,
  out: Out,
): void {
  // An answer to the process before it, over a connection that is gone.
  if (
    message.type === 'taskExecutorRegistered' &&
    message.instanceId !== instanceOf(process.index, process.incarnation)
  )
    return;
  const event = toEvent(process, from, message);
  if (event === null) return;
  const effects = process.book.handle(event, nowMs);
  const { registration } = process;
  if (message.type === 'taskExecutorRegistered' && registration?.epoch === message.epoch) {
    process.registration = { epoch: message.epoch, acknowledged: true };
  }
  perform(process, effects, { from, message }, nowMs, out);
}

/** Looks at the time; `beat` also sends the heartbeat, or the registration again. */
export function taskExecutorTicks(
  process: TaskExecutorProcess,
  nowMs: number,
  beat: boolean,
  out: Out,
): void {
  perform(process, process.book.handle({ type: 'tick' }, nowMs), null, nowMs, out);
  const { registration, incarnation, index, reportNumber } = process;
  if (!beat || registration === null) return;
  const { epoch, acknowledged } = registration;
  if (acknowledged) {
    const instanceId = instanceOf(index, incarnation);
    const message = { type: 'heartbeatTaskExecutor', epoch, instanceId, reportNumber } as const;
    out.sent.push({ to: `rm${epoch}`, message });
    return;
  }
  const event = { type: 'registrationDue', linkKey: epoch, token: tokenOf(epoch) } as const;
  perform(process, process.book.handle(event, nowMs), null, nowMs, out);
}

function toEvent(process: TaskExecutorProcess, from: string, message: SlotMessage): TaskExecutorEvent | null {
  const asker = jobOf(Number(from.slice(2)));
  switch (message.type) {
    case 'announce': {
      const token = tokenOf(message.epoch);
      return {
        type: 'leaderAnnounced',
        linkKey: message.epoch,
        byItself: true,
        token,
        clusterId: CLUSTER_ID,
      };
    }
    case 'taskExecutorRegistered': {
      const { epoch, knownBefore } = message;
      return { type: 'registrationAcknowledged', linkKey: epoch, token: tokenOf(epoch), knownBefore };
    }
    case 'registerAgain':
      return { type: 'registrationDue', linkKey: message.epoch, token: tokenOf(message.epoch) };
    case 'reportWanted':
      return { type: 'reportRequested', token: tokenOf(message.epoch), instanceId: message.instanceId };
    case 'commands': {
      const { instanceId, number, commands, epoch } = message;
      const body = { token: tokenOf(epoch), instanceId, number, commands };
      return { type: 'commandsReceived', answerKey: 0, body };
    }
    case 'claim':
      return { type: 'slotClaimed', answerKey: 0, body: { ...asker, lease: message.lease } };
    case 'renew':
      return { type: 'leasesRenewed', answerKey: 0, body: { ...asker, leases: message.leases } };
    case 'release': {
      const { jobId, jobMasterId } = asker;
      return { type: 'leasesReleased', answerKey: 0, body: { jobId, jobMasterId, leases: message.leases } };
    }
    default:
      throw new Error(`a task executor takes no ${message.type} of te ${process.index}`);
  }
}

function perform(
  process: TaskExecutorProcess,
  effects: readonly TaskExecutorEffect[],
  asked: { readonly from: string; readonly message: SlotMessage } | null,
  nowMs: number,
  out: Out,
): void {
  const { index, incarnation } = process;
  const instanceId = instanceOf(index, incarnation);
  const answer = (message: SlotMessage): void => {
    if (asked !== null) out.sent.push({ to: asked.from, message });
  };
  for (const effect of effects) {
    switch (effect.type) {
      case 'persist':
        process.saved = process.book.state();
        break;
      case 'register': {
        const epoch = Number(effect.token.epoch);
        process.registration = { epoch, acknowledged: false };
        process.reportNumber = effect.report.reportNumber;
        const message = { type: 'registerTaskExecutor', epoch, instanceId, report: effect.report } as const;
        out.sent.push({ to: `rm${epoch}`, message });
        break;
      }
      case 'reportSlots': {
        const epoch = Number(effect.token.epoch);
        process.reportNumber = effect.report.reportNumber;
        out.sent.push({
          to: `rm${epoch}`,
          message: { type: 'report', epoch, instanceId, report: effect.report },
        });
        break;
      }
      case 'answerCommands': {
        const { number, epoch } = askedBy(asked, 'commands');
        out.notes.push(`executed ${epoch}`);
        const outcome = { kind: 'done', results: effect.reply.results } as const;
        answer({ type: 'commandsAnswered', instanceId, number, outcome });
        break;
      }
      case 'answerClaim': {
        const { callId, lease } = askedBy(asked, 'claim');
        const { allocationId } = lease;
        answer({ type: 'claimAnswered', callId, allocationId, answer: { ok: true, reply: effect.reply } });
        break;
      }
      case 'answerRenewal': {
        const { callId } = askedBy(asked, 'renew');
        const reply = { ok: true, reply: effect.reply } as const;
        answer({ type: 'renewalAnswered', callId, peer: peerOf(index), answer: reply });
        break;
      }
      case 'answerRelease': {
        const { callId } = askedBy(asked, 'release');
        answer({ type: 'releaseAnswered', callId, peer: peerOf(index), answer: { ok: true, reply: {} } });
        break;
      }
      case 'answerProblem':
        answer(refusal(process, asked?.message, effect.problem));
        break;
      case 'tellFenced':
        out.sent.push({
          to: `rm${effect.linkKey}`,
          message: { type: 'fenced', epoch: Number(effect.token.epoch) },
        });
        break;
      case 'stop':
      case 'refuseCluster':
        throw new Error(`${effect.type} at ${nowMs}`);
      case 'journal':
      case 'leaseClaimed':
      case 'leaseEnded':
        break;
    }
  }
}

function askedBy<T extends SlotMessage['type']>(
  asked: { readonly message: SlotMessage } | null,
  type: T,
): SlotMessageOf<T> {
  if (asked?.message.type !== type) throw new Error(`an answer to ${type} that nobody has asked for`);
  return asked.message as SlotMessageOf<T>;
}

function refusal(
  { index, incarnation }: TaskExecutorProcess,
  asked: SlotMessage | undefined,
  problem: Extract<TaskExecutorEffect, { type: 'answerProblem' }>['problem'],
): SlotMessage {
  const answer = { ok: false, problem } as const;
  switch (asked?.type) {
    case 'commands': {
      const { number } = asked;
      const outcome = { kind: 'problem', problem } as const;
      return { type: 'commandsAnswered', instanceId: instanceOf(index, incarnation), number, outcome };
    }
    case 'claim': {
      const { callId, lease } = asked;
      return { type: 'claimAnswered', callId, allocationId: lease.allocationId, answer };
    }
    case 'renew':
      return { type: 'renewalAnswered', callId: asked.callId, peer: peerOf(index), answer };
    case 'release':
      return { type: 'releaseAnswered', callId: asked.callId, peer: peerOf(index), answer };
    default:
      throw new Error(`a problem in answer to ${asked?.type}`);
  }
}

/** As job masters name that task executor. */
export function peerOf(index: number): string {
  return `te-${index}@te-${index}:1`;
}
