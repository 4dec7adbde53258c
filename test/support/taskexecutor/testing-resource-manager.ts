import type { FencingToken } from '../../../src/core/fencing-token.ts';
import type { ClusterId, InstanceId, LeaderSessionId, ResourceManagerId } from '../../../src/core/ids.ts';
import type { NotificationBody, ReplyBody, RequestBody } from '../../../src/core/messages/catalogue.ts';
import type { ClusterView } from '../../../src/core/messages/handshake.ts';
import type { SlotCommand } from '../../../src/core/messages/slots.ts';
import type { Problem } from '../../../src/core/problem.ts';
import { acceptChannels } from '../../../src/rpc/handshake.ts';
import type { InMemoryNetwork } from '../../../src/rpc/in-memory-network.ts';
import type { InboundRequest, MessageChannel, Outcome } from '../../../src/rpc/message-channel.ts';
import { NO_SECRET } from '../../../src/runtime/prover.ts';
import type { Randomness } from '../../../src/runtime/randomness.ts';

export const CLUSTER_ID = 'cluster-1' as ClusterId;

/** The token of a term, of generation 1 unless it says otherwise. */
export function tokenOf(epoch: number, generation = 1, session = `session-${epoch}`): FencingToken {
  return { generation, epoch: BigInt(epoch), leaderSessionId: session as LeaderSessionId };
}

/** A resource manager by script: writes down what a task executor says, and says what the test wants. */
export class TestingResourceManager {
  readonly address: string;
  readonly id: ResourceManagerId;
  readonly introductions: RequestBody<'introduceTaskExecutor'>[] = [];
  readonly registrations: RequestBody<'registerTaskExecutor'>[] = [];
  readonly heartbeats: RequestBody<'heartbeatTaskExecutor'>[] = [];
  readonly goodbyes: RequestBody<'disconnectTaskExecutor'>[] = [];
  readonly reports: NotificationBody<'reportSlots'>[] = [];
  readonly fenced: FencingToken[] = [];
  readonly problems: Problem[] = [];
  /** What came, in order, by type. */
  readonly order: string[] = [];
  view: ClusterView = { clusterId: CLUSTER_ID, candidates: [], leader: null };
  /** How the next registrations are answered; null: not at all. */
  onRegister: (body: RequestBody<'registerTaskExecutor'>) => { knownBefore: boolean } | Problem | null =
    () => ({
      knownBefore: false,
    });
  onHeartbeat: () => Problem | null = () => null;
  channel: MessageChannel | null = null;
  readonly #network: InMemoryNetwork;
  readonly #randomness: Randomness;
  #listener: { close(): void } | null = null;
  #n = 0;

  constructor(network: InMemoryNetwork, randomness: Randomness, id: string) {
    this.#network = network;
    this.#randomness = randomness;
    this.id = id as ResourceManagerId;
    this.address = `${id}:6123`;
    this.listen();
  }

  /** Takes connections (again, as a process that was started anew). */
  listen(): void {
    const context = {
      clock: this.#network.clock,
      randomness: this.#randomness,
      prover: NO_SECRET,
      identity: {
        role: 'resource-manager' as const,
        cluster: 'test',
        id: this.id,
        instance: this.#randomness.uuid(),
      },
    };
    const acceptor = acceptChannels(context, (channel) => ({
      onRequest: (request) => this.#receive(channel, request),
      onNotification: ({ type, body }) => {
        this.order.push(type);
        if (type === 'reportSlots') this.reports.push(body);
        if (type === 'fenced') this.fenced.push(body.token);
        if (type === 'problem') this.problems.push(body);
      },
      onClose: () => {
        if (this.channel === channel) this.channel = null;
      },
    }));
    this.#listener = this.#network.listen(this.address, acceptor);
  }

  /** Ends as a crash does. */
  crash(): void {
    this.#listener?.close();
    this.#network.crash(this.address);
    this.channel = null;
  }

  /** Says that it leads. */
  announce(token: FencingToken, clusterId: ClusterId = CLUSTER_ID): void {
    this.channel?.notify('notifyOfNewResourceManagerLeader', {
      token,
      resourceManagerId: this.id,
      address: this.address,
      clusterId,
    });
  }

  /** Sends one call of commands, numbered anew unless the number is given, and collects the outcome. */
  command(
    token: FencingToken,
    instanceId: InstanceId,
    commands: readonly SlotCommand[],
    n = (this.#n +=
      1),
  ): { outcome: Outcome<'executeSlotCommands'> | null } {
    const sent: { outcome: Outcome<'executeSlotCommands'> | null } = { outcome: null };
    const number = { generation: token.generation, epoch: token.epoch, n };
    this.channel?.request(
      'executeSlotCommands',
      { token, instanceId, number, commands },
      2_000,
      (outcome) => {
        sent.outcome = outcome;
      },
    );
    return sent;
  }

  #receive(channel: MessageChannel, request: InboundRequest): void {
    if (request.type !== 'ping') this.order.push(request.type);
    switch (request.type) {
      case 'introduceTaskExecutor':
        this.introductions.push(request.body);
        this.channel = channel;
        return request.respond(this.view as ReplyBody<'introduceTaskExecutor'>);
      case 'registerTaskExecutor': {
        this.registrations.push(request.body);
        const answer = this.onRegister(request.body);
        if (answer === null) return;
        return 'code' in answer ? request.fail(answer) : request.respond(answer);
      }
      case 'heartbeatTaskExecutor': {
        this.heartbeats.push(request.body);
        const problem = this.onHeartbeat();
        return problem === null ? request.respond({}) : request.fail(problem);
      }
      case 'disconnectTaskExecutor':
        this.goodbyes.push(request.body);
        return request.respond({});
      case 'ping':
        return request.respond({ state: 'standby', epoch: null });
      default:
        return request.fail({ code: 'INVALID', detail: `not expected: ${request.type}` });
    }
  }
}
