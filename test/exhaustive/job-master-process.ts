import type { AllocationId } from '../../src/core/ids.ts';
import type { SlotPoolEffect, SlotPoolEvent } from '../../src/core/jobmaster/slot-pool-events.ts';
import type { SlotPool } from '../../src/core/jobmaster/slot-pool.ts';
import type { Problem } from '../../src/core/problem.ts';
import type { Turn } from './processes.ts';
import { PROFILE, type SlotMachines, TIMING } from './slot-machines.ts';
import type { SlotMessage } from './slot-messages.ts';

type Call =
  | {
      readonly callId: number;
      readonly type: 'claim';
      readonly peer: string;
      readonly allocationId: AllocationId;
    }
  | { readonly callId: number; readonly type: 'renew' | 'release'; readonly peer: string }
  | { readonly callId: number; readonly type: 'request' | 'cancel'; readonly peer: null };

/** A job master: the slot pool that ships, and a shell that knows one leader at a time, as the real one does. */
export interface JobMasterProcess {
  readonly kind: 'jm';
  readonly index: number;
  readonly pool: SlotPool;
  readonly allocationIds: readonly AllocationId[];
  /** Highest epoch seen. */
  highest: number;
  /** Epoch of the leader that has acknowledged the registration. */
  registered: number | null;
  lastRegistered: number | null;
  /** A registration waits for its answer. */
  registering: boolean;
  calls: readonly Call[];
}

type Out = Turn<SlotMessage>;

const NO_ANSWER: Problem = { code: 'NO_ANSWER', detail: '' };

export function startJobMaster(machines: SlotMachines, index: number, wanted: number): JobMasterProcess {
  return {
    kind: 'jm',
    index,
    pool: new machines.SlotPool(TIMING),
    allocationIds: Array.from({ length: wanted }, (_, n) => `a${index}${n}` as AllocationId),
    highest: 0,
    registered: null,
    lastRegistered: null,
    registering: false,
    calls: [],
  };
}

/** Its user wants its slots. */
export function askForSlots(process: JobMasterProcess, nowMs: number, out: Out): void {
  const requests = process.allocationIds.map((allocationId) => ({ allocationId, profile: PROFILE }));
  feed(process, { type: 'slotsRequested', requests, timeoutMs: 3_600_000 }, nowMs, out);
}

/** Its user is done with the first slot. */
export function giveBack(process: JobMasterProcess, nowMs: number, out: Out): void {
  feed(
    process,
    { type: 'allocationsReleased', allocationIds: process.allocationIds.slice(0, 1) },
    nowMs,
    out,
  );
}

/** Takes a message. */
export function jobMasterTakes(
  process: JobMasterProcess,
  message: SlotMessage,
  nowMs: number,
  out: Out,
): void {
  switch (message.type) {
    case 'announce':
      return adopt(process, message.epoch, `rm${message.epoch}`, nowMs, out);
    case 'jobMasterRegistered': {
      process.registering = false;
      if (message.epoch !== process.highest) return register(process, out);
      process.registered = message.epoch;
      const newTerm = process.lastRegistered !== message.epoch;
      process.lastRegistered = message.epoch;
      return feed(process, { type: 'registered', newTerm }, nowMs, out);
    }
    case 'grants':
    case 'requestFailed':
    case 'checkAllocations':
    case 'requestsUnknown':
      return command(process, message, nowMs, out);
    case 'requestsAnswered':
    case 'cancellationAnswered':
    case 'claimAnswered':
    case 'renewalAnswered':
    case 'releaseAnswered':
      if (!process.calls.some(({ callId }) => callId === message.callId)) return;
      process.calls = process.calls.filter(({ callId }) => callId !== message.callId);
      return feed(process, message, nowMs, out);
    default:
      throw new Error(`a job master takes no ${message.type}`);
  }
}

/** Looks at the time; `beat` also sends the heartbeat, or the registration again. */
export function jobMasterTicks(process: JobMasterProcess, nowMs: number, beat: boolean, out: Out): void {
  feed(process, { type: 'tick' }, nowMs, out);
  if (!beat) return;
  const { registered: epoch } = process;
  if (epoch !== null) {
    const message = { type: 'heartbeatJobMaster', epoch, unfinished: process.pool.unfinished() } as const;
    out.sent.push({ to: `rm${epoch}`, message });
  } else if (process.highest > 0) {
    process.registering = false;
    register(process, out);
  }
}

/** It ran again after it had not for a while. */
export function jobMasterWakes(process: JobMasterProcess, nowMs: number, out: Out): void {
  feed(process, { type: 'gap', lostMs: 0 }, nowMs, out);
  feed(process, { type: 'tick' }, nowMs, out);
}

/** Calls that were not answered in time; null stands for those to the leader. */
export function callsTimeOut(process: JobMasterProcess, peer: string | null, nowMs: number, out: Out): void {
  const over = process.calls.filter((call) => call.peer === peer);
  process.calls = process.calls.filter((call) => call.peer !== peer);
  for (const call of over) feed(process, unanswered(call), nowMs, out);
}

/** The connection to that task executor ended, and stands again. */
export function connectionBroke(process: JobMasterProcess, peer: string, nowMs: number, out: Out): void {
  callsTimeOut(process, peer, nowMs, out);
  feed(process, { type: 'peerDisconnected', peer }, nowMs, out);
  feed(process, { type: 'peerConnected', peer }, nowMs, out);
}

