import type { JobId, JobMasterId } from '../core/ids.ts';
import type { SlotPoolEffect, SlotPoolEvent } from '../core/jobmaster/slot-pool-events.ts';
import type { RegistrationOrder } from '../core/messages/primitives.ts';
import type { Timing } from '../core/timing.ts';
import type { LeaderRegistration } from './leader-registration.ts';
import type { TaskExecutorConnections } from './task-executor-connections.ts';

type ToLeader = Extract<SlotPoolEffect, { type: 'requestSlots' | 'cancelSlotRequests' | 'rejectSlot' }>;
type ToTaskExecutor = Extract<SlotPoolEffect, { type: 'claimSlot' | 'renewLeases' | 'releaseLeases' }>;

export interface SlotPoolCallsSurroundings {
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
  readonly timing: Timing;
  readonly leader: LeaderRegistration;
  readonly taskExecutors: TaskExecutorConnections;
  /** Null before the job was ever registered. */
  readonly order: () => RegistrationOrder | null;
  readonly feed: (event: SlotPoolEvent) => void;
}

/** Makes the calls that the slot pool wants made, and feeds it their answers. */
export class SlotPoolCalls {
  readonly #around: SlotPoolCallsSurroundings;

  constructor(surroundings: SlotPoolCallsSurroundings) {
    this.#around = surroundings;
  }

  toLeader(effect: ToLeader): void {
    const { leader, timing, feed } = this.#around;
    const timeoutMs = timing.heartbeatIntervalMs;
    if (effect.type === 'rejectSlot') {
      const { allocationId, slotId, grantNumber, reason } = effect;
      // Lost, it does no harm: a slot that nobody claims is freed, and told again meanwhile.
      const body = { allocationId, slotId, grantNumber, reason };
      return leader.request('rejectSlot', body, timeoutMs, () => {});
    }
    const { callId } = effect;
    if (effect.type === 'requestSlots') {
      const { requests } = effect;
      return leader.request('requestSlots', { requests }, timeoutMs, (answer) =>
        feed({ type: 'requestsAnswered', callId, answer }),
      );
    }
    const { allocationIds } = effect;
    leader.request('cancelSlotRequests', { allocationIds }, timeoutMs, (answer) =>
      feed({ type: 'cancellationAnswered', callId, answer }),
    );
  }

  toTaskExecutor(effect: ToTaskExecutor): void {
    const { jobId, jobMasterId, taskExecutors, feed } = this.#around;
    const { taskExecutorCallMs, slotRenewalMs } = this.#around.timing;
    const timeoutMs = Math.min(taskExecutorCallMs, slotRenewalMs / 2);
    const { callId, peer } = effect;
    if (effect.type === 'releaseLeases') {
      const body = { jobId, jobMasterId, leases: effect.leases };
      return taskExecutors.request(peer, 'releaseLeases', body, timeoutMs, (answer) =>
        feed({ type: 'releaseAnswered', callId, peer, answer }),
      );
    }
    const order = this.#around.order();
    // Grants are obeyed after a registration only, and that brings the order.
    if (order === null) throw new Error('a slot is claimed before the job was ever registered');
    if (effect.type === 'claimSlot') {
      const { lease } = effect;
      const body = { jobId, jobMasterId, order, lease };
      return taskExecutors.request(peer, 'claimSlot', body, timeoutMs, (answer) =>
        feed({ type: 'claimAnswered', callId, allocationId: lease.allocationId, answer }),
      );
    }
    const body = { jobId, jobMasterId, order, leases: effect.leases };
    taskExecutors.request(peer, 'renewLeases', body, timeoutMs, (answer) =>
      feed({ type: 'renewalAnswered', callId, peer, answer }),
    );
  }
}
