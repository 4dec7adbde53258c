import { type CommandNumber, compareCommandNumbers } from '../../../../src/core/command-number.ts';
import type { AllocationId, InstanceId, JobId, JobMasterId, ResourceId } from '../../../../src/core/ids.ts';
import type { SlotCommand, SlotCommandResult, SlotReport } from '../../../../src/core/messages/slots.ts';
import type { ResourceProfile } from '../../../../src/core/resource-profile.ts';
import type {
  SlotManagerEffect,
  SlotManagerEvent,
} from '../../../../src/core/slotmanager/slot-manager-events.ts';

export type Call = Extract<SlotManagerEffect, { type: 'sendSlotCommands' }>;
type Outcome = Extract<SlotManagerEvent, { type: 'slotCommandsAnswered' }>['outcome'];
type Status = SlotReport['slots'][number];
type Lease = NonNullable<Status['lease']>;

interface Slot {
  readonly slotNumber: number;
  readonly profile: ResourceProfile;
  state: 'free' | 'granted' | 'claimed';
  lease: Lease | null;
}

/** A task executor as the protocol wants it: obeys higher numbers only, reports each change. */
export class ModelTaskExecutor {
  readonly resourceId: ResourceId;
  instanceId: InstanceId;
  readonly slots: Slot[];
  lastSeen: CommandNumber | null = null;
  reportNumber = 0;
  draining = false;
  /** Whether the leader has been told of this instance, over a connection that stands. */
  connected = false;
  /** Reports under way, oldest first. */
  reports: { readonly instanceId: InstanceId; readonly report: SlotReport }[] = [];
  #instances = 1;
  #grantNumber = 0;

  constructor(resourceId: string, profiles: readonly ResourceProfile[]) {
    this.resourceId = resourceId as ResourceId;
    this.instanceId = `${resourceId}#1` as InstanceId;
    this.slots = profiles.map((profile, slotNumber) => ({ slotNumber, profile, state: 'free', lease: null }));
  }

  /** A new process in its place; its leases come back from the state file, or not. */
  restart(keepsLeases: boolean): void {
    this.instanceId = `${this.resourceId}#${++this.#instances}` as InstanceId;
    this.connected = false;
    this.reports = [];
    this.reportNumber = 0;
    if (keepsLeases) return;
    for (const slot of this.slots) vacate(slot);
  }

  execute(call: Call, refuse: boolean): Outcome {
    if (call.instanceId !== this.instanceId || !this.connected)
      return { kind: 'problem', problem: { code: 'UNKNOWN_TASK_EXECUTOR', detail: 'another instance' } };
    if (this.lastSeen !== null && compareCommandNumbers(call.number, this.lastSeen) <= 0)
      return { kind: 'problem', problem: { code: 'STALE', detail: 'seen a later one' } };
    this.lastSeen = call.number;
    const changed = new Set<Slot>();
    const results = call.commands.map((command) => this.#one(command, refuse, changed));
    if (changed.size > 0) this.#changed([...changed]);
    return { kind: 'done', results };
  }

  claim(allocationId: AllocationId): boolean {
    const slot = this.slots.find((each) => each.lease?.allocationId === allocationId);
    if (slot === undefined) return false;
    if (slot.state === 'granted') {
      slot.state = 'claimed';
      this.#changed([slot]);
    }
    return true;
  }

  /** The lease ends: released, lapsed or never claimed. */
  end(slotNumber: number): void {
    const slot = this.slots[slotNumber % this.slots.length];
    if (slot === undefined || slot.state === 'free') return;
    vacate(slot);
    this.#changed([slot]);
  }

  fullReport(): SlotReport {
    return this.#report(true, this.slots);
  }

  queueFullReport(): void {
    this.reports.push({ instanceId: this.instanceId, report: this.fullReport() });
  }

  #changed(slots: Slot[]): void {
    this.reports.push({ instanceId: this.instanceId, report: this.#report(false, slots) });
  }

  #report(full: boolean, slots: Slot[]): SlotReport {
    const { lastSeen, draining } = this;
    const copies = slots.map((slot) => ({ ...slot }));
    return { reportNumber: ++this.reportNumber, full, lastSeen, draining, slots: copies };
  }

  #one(command: SlotCommand, refuse: boolean, changed: Set<Slot>): SlotCommandResult {
    if (command.kind === 'drain') this.draining = command.draining;
    if (command.kind !== 'requestSlot' && command.kind !== 'freeSlot')
      return { outcome: 'done', grantNumber: null };
    const slot = this.slots[command.slotNumber];
    if (slot === undefined) return refusal('INVALID');
    if (command.kind === 'freeSlot') {
      if (slot.lease?.allocationId !== command.allocationId) return { outcome: 'done', grantNumber: null };
      if (slot.state === 'claimed') return refusal('CONFLICT');
      vacate(slot);
      changed.add(slot);
      return { outcome: 'done', grantNumber: null };
    }
    if (slot.lease?.allocationId === command.allocationId)
      return { outcome: 'done', grantNumber: slot.lease.grantNumber };
    if (slot.state !== 'free') return refusal('SLOT_TAKEN');
    if (refuse || this.draining) return refusal('UNAVAILABLE');
    const { allocationId, jobId, jobMasterId } = command;
    const { instanceId } = this;
    slot.state = 'granted';
    slot.lease = { allocationId, jobId, jobMasterId, instanceId, grantNumber: ++this.#grantNumber };
    changed.add(slot);
    return { outcome: 'done', grantNumber: this.#grantNumber };
  }
}

export const MODEL_JOB = 'job' as JobId;
export const MODEL_MASTER = 'master' as JobMasterId;

function vacate(slot: Slot): void {
  slot.state = 'free';
  slot.lease = null;
}

function refusal(code: 'INVALID' | 'SLOT_TAKEN' | 'UNAVAILABLE' | 'CONFLICT'): SlotCommandResult {
  return { outcome: 'refused', problem: { code, detail: 'no' } };
}
