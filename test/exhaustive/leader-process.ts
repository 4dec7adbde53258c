import type { CommandNumber } from '../../src/core/command-number.ts';
import type { InstanceId, ResourceId } from '../../src/core/ids.ts';
import type { SlotManager, SlotManagerEvent } from '../../src/core/slotmanager/slot-manager-events.ts';
import type { Turn } from './processes.ts';
import { jobOf, type SlotMachines, TIMING, tokenOf } from './slot-machines.ts';
import type { SlotMessage } from './slot-messages.ts';

/** A resource manager in one confirmed term: the slot manager that ships, and a shell that registers workers. */
export interface LeaderProcess {
  readonly kind: 'rm';
  readonly epoch: number;
  readonly manager: SlotManager;
  /** It knows that it leads no more: its books are gone and it says nothing. */
  over: boolean;
  jobMasters: readonly string[];
  /** Instances that are registered, by task executor. */
  instances: Readonly<Record<string, InstanceId>>;
  calls: readonly { readonly to: string; readonly instanceId: InstanceId; readonly number: CommandNumber }[];
}

type Out = Turn<SlotMessage>;

export function startLeader(
  machines: SlotMachines,
  epoch: number,
  nowMs: number,
  workers: readonly string[],
  out: Out,
): LeaderProcess {
  const token = tokenOf(epoch);
  const matching = machines.profileMatching as never;
  const manager = machines.createSlotManager({ token, timing: TIMING, nowMs, matching });
  for (const to of workers) out.sent.push({ to, message: { type: 'announce', epoch } });
  return { kind: 'rm', epoch, manager, over: false, jobMasters: [], instances: {}, calls: [] };
}

/**
 * Takes a message; `holdsKey`: whether etcd would still commit a write that is guarded by its candidate key;
 * `newest`: the instance of the sender that etcd's record names, which lists those before it as superseded.
 */
export function leaderTakes(
  process: LeaderProcess,
  from: string,
  message: SlotMessage,
  holdsKey: boolean,
  newest: InstanceId | null,
  nowMs: number,
  out: Out,
): void {
  if (process.over) return;
  const { epoch } = process;
  const index = Number(from.slice(2));
  const resourceId = `te-${index}` as ResourceId;
  const about = { jobId: jobOf(index).jobId, jobMasterId: jobOf(index).jobMasterId };
  switch (message.type) {
    case 'fenced':
      // Above its own token it asks etcd by a guarded write, and goes when its key is gone.
      if (message.epoch > epoch && !holdsKey) process.over = true;
      return;
    case 'registerTaskExecutor': {
      if (!holdsKey) return void (process.over = true);
      const { instanceId, report } = message;
      if (newest !== null && instanceId < newest) return;
      const knownBefore = instanceId !== `te-${index}.0`;
      process.instances = { ...process.instances, [from]: instanceId };
      out.sent.push({
        to: from,
        message: { type: 'taskExecutorRegistered', epoch, instanceId, knownBefore },
      });
      const address = `te-${index}:1`;
      const event = {
        type: 'taskExecutorRegistered',
        resourceId,
        instanceId,
        address,
        provider: null,
      } as const;
      return feed(process, { ...event, report }, null, nowMs, out);
    }
    case 'report': {
      const { instanceId, report } = message;
      return feed(process, { type: 'slotsReported', resourceId, instanceId, report }, null, nowMs, out);
    }
    case 'heartbeatTaskExecutor': {
      const { instanceId, reportNumber } = message;
      if (process.instances[from] !== instanceId) {
        out.sent.push({ to: from, message: { type: 'registerAgain', epoch } });
        return;
      }
      const event = { type: 'reportNumberSeen', resourceId, instanceId, reportNumber } as const;
      return feed(process, event, null, nowMs, out);
    }
    case 'commandsAnswered': {
      const { instanceId, number, outcome } = message;
      const known = process.calls.filter((call) => call.to === from && call.number.n === number.n);
      if (known.length === 0) return;
      process.calls = process.calls.filter((call) => !known.includes(call));
      const fenced = outcome.kind === 'problem' && outcome.problem.code === 'FENCED';
      if (fenced && !holdsKey) return void (process.over = true);
      const event = { type: 'slotCommandsAnswered', resourceId, instanceId, number, outcome } as const;
      return feed(process, event, null, nowMs, out);
    }
    case 'registerJobMaster':
      if (!holdsKey) return void (process.over = true);
      process.jobMasters = [...new Set([...process.jobMasters, from])].sort();
      out.sent.push({ to: from, message: { type: 'jobMasterRegistered', epoch } });
      return;
    case 'requestSlots': {
      const { callId, requests } = message;
      const event = { type: 'slotsRequested', answerKey: callId, ...jobOf(index), requests } as const;
      return feed(process, event, from, nowMs, out);
    }
    case 'cancelSlotRequests': {
      const { callId, allocationIds } = message;
      const answer = { ok: true, reply: {} } as const;
      out.sent.push({ to: from, message: { type: 'cancellationAnswered', callId, answer } });
      return feed(process, { type: 'slotRequestsCancelled', ...about, allocationIds }, from, nowMs, out);
    }
    case 'rejectSlot': {
      const { allocationId, slotId, grantNumber, reason } = message;
      const event = { type: 'slotRejected', ...about, allocationId, ...slotId, grantNumber, reason } as const;
      return feed(process, event, from, nowMs, out);
    }
    case 'heartbeatJobMaster': {
      const { unfinished } = message;
      return feed(
        process,
        { type: 'jobMasterHeartbeat', answerKey: 0, ...about, unfinished },
        from,
        nowMs,
        out,
      );
    }
    default:
      throw new Error(`a leader takes no ${message.type}`);
  }
}

