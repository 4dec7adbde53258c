import type { WorkerKnowledge } from '../core/election/worker-witnesses.ts';
import { type FencingToken, sameToken } from '../core/fencing-token.ts';
import type { ClusterView } from '../core/messages/handshake.ts';
import type { Problem } from '../core/problem.ts';
import type { LeaderElectionService } from '../ha/leader-election.ts';
import type {
  ChannelHandler,
  InboundNotification,
  InboundRequest,
  MessageChannel,
} from '../rpc/message-channel.ts';
import { SilentChannels } from '../rpc/silent-channels.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Mailbox } from '../runtime/mailbox.ts';
import type { Broadcast } from './broadcast.ts';
import type { Term } from './term.ts';
import { isForLeader } from './term-requests.ts';
import {
  processKey,
  type ConnectionRegister,
  type Introduced,
  type WorkerConnection,
} from './worker-connection.ts';

/** More events than this wait only when the loop cannot keep up; then new requests are refused. */
const MOST_WAITING_EVENTS = 100_000;

/** Each has a buffer and a socket; a whole cluster with its clients has fewer. */
const MOST_CONNECTIONS = 20_000;

/** What the reception needs of the resource manager. */
export interface ReceptionOptions {
  readonly clock: Clock;
  /** Who says nothing for this long is hung up on. */
  readonly silentMs: number;
  readonly mailbox: Mailbox;
  readonly connections: ConnectionRegister;
  readonly broadcast: Broadcast;
  readonly logger: Logger;
  readonly view: () => ClusterView;
  /** The present term; null while this process does not lead. */
  readonly term: () => Term | null;
  /** Why no request for the leader is taken at the moment; null when it is. */
  readonly refusal: () => Problem | null;
  /** Takes what a worker says that it knows, null once its connection has ended. */
  readonly workerHeard: LeaderElectionService['workerHeard'];
}

const NOBODY: ChannelHandler = { onRequest: () => {}, onNotification: () => {}, onClose: () => {} };

/**
 * Takes what comes over connections that others have dialled, one message at a time: answers pings and
 * introductions on leader and standby alike, and hands the rest to the present term, if there is one.
 */
export class Reception {
  readonly #options: ReceptionOptions;
  readonly #channels: SilentChannels;

  constructor(options: ReceptionOptions) {
    this.#options = options;
    this.#channels = new SilentChannels(options.clock, options.silentMs);
  }

