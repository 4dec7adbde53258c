import type { CommandNumber } from '../../src/core/command-number.ts';
import type { AllocationId, InstanceId } from '../../src/core/ids.ts';
import type { Answer, PerAllocation } from '../../src/core/jobmaster/slot-pool-events.ts';
import type {
  LeaseKey,
  SlotCommand,
  SlotGrant,
  SlotReport,
  SlotRequest,
} from '../../src/core/messages/slots.ts';
import type { Problem } from '../../src/core/problem.ts';
import type { SlotManagerEvent } from '../../src/core/slotmanager/slot-manager-events.ts';

type Outcome = Extract<SlotManagerEvent, { type: 'slotCommandsAnswered' }>['outcome'];

/** What is on its way between two processes of the slot model. Terms are named by their epoch. */
export type SlotMessage =
  | { readonly type: 'announce'; readonly epoch: number }
  | { readonly type: 'fenced'; readonly epoch: number }
  | {
      readonly type: 'registerTaskExecutor';
      readonly epoch: number;
      readonly instanceId: InstanceId;
      readonly report: SlotReport;
    }
  /** The leader does not know that instance. */
  | { readonly type: 'registerAgain'; readonly epoch: number }
  | {
      readonly type: 'taskExecutorRegistered';
      readonly epoch: number;
      readonly instanceId: InstanceId;
      readonly knownBefore: boolean;
    }
  | {
      readonly type: 'report';
      readonly epoch: number;
      readonly instanceId: InstanceId;
      readonly report: SlotReport;
    }
  | {
      readonly type: 'heartbeatTaskExecutor';
      readonly epoch: number;
      readonly instanceId: InstanceId;
      readonly reportNumber: number;
    }
  | {
      readonly type: 'commands';
      readonly epoch: number;
      readonly instanceId: InstanceId;
      readonly number: CommandNumber;
      readonly commands: readonly SlotCommand[];
    }
  | {
      readonly type: 'commandsAnswered';
      readonly instanceId: InstanceId;
      readonly number: CommandNumber;
      readonly outcome: Outcome;
    }
  | { readonly type: 'reportWanted'; readonly epoch: number; readonly instanceId: InstanceId }
  | { readonly type: 'registerJobMaster'; readonly epoch: number }
  | { readonly type: 'jobMasterRegistered'; readonly epoch: number }
  | {
      readonly type: 'heartbeatJobMaster';
      readonly epoch: number;
      readonly unfinished: readonly AllocationId[];
    }
  | {
      readonly type: 'requestsUnknown';
      readonly epoch: number;
      readonly allocationIds: readonly AllocationId[];
    }
  | {
      readonly type: 'requestSlots';
      readonly epoch: number;
      readonly callId: number;
      readonly requests: readonly SlotRequest[];
    }
  | {
      readonly type: 'requestsAnswered';
      readonly callId: number;
      readonly answer: Answer<{ readonly results: readonly PerAllocation[] }>;
    }
  | {
      readonly type: 'cancelSlotRequests';
      readonly epoch: number;
      readonly callId: number;
      readonly allocationIds: readonly AllocationId[];
    }
  | { readonly type: 'cancellationAnswered'; readonly callId: number; readonly answer: Answer<object> }
  | {
      readonly type: 'rejectSlot';
      readonly epoch: number;
      readonly allocationId: AllocationId;
      readonly slotId: SlotGrant['slotId'];
      readonly grantNumber: number;
      readonly reason: 'not-wanted' | 'unreachable';
    }
  | { readonly type: 'grants'; readonly epoch: number; readonly grants: readonly SlotGrant[] }
  | {
      readonly type: 'requestFailed';
      readonly epoch: number;
      readonly allocationId: AllocationId;
      readonly problem: Problem;
    }
  | {
      readonly type: 'checkAllocations';
      readonly epoch: number;
      readonly allocationIds: readonly AllocationId[];
    }
  | { readonly type: 'claim'; readonly callId: number; readonly lease: LeaseKey }
  | {
      readonly type: 'claimAnswered';
      readonly callId: number;
      readonly allocationId: AllocationId;
      readonly answer: Answer<{ readonly durationMs: number }>;
    }
  | { readonly type: 'renew'; readonly callId: number; readonly leases: readonly LeaseKey[] }
  | {
      readonly type: 'renewalAnswered';
      readonly callId: number;
      readonly peer: string;
      readonly answer: Answer<{ readonly durationMs: number; readonly results: readonly PerAllocation[] }>;
    }
  | { readonly type: 'release'; readonly callId: number; readonly leases: readonly LeaseKey[] }
  | {
      readonly type: 'releaseAnswered';
      readonly callId: number;
      readonly peer: string;
      readonly answer: Answer<object>;
    };

/** A message of that type. */
export type SlotMessageOf<T extends SlotMessage['type']> = Extract<SlotMessage, { readonly type: T }>;