function unanswered(call: Call): SlotPoolEvent {
  const { callId } = call;
  const answer = { ok: false, problem: NO_ANSWER } as const;
  switch (call.type) {
    case 'claim':
      return { type: 'claimAnswered', callId, allocationId: call.allocationId, answer };
    case 'renew':
      return { type: 'renewalAnswered', callId, peer: call.peer, answer };
    case 'release':
      return { type: 'releaseAnswered', callId, peer: call.peer, answer };
    case 'request':
      return { type: 'requestsAnswered', callId, answer };
    case 'cancel':
      return { type: 'cancellationAnswered', callId, answer };
  }
}

function adopt(process: JobMasterProcess, epoch: number, from: string, nowMs: number, out: Out): void {
  if (epoch < process.highest) {
    out.sent.push({ to: from, message: { type: 'fenced', epoch: process.highest } });
    return;
  }
  if (epoch > process.highest) {
    process.highest = epoch;
    if (process.registered !== null) {
      process.registered = null;
      feed(process, { type: 'registrationLost' }, nowMs, out);
    }
  }
  if (process.registered === null) register(process, out);
}

function register(process: JobMasterProcess, out: Out): void {
  if (process.registering) return;
  process.registering = true;
  const epoch = process.highest;
  out.sent.push({ to: `rm${epoch}`, message: { type: 'registerJobMaster', epoch } });
}

/** Obeys only the leader that has acknowledged the registration; whatever it said before is told again. */
function command(
  process: JobMasterProcess,
  message: Extract<
    SlotMessage,
    { readonly type: 'grants' | 'requestFailed' | 'checkAllocations' | 'requestsUnknown' }
  >,
  nowMs: number,
  out: Out,
): void {
  const { epoch } = message;
  if (process.registered !== epoch) return adopt(process, epoch, `rm${epoch}`, nowMs, out);
  switch (message.type) {
    case 'grants':
      return feed(process, { type: 'slotsAllocated', grants: message.grants }, nowMs, out);
    case 'requestFailed':
      return feed(process, { type: 'requestsFailed', failures: [message] }, nowMs, out);
    case 'checkAllocations':
      return feed(process, { type: 'allocationsDoubted', allocationIds: message.allocationIds }, nowMs, out);
    case 'requestsUnknown':
      return feed(process, { type: 'requestsUnknown', allocationIds: message.allocationIds }, nowMs, out);
  }
}

function feed(process: JobMasterProcess, event: SlotPoolEvent, nowMs: number, out: Out): void {
  for (const effect of process.pool.handle(event, nowMs)) perform(process, effect, nowMs, out);
}

function perform(process: JobMasterProcess, effect: SlotPoolEffect, nowMs: number, out: Out): void {
  const { registered: epoch } = process;
  const call = (to: string, message: SlotMessage, made: Call): void => {
    process.calls = [...process.calls, made];
    out.sent.push({ to, message });
  };
  switch (effect.type) {
    case 'requestSlots': {
      const { callId, requests } = effect;
      if (epoch === null) throw new Error('slots are requested of nobody');
      const message = { type: 'requestSlots', epoch, callId, requests } as const;
      return call(`rm${epoch}`, message, { callId, type: 'request', peer: null });
    }
    case 'cancelSlotRequests': {
      const { callId, allocationIds } = effect;
      if (epoch === null) throw new Error('requests are cancelled at nobody');
      const message = { type: 'cancelSlotRequests', epoch, callId, allocationIds } as const;
      return call(`rm${epoch}`, message, { callId, type: 'cancel', peer: null });
    }
    case 'rejectSlot': {
      const { allocationId, slotId, grantNumber, reason } = effect;
      if (epoch === null) return;
      const message = { type: 'rejectSlot', epoch, allocationId, slotId, grantNumber, reason } as const;
      out.sent.push({ to: `rm${epoch}`, message });
      return;
    }
    case 'connect':
      return feed(process, { type: 'peerConnected', peer: effect.peer }, nowMs, out);
    case 'claimSlot': {
      const { callId, peer, lease } = effect;
      const { allocationId } = lease;
      return call(
        toTaskExecutor(peer),
        { type: 'claim', callId, lease },
        { callId, type: 'claim', peer, allocationId },
      );
    }
    case 'renewLeases': {
      const { callId, peer, leases } = effect;
      return call(toTaskExecutor(peer), { type: 'renew', callId, leases }, { callId, type: 'renew', peer });
    }
    case 'releaseLeases': {
      const { callId, peer, leases } = effect;
      return call(
        toTaskExecutor(peer),
        { type: 'release', callId, leases },
        { callId, type: 'release', peer },
      );
    }
    case 'slotInHand': {
      const { allocationId, slotId, grantNumber } = effect.grant;
      out.notes.push(`in hand ${allocationId} ${slotId.resourceId}#${slotId.slotNumber} ${grantNumber}`);
      return;
    }
    case 'requestFailed':
      out.notes.push(`failed ${effect.allocationId} ${effect.problem.code}`);
      return;
    case 'jobSuperseded':
      throw new Error('a job master was superseded by nobody');
    case 'disconnect':
    case 'leaseEnded':
    case 'releaseFinished':
    case 'record':
      return;
  }
}

function toTaskExecutor(peer: string): string {
  return `te${peer.slice(3, peer.indexOf('@'))}`;
}
