import type { LeaderSessionId } from '../core/ids.ts';
import type { ClusterView, LeaderInfo } from '../core/messages/handshake.ts';
import type { LeaderHint, Problem } from '../core/problem.ts';
import { ClusterKeys } from '../ha/keys.ts';
import type {
  ElectionView,
  LeaderContender,
  LeaderElectionService,
  Leadership,
} from '../ha/leader-election.ts';
import type { Acceptor } from '../rpc/connection.ts';
import { acceptChannels, type HandshakeContext } from '../rpc/handshake.ts';
import type {
  ChannelHandler,
  InboundNotification,
  InboundRequest,
  MessageChannel,
} from '../rpc/message-channel.ts';
import type { Logger } from '../runtime/logger.ts';
import { Mailbox } from '../runtime/mailbox.ts';
import { Broadcast } from './broadcast.ts';
import { EventLog } from './event-log.ts';
import { LeaderWatch } from './leader-watch.ts';
import type { LeaderView, ResourceManagerState } from './operator-view.ts';
import { Peers } from './peers.ts';
import type { ResourceManagerOptions } from './resource-manager-options.ts';
import { Term } from './term.ts';
import { isForLeader } from './term-requests.ts';
import { ConnectionRegister, type Introduced, type WorkerConnection } from './worker-connection.ts';

/** More events than this wait only when the loop cannot keep up; then new requests are refused. */
const MOST_WAITING_EVENTS = 100_000;
/** How long `stop` waits for answers that are under way, in milliseconds. */
const FINISH_MS = 500;

/**
 * One resource manager: stands in line for leadership, keeps its connections warm, and while it leads serves
 * them in the name of one `Term`. Nothing of a term outlives its revocation.
 */
export class ResourceManager implements LeaderContender {
  readonly #options: ResourceManagerOptions;
  readonly #logger: Logger;
  readonly #mailbox: Mailbox;
  readonly #election: LeaderElectionService;
  readonly #keys: ClusterKeys;
  readonly #handshake: HandshakeContext;
  readonly #connections = new ConnectionRegister();
  readonly #events: EventLog;
  readonly #leaderWatch: LeaderWatch;
  readonly #broadcast: Broadcast;
  readonly #peers: Peers;
  readonly #sessionWatchers = new Set<(leaderSessionId: LeaderSessionId | null) => void>();
  #started = false;
  #granted: LeaderSessionId | null = null;
  #term: Term | null = null;
  #stopping: Promise<void> | null = null;
  #fatal = false;

