import type { FencingToken } from '../../src/core/fencing-token.ts';
import type { AllocationId, ClusterId, LeaderSessionId, ResourceManagerId } from '../../src/core/ids.ts';
import type { NotificationBody, NotificationType, RequestType } from '../../src/core/messages/catalogue.ts';
import type { SlotGrant } from '../../src/core/messages/slots.ts';
import type { Problem } from '../../src/core/problem.ts';
import { acceptChannels } from '../../src/rpc/handshake.ts';
import type { InMemoryNetwork } from '../../src/rpc/in-memory-network.ts';
import type { InboundNotification, InboundRequest, MessageChannel } from '../../src/rpc/message-channel.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { NO_SECRET } from '../../src/runtime/prover.ts';
import { SeededRandomness } from './testing-randomness.ts';

/** Token of the first generation with that epoch. */
export function tokenOf(epoch: number): FencingToken {
  return { generation: 1, epoch: BigInt(epoch), leaderSessionId: `session-${epoch}` as LeaderSessionId };
}

/** A resource manager as a job master sees it: takes note of everything, says what the test tells it to. */
export class TestingLeader {
  readonly id: ResourceManagerId;
  readonly address: string;
  token: FencingToken | null = null;
  order = { generation: 1, revision: 5n };
  /** What comes instead of the ordinary answer; `silent` for none. */
  readonly script = new Map<RequestType, Problem | 'silent'>();
  /** Ids that the next heartbeats are told to be unknown. */
  unknown: AllocationId[] = [];
  /** Gives each request a slot as soon as it comes, when set. */
  grantOf: ((allocationId: AllocationId) => SlotGrant | null) | null = null;
  readonly requests: InboundRequest[] = [];
  readonly notifications: InboundNotification[] = [];
  readonly channels = new Set<MessageChannel>();

  constructor(network: InMemoryNetwork, clock: Clock, address: string) {
    this.address = address;
    this.id = `rm-at-${address.replace(':', '-')}` as ResourceManagerId;
    const identity = { role: 'resource-manager', cluster: 'c', id: this.id, instance: 'boot' } as const;
    const context = { clock, randomness: new SeededRandomness(1, address), prover: NO_SECRET, identity };
    network.listen(
      address,
      acceptChannels(context, (channel) => {
        this.channels.add(channel);
        return {
          onRequest: (request) => this.#onRequest(channel, request),
          onNotification: (notification) => this.notifications.push(notification),
          onClose: () => this.channels.delete(channel),
        };
      }),
    );
  }

  /** Leads from now on and says so to everybody. */
  lead(epoch: number): void {
    const token = tokenOf(epoch);
    this.token = token;
    const { id: resourceManagerId, address } = this;
    this.notify('notifyOfNewResourceManagerLeader', {
      token,
      resourceManagerId,
      address,
      clusterId: 'cluster-1' as ClusterId,
    });
  }

  notify<T extends NotificationType>(type: T, body: NotificationBody<T>): void {
    for (const channel of this.channels) channel.notify(type, body);
  }

  /** Tells of grants, under its own token or another one. */
  grant(jobMasterId: string, grants: readonly SlotGrant[], token = this.token): void {
    if (token === null) throw new Error('it does not lead');
    this.notify('notifySlotsAllocated', { token, jobMasterId: jobMasterId as never, grants });
  }

  received<T extends RequestType>(type: T): Extract<InboundRequest, { readonly type: T }>['body'][] {
    return this.requests.flatMap((request) => (request.type === type ? [request.body as never] : []));
  }

  #onRequest(channel: MessageChannel, request: InboundRequest): void {
    this.requests.push(request);
    const scripted = this.script.get(request.type);
    if (scripted === 'silent') return;
    if (scripted !== undefined) return request.fail(scripted);
    switch (request.type) {
      case 'introduceJobMaster': {
        const { token, id: resourceManagerId, address } = this;
        const leader = token === null ? null : { resourceManagerId, address, token };
        return request.respond({ clusterId: 'cluster-1' as ClusterId, candidates: [], leader });
      }
      case 'ping':
        return request.respond({ state: 'standby', epoch: null });
      default:
        if (this.token === null) return request.fail({ code: 'NOT_LEADER', detail: 'a standby' });
    }
    switch (request.type) {
      case 'registerJobMaster':
        return request.respond({ order: this.order });
      case 'requestSlots': {
        const results = request.body.requests.map(({ allocationId }) => ({ allocationId, problem: null }));
        request.respond({ results });
        const grants = results.flatMap(({ allocationId }) => this.grantOf?.(allocationId) ?? []);
        const { token } = this;
        if (token === null || grants.length === 0) return;
        return channel.notify('notifySlotsAllocated', {
          token,
          jobMasterId: request.body.jobMasterId,
          grants,
        });
      }
      case 'heartbeatJobMaster':
        return request.respond({ unknown: this.unknown });
      case 'cancelSlotRequests':
      case 'rejectSlot':
      case 'disconnectJobMaster':
        return request.respond({});
      default:
        return request.fail({ code: 'INVALID', detail: `no ${request.type} here` });
    }
  }
}
