import type { JobId, JobMasterId } from '../../../src/core/ids.ts';
import type { RequestBody, RequestType } from '../../../src/core/messages/catalogue.ts';
import type { RegistrationOrder } from '../../../src/core/messages/primitives.ts';
import type { LeaseKey } from '../../../src/core/messages/slots.ts';
import { dialChannel } from '../../../src/rpc/handshake.ts';
import type { InMemoryNetwork } from '../../../src/rpc/in-memory-network.ts';
import type { MessageChannel, Outcome } from '../../../src/rpc/message-channel.ts';
import type { CloseReason } from '../../../src/rpc/connection.ts';
import type { Role } from '../../../src/core/messages/handshake.ts';
import { NO_SECRET } from '../../../src/runtime/prover.ts';
import type { Randomness } from '../../../src/runtime/randomness.ts';

/** One process of a job, connected to one task executor. */
export class TestingJobMaster {
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
  readonly order: RegistrationOrder;
  closed: CloseReason | null = null;
  channel: MessageChannel | null = null;

  constructor(
    network: InMemoryNetwork,
    randomness: Randomness,
    address: string,
    who: { jobId: string; jobMasterId: string; revision: number; role?: Role },
  ) {
    this.jobId = who.jobId as JobId;
    this.jobMasterId = who.jobMasterId as JobMasterId;
    this.order = { generation: 1, revision: BigInt(who.revision) };
    const identity = {
      role: who.role ?? ('job-master' as const),
      cluster: 'test',
      id: who.jobId,
      instance: who.jobMasterId,
    };
    const context = { clock: network.clock, randomness, prover: NO_SECRET, identity };
    dialChannel(context, network.dialer(`${who.jobMasterId}:1`), address, 'task-executor', {
      onReady: (channel) => {
        this.channel = channel;
      },
      onRequest: () => {},
      onNotification: () => {},
      onClose: (reason) => {
        this.closed = reason;
      },
    });
  }

  claim(lease: LeaseKey): { outcome: Outcome<'claimSlot'> | null } {
    return this.ask('claimSlot', { ...this.#self, order: this.order, lease });
  }

  renew(leases: LeaseKey[]): { outcome: Outcome<'renewLeases'> | null } {
    return this.ask('renewLeases', { ...this.#self, order: this.order, leases });
  }

  release(leases: LeaseKey[]): { outcome: Outcome<'releaseLeases'> | null } {
    return this.ask('releaseLeases', { ...this.#self, leases });
  }

  ask<T extends RequestType>(type: T, body: RequestBody<T>): { outcome: Outcome<T> | null } {
    const sent: { outcome: Outcome<T> | null } = { outcome: null };
    this.channel?.request(type, body, 5_000, (outcome) => {
      sent.outcome = outcome;
    });
    return sent;
  }

  get #self(): { jobId: JobId; jobMasterId: JobMasterId } {
    return { jobId: this.jobId, jobMasterId: this.jobMasterId };
  }
}