  serve(channel: MessageChannel, role: WorkerConnection['role']): ChannelHandler {
    const { mailbox, connections, term } = this.#options;
    if (this.#channels.size >= MOST_CONNECTIONS) {
      channel.close({ code: 'OVERLOADED', detail: `${MOST_CONNECTIONS} connections are open.` });
      return NOBODY;
    }
    const connection = connections.add(channel, role);
    this.#channels.add(channel);
    const isPeer = role === 'resource-manager';
    return {
      // Thousands may speak at once: to read all of it is work that takes turns like any other.
      ...(!isPeer && {
        readIn: (reading) => {
          this.#channels.heard(channel);
          // Where too many wait already it is read at once, and what it asks is refused.
          if (mailbox.length >= MOST_WAITING_EVENTS || !mailbox.post(reading)) reading();
        },
      }),
      onRequest: (request) => {
        this.#channels.heard(channel);
        // A peer asks whether this process is alive, not how much it has to do.
        if (isPeer) return mailbox.postUrgent(() => this.#request(connection, request));
        if (mailbox.length >= MOST_WAITING_EVENTS) {
          const detail = `${MOST_WAITING_EVENTS} events wait.`;
          return request.fail({ code: 'OVERLOADED', detail, retryAfterMs: 1_000 });
        }
        mailbox.post(() => this.#request(connection, request));
      },
      onNotification: (notification) => {
        this.#channels.heard(channel);
        if (mailbox.length < MOST_WAITING_EVENTS) {
          mailbox.post(() => this.#notification(connection, notification));
        }
      },
      onClose: () => {
        this.#channels.remove(channel);
        mailbox.post(() => {
          if (!connections.remove(connection)) return;
          if (connection.who !== null) this.#options.workerHeard(processKey(connection.who), null);
          term()?.connectionLost(connection);
        });
      },
    };
  }

  #request(connection: WorkerConnection, request: InboundRequest): void {
    const term = this.#options.term();
    term?.heard(connection);
    switch (request.type) {
      case 'ping': {
        const { clusterId = null, highestToken = null } = request.body;
        this.#heard(connection, { clusterId, highestToken });
        return request.respond(this.#pong(term));
      }
      case 'introduceTaskExecutor':
        return this.#introduce(connection, { role: 'task-executor', ...request.body }, request);
      case 'introduceJobMaster':
        return this.#introduce(connection, { role: 'job-master', ...request.body }, request);
      case 'introduceResourceManager':
        return this.#introduce(connection, { role: 'resource-manager', ...request.body }, request);
      default:
        this.#requestForLeader(connection, request);
    }
  }

  #requestForLeader(connection: WorkerConnection, request: InboundRequest): void {
    if (!isForLeader(request)) {
      const detail = `A resource manager does not answer ${request.type}.`;
      return request.fail({ code: 'INVALID', detail });
    }
    if (connection.who === null) {
      return request.fail({ code: 'UNAUTHORIZED', detail: 'An introduction must come first.' });
    }
    const refusal = this.#options.refusal();
    if (refusal !== null) return request.fail(refusal);
    const term = this.#options.term();
    if (term === null) return;
    const registers = request.type === 'registerTaskExecutor' || request.type === 'registerJobMaster';
    if (registers && sameToken(request.body.token, term.token)) {
      this.#heard(connection, { clusterId: term.leadership.clusterId, highestToken: term.token });
    }
    term.requests.onRequest(connection, request);
  }

  /** Whoever knows nothing says nothing; one that had said something before goes on meaning that. */
  #heard(connection: WorkerConnection, knowledge: WorkerKnowledge): void {
    const { who, knowledge: before } = connection;
    if (who === null || who.role === 'resource-manager') return;
    const { clusterId, highestToken } = knowledge;
    if (clusterId === null && highestToken === null) return;
    const same = before?.clusterId === clusterId && sameOrNone(before.highestToken, highestToken);
    if (same) return;
    connection.knowledge = knowledge;
    const name = who.role === 'task-executor' ? who.resourceId : who.jobId;
    this.#options.workerHeard(processKey(who), knowledge, `${who.role} ${name}`);
  }

  #introduce(
    connection: WorkerConnection,
    who: Introduced,
    request: { respond(view: ClusterView): void; fail(problem: Problem): void },
  ): void {
    const { connections, view, term, broadcast, logger } = this.#options;
    const problem = connections.introduce(connection, who);
    if (problem !== null) return request.fail(problem);
    request.respond(view());
    broadcast.viewGiven();
    if (who.role === 'resource-manager') return;
    logger.log('info', 'introduced', { ...who, highestToken: who.highestToken?.epoch ?? null });
    const { clusterId, highestToken } = who;
    this.#heard(connection, { clusterId, highestToken });
    if (clusterId !== null) term()?.belongsTo(connection, clusterId);
    if (who.highestToken !== null) term()?.fencedBy(connection, who.highestToken);
    broadcast.announce(connection);
  }

  #notification(connection: WorkerConnection, notification: InboundNotification): void {
    const { term, logger } = this.#options;
    term()?.heard(connection);
    if (notification.type === 'problem') {
      const { code, detail } = notification.body;
      logger.log('warn', 'problem-received', { from: connection.channel.peer, code, detail });
    } else if (connection.who !== null) {
      term()?.requests.onNotification(connection, notification);
    }
  }

  /**
   * `serving` only from the confirmed leader that may serve in this very turn. One that hands over takes nothing
   * new, for a bounded time, but leads: to call it suspended would have it challenged on its way out.
   */
  #pong(term: Term | null): { state: 'serving' | 'suspended' | 'standby'; epoch: bigint | null } {
    if (term === null) return { state: 'standby', epoch: null };
    return { state: term.mayServe() ? 'serving' : 'suspended', epoch: term.token.epoch };
  }
}

function sameOrNone(a: FencingToken | null, b: FencingToken | null): boolean {
  return a === null || b === null ? a === b : sameToken(a, b);
}