  constructor(options: ResourceManagerOptions) {
    const { cluster, resourceManagerId, address, bootNonce, clock, randomness, prover } = options;
    this.#options = options;
    this.#logger = options.logger.child({ resourceManagerId });
    this.#mailbox = new Mailbox(clock, (error) =>
      this.handleError(error instanceof Error ? error : new Error(String(error))),
    );
    this.#election = options.highAvailability.leaderElection();
    this.#keys = new ClusterKeys(cluster);
    const identity = {
      role: 'resource-manager',
      cluster,
      id: resourceManagerId,
      instance: bootNonce,
    } as const;
    this.#handshake = { clock, randomness, prover, identity };
    this.#events = new EventLog(clock);
    this.#leaderWatch = new LeaderWatch({ resourceManagerId, address });
    this.#broadcast = new Broadcast({
      resourceManagerId,
      address,
      connections: this.#connections,
      post: (event) => this.#mailbox.post(event),
      view: () => this.#clusterView(),
      term: () => this.#term,
    });
    this.#peers = new Peers({
      context: this.#handshake,
      dialer: options.dialer,
      clock,
      timing: options.timing,
      logger: this.#logger,
      ownId: resourceManagerId,
      ownAddress: address,
      version: options.version,
      introduction: () => ({
        type: 'introduceResourceManager',
        body: { resourceManagerId, bootNonce, address },
      }),
    });
  }

  /** Session id of the confirmed term (row 20 of the protocol table): null, then a UUID, then null. */
  get leaderSessionId(): LeaderSessionId | null {
    return this.#term?.token.leaderSessionId ?? null;
  }

  /** Told each change of `leaderSessionId`, in the turn of the change. */
  watchLeaderSessionId(onChange: (leaderSessionId: LeaderSessionId | null) => void): void {
    this.#sessionWatchers.add(onChange);
  }

  get state(): ResourceManagerState {
    if (this.#stopping !== null || this.#fatal) return 'stopping';
    if (this.#term !== null) return this.#term.mayServe() ? 'serving' : 'suspended';
    if (this.#granted !== null) return 'confirming';
    return this.#isInLine() ? 'standby' : 'starting';
  }

  /** Takes the connections of task executors, job masters and other resource managers. */
  acceptor(): Acceptor {
    return acceptChannels(this.#handshake, (channel, hello) => this.#serve(channel, hello.role));
  }

  /** Joins the line. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#logger.log('info', 'resource-manager-started', {
      address: this.#options.address,
      version: this.#options.version,
    });
    this.#election.start(this);
  }

  /**
   * Takes no more work, lets what is under way finish shortly, resigns, leaves the line and hangs up. Resolves
   * when that is done; the same promise for every call.
   */
  stop(reason: string): Promise<void> {
    this.#stopping ??= this.#stop(reason);
    return this.#stopping;
  }

  grantLeadership(leaderSessionId: LeaderSessionId): void {
    if (this.#stopping !== null || this.#fatal) return;
    this.#endTerm('granted anew');
    this.#granted = leaderSessionId;
    this.#events.note(this.#logger, 'info', 'leadership', 'leadership-granted', { leaderSessionId });
    // Through the mailbox: a process whose loop cannot serve does not confirm either.
    this.#mailbox.post(() => {
      if (this.#granted === leaderSessionId) this.#election.confirmLeaderSessionId(leaderSessionId);
    });
  }

  leadershipConfirmed(leadership: Leadership): void {
    const { token } = leadership;
    if (this.#granted !== token.leaderSessionId || !leadership.current) return;
    this.#granted = null;
    const { clock, timing, createSlotManager, highAvailability } = this.#options;
    const term = new Term({
      leadership,
      slotManager: createSlotManager(token, clock.monotonicMs()),
      store: highAvailability.store,
      keys: this.#keys,
      clock,
      timing,
      logger: this.#logger,
      events: this.#events,
      connections: this.#connections,
      post: (event) => this.#mailbox.post(event),
    });
    this.#term = term;
    const { generation, epoch, leaderSessionId } = token;
    term.note('info', 'leadership', 'leadership-confirmed', { generation, epoch, leaderSessionId });
    this.#sessionChanged();
    term.start();
    this.#broadcast.announceAll();
  }

  revokeLeadership(reason: string): void {
    this.#granted = null;
    this.#endTerm(reason);
  }

  servingChanged(serving: boolean): void {
    this.#term?.note(serving ? 'info' : 'warn', 'leadership', serving ? 'serving' : 'suspended');
    // Connections that came while it was suspended have not been told.
    if (serving) this.#broadcast.announceAll();
  }

  viewChanged(view: ElectionView): void {
    this.#peers.follow(view);
    this.#leaderChanged();
    this.#broadcast.viewChanged();
  }

  probe(done: () => void): void {
    this.#mailbox.post(() => {
      this.#term?.driver.handle({ type: 'tick' });
      done();
    });
  }

  /** The term ends and the process with it: whatever it would do next could not be trusted. */
  handleError(error: Error): void {
    if (this.#fatal) return;
    this.#fatal = true;
    this.#logger.log('error', 'resource-manager-failed', { error: error.message });
    this.#granted = null;
    this.#endTerm(`failed: ${error.message}`);
    this.#mailbox.close();
    this.#options.onFatal(error);
  }

  #endTerm(reason: string): void {
    const term = this.#term;
    if (term === null) return;
    this.#term = null;
    term.end(reason);
    this.#sessionChanged();
  }

  #sessionChanged(): void {
    for (const watcher of this.#sessionWatchers) watcher(this.leaderSessionId);
    this.#leaderChanged();
    this.#broadcast.viewChanged();
  }

  #leaderChanged(): void {
    if (!this.#leaderWatch.update(this.#election.view, this.#term?.leadership ?? null)) return;
    const { leader } = this.#leaderWatch;
    this.#events.note(this.#logger, 'info', 'leadership', 'leader-changed', {
      leader: leader?.resourceManagerId ?? null,
      address: leader?.address ?? null,
      leaderEpoch: leader?.epoch ?? null,
    });
  }

  #isInLine(): boolean {
    const { resourceManagerId, bootNonce } = this.#options;
    return this.#election.view.candidates.some(
      (candidate) => candidate.resourceManagerId === resourceManagerId && candidate.bootNonce === bootNonce,
    );
  }

  #clusterView(): ClusterView {
    const { clusterId, candidates } = this.#election.view;
    const { leader } = this.#leaderWatch;
    return {
      clusterId,
      candidates: candidates.map(({ resourceManagerId, address }) => ({ resourceManagerId, address })),
      leader: leader === null ? null : leaderInfo(leader),
    };
  }

  #serve(channel: MessageChannel, role: WorkerConnection['role']): ChannelHandler {
    const connection = this.#connections.add(channel, role);
    return {
      onRequest: (request) => {
        if (this.#mailbox.length >= MOST_WAITING_EVENTS) {
          const detail = `${MOST_WAITING_EVENTS} events wait.`;
          return request.fail({ code: 'OVERLOADED', detail, retryAfterMs: 1_000 });
        }
        this.#mailbox.post(() => this.#request(connection, request));
      },
      onNotification: (notification) =>
        this.#mailbox.post(() => this.#notification(connection, notification)),
      onClose: () =>
        this.#mailbox.post(() => {
          if (this.#connections.remove(connection)) this.#term?.connectionLost(connection);
        }),
    };
  }

  #request(connection: WorkerConnection, request: InboundRequest): void {
    this.#term?.heard(connection);
    switch (request.type) {
      case 'ping':
        return request.respond({ state: this.#pingState(), epoch: this.#term?.token.epoch ?? null });
      case 'introduceTaskExecutor':
        return this.#introduce(connection, { role: 'task-executor', ...request.body }, request);
      case 'introduceJobMaster':
        return this.#introduce(connection, { role: 'job-master', ...request.body }, request);
      case 'introduceResourceManager':
        return this.#introduce(connection, { role: 'resource-manager', ...request.body }, request);
      default:
        if (!isForLeader(request)) {
          const detail = `A resource manager does not answer ${request.type}.`;
          return request.fail({ code: 'INVALID', detail });
        }
        if (connection.who === null) {
          return request.fail({ code: 'UNAUTHORIZED', detail: 'An introduction must come first.' });
        }
        if (this.#stopping !== null) return request.fail(this.#goingAway());
        if (this.#term === null) return request.fail(this.#notLeader());
        this.#term.requests.onRequest(connection, request);
    }
  }

  #introduce(
    connection: WorkerConnection,
    who: Introduced,
    request: { respond(view: ClusterView): void; fail(problem: Problem): void },
  ): void {
    const problem = this.#connections.introduce(connection, who);
    if (problem !== null) return request.fail(problem);
    request.respond(this.#clusterView());
    if (who.role === 'resource-manager') return;
    this.#logger.log('info', 'introduced', { ...who, highestToken: who.highestToken?.epoch ?? null });
    if (who.highestToken !== null) this.#term?.fencedBy(connection, who.highestToken);
    this.#broadcast.announce(connection);
  }

  #notification(connection: WorkerConnection, notification: InboundNotification): void {
    this.#term?.heard(connection);
    if (notification.type === 'problem') {
      const { code, detail } = notification.body;
      this.#logger.log('warn', 'problem-received', { from: connection.channel.peer, code, detail });
      return;
    }
    if (connection.who !== null) this.#term?.requests.onNotification(connection, notification);
  }

  #pingState(): 'serving' | 'suspended' | 'standby' {
    if (this.#term === null) return 'standby';
    return this.#term.mayServe() && this.#stopping === null ? 'serving' : 'suspended';
  }

  #notLeader(): Problem {
    const { leader } = this.#leaderWatch;
    const hint: LeaderHint | null =
      leader === null ? null : { resourceManagerId: leader.resourceManagerId, address: leader.address };
    const detail = hint === null ? 'Nobody leads at the moment.' : `${hint.resourceManagerId} leads.`;
    return { code: 'NOT_LEADER', detail, leader: hint };
  }

  #goingAway(): Problem {
    return { code: 'UNAVAILABLE', detail: 'This resource manager is going away.' };
  }

  async #stop(reason: string): Promise<void> {
    this.#logger.log('info', 'resource-manager-stopping', { reason });
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + FINISH_MS;
    while (this.#term !== null && !this.#term.idle && clock.monotonicMs() < untilMs) {
      await new Promise<void>((resolve) => clock.schedule(5, resolve));
    }
    if (this.#started) await this.#election.stop(reason);
    this.#endTerm(reason);
    this.#peers.close();
    for (const { channel } of this.#connections.all()) channel.close(this.#goingAway());
    this.#options.workerProvider?.close();
    this.#mailbox.close();
    this.#logger.log('info', 'resource-manager-stopped', { reason });
  }
}

function leaderInfo({ resourceManagerId, address, ...token }: LeaderView): LeaderInfo {
  return { resourceManagerId, address, token };
}