/** Looks at the time. */
export function leaderTicks(process: LeaderProcess, nowMs: number, out: Out): void {
  if (!process.over) feed(process, { type: 'tick' }, null, nowMs, out);
}

/** Calls to that task executor that were not answered in time. */
export function leaderCallsTimeOut(process: LeaderProcess, to: string, nowMs: number, out: Out): void {
  const over = process.calls.filter((call) => call.to === to);
  process.calls = process.calls.filter((call) => call.to !== to);
  const resourceId = `te-${to.slice(2)}` as ResourceId;
  const outcome = { kind: 'noAnswer', detail: '' } as const;
  for (const { instanceId, number } of over) {
    feed(
      process,
      { type: 'slotCommandsAnswered', resourceId, instanceId, number, outcome },
      null,
      nowMs,
      out,
    );
  }
}

/** The connection to that task executor ended. */
export function leaderLoses(process: LeaderProcess, from: string, nowMs: number, out: Out): void {
  leaderCallsTimeOut(process, from, nowMs, out);
  const instanceId = process.instances[from];
  if (process.over || instanceId === undefined) return;
  const resourceId = `te-${from.slice(2)}` as ResourceId;
  feed(process, { type: 'taskExecutorUnreachable', resourceId, instanceId }, null, nowMs, out);
}

function feed(
  process: LeaderProcess,
  event: SlotManagerEvent,
  asker: string | null,
  nowMs: number,
  out: Out,
): void {
  const { epoch } = process;
  const toJob = (jobMasterId: string): string => `jm${jobMasterId.slice(3)}`;
  const toTaskExecutor = (resourceId: string): string => `te${resourceId.slice(3)}`;
  for (const effect of process.manager.handle(event, nowMs)) {
    switch (effect.type) {
      case 'acknowledgeSlotRequests': {
        const answer = { ok: true, reply: { results: effect.results } } as const;
        const message = { type: 'requestsAnswered', callId: effect.answerKey, answer } as const;
        if (asker !== null) out.sent.push({ to: asker, message });
        break;
      }
      case 'answerHeartbeat':
        if (asker !== null && effect.unknown.length > 0) {
          const message = { type: 'requestsUnknown', epoch, allocationIds: effect.unknown } as const;
          out.sent.push({ to: asker, message });
        }
        break;
      case 'sendSlotCommands': {
        const { instanceId, number, commands } = effect;
        const to = toTaskExecutor(effect.resourceId);
        process.calls = [...process.calls, { to, instanceId, number }];
        out.sent.push({ to, message: { type: 'commands', epoch, instanceId, number, commands } });
        break;
      }
      case 'notifySlotsAllocated':
        out.sent.push({
          to: toJob(effect.jobMasterId),
          message: { type: 'grants', epoch, grants: effect.grants },
        });
        break;
      case 'failSlotRequest': {
        const { allocationId, problem } = effect;
        const message = { type: 'requestFailed', epoch, allocationId, problem } as const;
        out.sent.push({ to: toJob(effect.jobMasterId), message });
        break;
      }
      case 'checkAllocations': {
        const { allocationIds } = effect;
        const message = { type: 'checkAllocations', epoch, allocationIds } as const;
        out.sent.push({ to: `jm${effect.jobId.slice(4)}`, message });
        break;
      }
      case 'requestSlotReport': {
        const { instanceId, resourceId } = effect;
        out.sent.push({
          to: toTaskExecutor(resourceId),
          message: { type: 'reportWanted', epoch, instanceId },
        });
        break;
      }
      case 'allocateContainer':
      case 'report':
        break;
    }
  }
}
