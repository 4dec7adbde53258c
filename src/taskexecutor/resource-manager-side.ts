import type { FencingToken } from '../core/fencing-token.ts';
import type { ClusterId, InstanceId } from '../core/ids.ts';
import type { ClusterView } from '../core/messages/handshake.ts';
import { QuartermasterError } from '../core/problem.ts';
import type { TaskExecutorEffect, TaskExecutorEvent } from '../core/taskexecutor/task-executor-events.ts';
import type { HandshakeContext } from '../rpc/handshake.ts';
import type { InboundNotification, InboundRequest } from '../rpc/message-channel.ts';
import {
  ResourceManagerLinks,
  type Introduction,
  type ResourceManagerLink,
} from '../rpc/resource-manager-links.ts';
import type { Logger } from '../runtime/logger.ts';
import { LeaderSession } from './leader-session.ts';
import type { TaskExecutorOptions } from './task-executor-options.ts';

/** A call of slot commands, to be answered. */
export type CommandRequest = Extract<InboundRequest, { readonly type: 'executeSlotCommands' }>;

export interface ResourceManagerSideOptions {
  readonly executor: TaskExecutorOptions;
  readonly instanceId: InstanceId;
  readonly context: HandshakeContext;
  readonly logger: Logger;
  /** What is shown to each resource manager at the start of a connection. */
  readonly known: () => { readonly clusterId: ClusterId | null; readonly highestToken: FencingToken | null };
  /** Passes an event to the book. */
  readonly post: (event: TaskExecutorEvent) => void;
  readonly onCommands: (request: CommandRequest) => void;
  /** A newer process of this name has taken over. */
  readonly onSuperseded: (error: QuartermasterError) => void;
}

/** A task executor's connections to all resource managers, and its session with the one that leads. */
export class ResourceManagerSide {
  readonly #options: ResourceManagerSideOptions;
  readonly #links: ResourceManagerLinks;
  readonly #session: LeaderSession;
  readonly #keys = new Map<ResourceManagerLink, number>();
  readonly #linksByKey = new Map<number, ResourceManagerLink>();
  readonly #refused = new Set<number>();
  #nextKey = 1;

  constructor(options: ResourceManagerSideOptions) {
    const { executor, instanceId, context, logger, post, onSuperseded } = options;
    const { timing, clock, randomness, address, provider } = executor;
    this.#options = options;
    this.#session = new LeaderSession({
      resourceId: executor.identity.resourceId,
      instanceId,
      address,
      provider,
      timing,
      clock,
      randomness,
      logger,
      post,
      onSuperseded,
    });
    this.#links = new ResourceManagerLinks({
      context,
      dialer: executor.dialer,
      logger,
      seeds: executor.seeds,
      pingIntervalMs: timing.heartbeatIntervalMs,
      pingTimeoutMs: timing.heartbeatTimeoutMs,
      listener: {
        introduction: () => this.#introduction(),
        ping: () => options.known(),
        onClusterView: (link, view) => this.#viewed(link, view),
        onRequest: (link, request) => this.#requested(link, request),
        onNotification: (link, notification) => this.#notified(link, notification),
        onLinkDown: (link) => this.#linkDown(link),
      },
    });
  }

  get session(): LeaderSession {
    return this.#session;
  }

  /** Starts to dial. */
  start(): void {
    this.#links.start();
  }

  /** Hangs up on everybody. */
  close(): void {
    this.#session.close();
    this.#links.close();
  }

  /** Sends the registration over the connection of that key; nothing when it has ended. */
  register({ linkKey, token, report }: Extract<TaskExecutorEffect, { type: 'register' }>): void {
    const link = this.#linksByKey.get(linkKey);
    if (link !== undefined) this.#session.register(link, linkKey, token, report);
  }

  /** Tells a leader of old which token has been seen. */
  tellFenced({ linkKey, token }: Extract<TaskExecutorEffect, { type: 'tellFenced' }>): void {
    this.#linksByKey.get(linkKey)?.channel.notify('fenced', { token });
  }

  /** Says, once for each connection, that its resource manager is not of this task executor's cluster. */
  refuseCluster({ linkKey, known, offered }: Extract<TaskExecutorEffect, { type: 'refuseCluster' }>): void {
    const link = this.#linksByKey.get(linkKey);
    if (link === undefined || this.#refused.has(linkKey)) return;
    this.#refused.add(linkKey);
    const detail = `This task executor belongs to the cluster with id ${known}; ${link.resourceManagerId} serves the one with id ${offered}.`;
    const fields = { address: link.address, clusterId: offered, known, detail };
    this.#options.logger.log('error', 'wrong-cluster', fields);
    link.channel.notify('problem', { code: 'WRONG_CLUSTER', detail });
  }

  #introduction(): Introduction {
    const { executor, instanceId, known } = this.#options;
    const { resourceId } = executor.identity;
    const { address } = executor;
    return { type: 'introduceTaskExecutor', body: { resourceId, instanceId, address, ...known() } };
  }

  #viewed(link: ResourceManagerLink, { leader, clusterId }: ClusterView): void {
    if (leader === null) return;
    const linkKey = this.#keyOf(link);
    const byItself = leader.resourceManagerId === link.resourceManagerId;
    this.#options.post({ type: 'leaderAnnounced', linkKey, byItself, token: leader.token, clusterId });
  }

  #notified(link: ResourceManagerLink, { type, body }: InboundNotification): void {
    const { post, logger, onSuperseded } = this.#options;
    const linkKey = this.#keyOf(link);
    if (type === 'notifyOfNewResourceManagerLeader') {
      const { token, clusterId } = body;
      post({ type: 'leaderAnnounced', linkKey, byItself: true, token, clusterId });
    } else if (type === 'requestSlotReport') {
      post({ type: 'reportRequested', token: body.token, instanceId: body.instanceId });
    } else if (type === 'problem') {
      const { code, detail } = body;
      logger.log('warn', 'problem-told', { address: link.address, code, detail });
      if (code === 'SUPERSEDED' && this.#session.isLeader(linkKey))
        onSuperseded(new QuartermasterError(body));
    }
  }

  #requested(link: ResourceManagerLink, request: InboundRequest): void {
    if (request.type === 'executeSlotCommands') return this.#options.onCommands(request);
    request.fail({
      code: 'FORBIDDEN',
      detail: `A task executor is not asked ${request.type}, as ${link.resourceManagerId} did.`,
    });
  }

  #linkDown(link: ResourceManagerLink): void {
    const linkKey = this.#keys.get(link);
    if (linkKey === undefined) return;
    this.#keys.delete(link);
    this.#linksByKey.delete(linkKey);
    this.#refused.delete(linkKey);
    this.#session.linkDown(linkKey);
    this.#options.post({ type: 'linkLost', linkKey });
  }

  #keyOf(link: ResourceManagerLink): number {
    const known = this.#keys.get(link);
    if (known !== undefined) return known;
    const linkKey = this.#nextKey++;
    this.#keys.set(link, linkKey);
    this.#linksByKey.set(linkKey, link);
    return linkKey;
  }
}
