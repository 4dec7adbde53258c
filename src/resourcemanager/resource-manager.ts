import type { LeaderSessionId, ResourceId } from '../core/ids.ts';
import type { ClusterView, LeaderInfo } from '../core/messages/handshake.ts';
import type { Problem } from '../core/problem.ts';
import { createSlotManager } from '../core/slotmanager/create-slot-manager.ts';
import { ClusterKeys } from '../ha/keys.ts';
import { storeContext } from '../ha/persistent-call.ts';
import { readHistory } from '../ha/read-history.ts';
import type {
  ElectionView,
  LeaderContender,
  LeaderElectionService,
  Leadership,
} from '../ha/leader-election.ts';
import type { Acceptor } from '../rpc/connection.ts';
import { acceptChannels, type HandshakeContext } from '../rpc/handshake.ts';
import type { Logger } from '../runtime/logger.ts';
import { Mailbox } from '../runtime/mailbox.ts';
import { Broadcast } from './broadcast.ts';
import { EventLog } from './event-log.ts';
import { HandOver } from './hand-over.ts';
import { LeaderWatch } from './leader-watch.ts';
import { Operator } from './operator.ts';
import type {
  LeaderView,
  ResourceManagerOperations,
  ResourceManagerState,
  ResourceManagerStatus,
  ResourceManagerView,
} from './operator-view.ts';
import { Peers } from './peers.ts';
import type { ResourceManagerOptions } from './resource-manager-options.ts';
import { Reception } from './reception.ts';
import { Term } from './term.ts';
import { ConnectionRegister } from './worker-connection.ts';
import { DEFAULT_WORKER_LIMITS } from './worker-pool.ts';

const GOING_AWAY: Problem = { code: 'UNAVAILABLE', detail: 'This resource manager is going away.' };

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
  readonly #reception: Reception;
  readonly #handOver: HandOver;
  readonly #operator: Operator;
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
    const reading = storeContext(options.highAvailability.store, clock, options.timing, this.#logger);
    this.#leaderWatch = new LeaderWatch({ resourceManagerId, address });
    this.#broadcast = new Broadcast({
      resourceManagerId,
      address,
      clock,
      connections: this.#connections,
      post: (event) => void this.#mailbox.post(event),
      backlog: () => this.#mailbox.length,
      view: () => this.#clusterView(),
      term: () => this.#term,
    });
    this.#peers = this.#openPeers();
    this.#reception = new Reception({
      clock: options.clock,
      // Far longer than whoever lives is silent; a record is removed before.
      silentMs: 2 * (options.timing.heartbeatTimeoutMs + options.timing.slotLeaseMs),
      mailbox: this.#mailbox,
      connections: this.#connections,
      broadcast: this.#broadcast,
      logger: this.#logger,
      view: () => this.#clusterView(),
      term: () => this.#term,
      refusal: () => this.#refusal(),
      workerHeard: (worker, knowledge, name) => this.#election.workerHeard(worker, knowledge, name),
    });
    this.#handOver = new HandOver({
      clock,
      election: this.#election,
      logger: this.#logger,
      peers: this.#peers,
      term: () => this.#term,
      stopping: () => this.#stopping !== null,
    });
    this.#operator = new Operator({
      leaderWatch: this.#leaderWatch,
      events: this.#events,
      peers: this.#peers,
      election: this.#election,
      status: () => this.#status(),
      term: () => this.#term,
      goingAway: () => this.#goingAway(),
      readHistory: (page) => readHistory(reading, this.#keys, page),
      resign: (reason, to) => this.#handOver.resign(reason, to),
      post: (event) => this.#mailbox.post(event),
    });
  }

  /** What an operator sees of this process, and orders. */
  get view(): ResourceManagerView & ResourceManagerOperations {
    return this.#operator;
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
    return acceptChannels(this.#handshake, (channel, hello) => this.#reception.serve(channel, hello.role));
  }

  /** Joins the line. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#options.workerProvider?.listen({
      onWorkerEnded: (resourceId, detail) =>
        this.#mailbox.post(() => this.#term?.workerEnded(resourceId, detail)),
    });
    this.#logger.log('info', 'resource-manager-started', {
      address: this.#options.address,
      version: this.#options.version,
    });
    this.#election.start(this);
    this.#election.peerSighted({ type: 'watching' });
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
    this.#mailbox.postUrgent(() => {
      if (this.#granted === leaderSessionId) this.#election.confirmLeaderSessionId(leaderSessionId);
    });
  }

  leadershipConfirmed(leadership: Leadership): void {
    const { token } = leadership;
    if (this.#granted !== token.leaderSessionId || !leadership.current) return;
    this.#granted = null;
    const term = this.#makeTerm(leadership);
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
    const before = this.#leaderWatch.contradiction;
    this.#leaderChanged();
    const { contradiction } = this.#leaderWatch;
    if (before === null && contradiction !== null) {
      this.#events.note(this.#logger, 'error', 'failure', 'etcd-contradicted', { detail: contradiction });
    } else if (before !== null && contradiction === null) {
      this.#events.note(this.#logger, 'info', 'leadership', 'etcd-believed');
    }
    this.#broadcast.viewChanged();
  }

  probe(done: () => void): void {
    this.#mailbox.postUrgent(() => {
      this.#term?.driver.handle({ type: 'tick' });
      done();
    });
  }

  reachableTaskExecutors(): number {
    return this.#connections.taskExecutorCount;
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

  #openPeers(): Peers {
    const { resourceManagerId, address, bootNonce, clock, dialer, timing } = this.#options;
    return new Peers({
      context: this.#handshake,
      dialer,
      clock,
      timing,
      logger: this.#logger,
      ownId: resourceManagerId,
      ownAddress: address,
      introduction: () => ({
        type: 'introduceResourceManager',
        body: { resourceManagerId, bootNonce, address },
      }),
      sighted: (sighting) => this.#election.peerSighted(sighting),
    });
  }

  #makeTerm(leadership: Leadership): Term {
    const { token } = leadership;
    const { clock, timing, matching, randomness, highAvailability, workerProvider } = this.#options;
    const makeSlotManager = this.#options.slotManagerFactory ?? createSlotManager;
    return new Term({
      leadership,
      slotManager: makeSlotManager({ token, timing, matching, nowMs: clock.monotonicMs() }),
      store: highAvailability.store,
      keys: this.#keys,
      clock,
      timing,
      logger: this.#logger,
      events: this.#events,
      connections: this.#connections,
      post: (event) => this.#mailbox.post(event),
      workerProvider,
      workerLimits: this.#options.workerLimits ?? DEFAULT_WORKER_LIMITS,
      mintWorkerName: () => `${workerProvider?.name ?? 'worker'}-${randomness.uuid()}` as ResourceId,
      resourceManagers: () => {
        const own = this.#options.address;
        const others = this.#election.view.candidates.map(({ address }) => address);
        return [own, ...others.filter((address) => address !== own)];
      },
      onServingAgain: () => this.#broadcast.announceAll(),
    });
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

  #isFollowed(): boolean {
    const { resourceManagerId } = this.#options;
    return this.#election.view.candidates.some(
      (candidate) => candidate.resourceManagerId !== resourceManagerId,
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

  /** Why this process takes no request of a worker; null when it leads and does. */
  #refusal(): Problem | null {
    if (this.#term === null)
      return this.#goingAway() ?? this.#leaderWatch.notLeader('NOT_LEADER', this.#election.storeFull);
    const { refusal } = this.#handOver;
    return refusal === null ? null : (this.#goingAway() ?? refusal);
  }

  #goingAway(): Problem | null {
    return this.#stopping === null && !this.#fatal ? null : GOING_AWAY;
  }

  #status(): ResourceManagerStatus {
    const { cluster, resourceManagerId, address, version } = this.#options;
    const { state } = this;
    return {
      cluster,
      resourceManagerId,
      address,
      version,
      state,
      ready: state !== 'starting' && state !== 'stopping' && this.#leaderWatch.contradiction === null,
      serving: state === 'serving',
      contradiction: this.#leaderWatch.contradiction,
      leaderSessionId: this.leaderSessionId,
      epoch: this.#term?.token.epoch ?? null,
      storeFull: this.#election.storeFull,
    };
  }

  async #stop(reason: string): Promise<void> {
    this.#logger.log('info', 'resource-manager-stopping', { reason });
    await this.#handOver.finishWork();
    if (this.#started) {
      const leavesASuccessor = this.#term !== null && this.#isFollowed();
      await this.#handOver.passOver(reason);
      await this.#election.stop(reason);
      this.#endTerm(reason);
      if (leavesASuccessor) await this.#handOver.standAside();
    }
    this.#endTerm(reason);
    this.#peers.close();
    for (const { channel } of this.#connections.all()) channel.close(GOING_AWAY);
    this.#options.workerProvider?.close();
    this.#mailbox.close();
    this.#logger.log('info', 'resource-manager-stopped', { reason });
  }
}

function leaderInfo({ resourceManagerId, address, ...token }: LeaderView): LeaderInfo {
  return { resourceManagerId, address, token };
}
