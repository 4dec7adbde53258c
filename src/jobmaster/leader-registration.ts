import { compareTokens, mayObey, sameToken, type FencingToken } from '../core/fencing-token.ts';
import type { AllocationId, ClusterId, JobId, JobMasterId } from '../core/ids.ts';
import type { ReplyBody, RequestBody } from '../core/messages/catalogue.ts';
import type { ClusterView } from '../core/messages/handshake.ts';
import type { RegistrationOrder } from '../core/messages/primitives.ts';
import type { Problem, ProblemCode } from '../core/problem.ts';
import type { CloseReason } from '../rpc/connection.ts';
import type { InboundNotification, Outcome } from '../rpc/message-channel.ts';
import { ResourceManagerLinks, type ResourceManagerLink } from '../rpc/resource-manager-links.ts';
import type { HandshakeContext } from '../rpc/handshake.ts';
import { backoffDelayMs } from '../runtime/backoff.ts';
import type { Timer } from '../runtime/clock.ts';
import type { JobMasterEnvironment } from './job-master-environment.ts';

/** Commands that a leader gives to a job master. */
export type LeaderCommand = Extract<
  InboundNotification,
  { readonly type: 'notifySlotsAllocated' | 'failSlotRequests' | 'checkAllocations' }
>;

/** What a job master says to its leader once it is registered. */
type LeaderCall = 'requestSlots' | 'cancelSlotRequests' | 'rejectSlot' | 'disconnectJobMaster';
type OwnFields = 'token' | 'jobId' | 'jobMasterId';

/** What the owner is told; each call within a turn of `post`. */
export interface LeaderRegistrationListener {
  onTokenAdopted(token: FencingToken): void;
  /** The leader has acknowledged the registration; `newTerm` unless the same one had acknowledged it before. */
  onRegistered(order: RegistrationOrder, newTerm: boolean): void;
  onRegistrationLost(): void;
  /** From the leader that has acknowledged the registration, under its token. */
  onCommand(command: LeaderCommand): void;
  onRequestsUnknown(allocationIds: readonly AllocationId[]): void;
  onSuperseded(problem: Problem): void;
  /** A leader does not take this job master, and will not when asked again. It is asked again nevertheless. */
  onRefused(problem: Problem): void;
  /** What travels with a heartbeat. */
  state(): Pick<RequestBody<'heartbeatJobMaster'>, 'unfinished' | 'held' | 'unreachable'>;
}

export interface LeaderRegistrationOptions {
  readonly environment: JobMasterEnvironment;
  readonly context: HandshakeContext;
  readonly seeds: readonly string[];
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
  /** Runs what comes from outside, one at a time. */
  readonly post: (turn: () => void) => void;
  readonly listener: LeaderRegistrationListener;
}

interface Leader {
  readonly token: FencingToken;
  readonly resourceManagerId: string;
}

interface Registration {
  readonly token: FencingToken;
  readonly link: ResourceManagerLink;
}

const RETRY = { firstMs: 50, mostMs: 2_000 };
/** After these answers the job master registers again. */
const REGISTER_AGAIN: ReadonlySet<ProblemCode> = new Set([
  'UNKNOWN_JOB_MASTER',
  'NOT_LEADER',
  'NO_LEADER',
  'FENCED',
]);

/**
 * Finds the leader among all resource managers, registers with it, and obeys nobody but the leader that has
 * acknowledged that (guarantee G2): tokens only grow, and a new one is registered with before anything of it
 * is obeyed.
 */
export class LeaderRegistration {
  readonly #options: LeaderRegistrationOptions;
  readonly #links: ResourceManagerLinks;
  #clusterId: ClusterId | null = null;
  #leader: Leader | null = null;
  #registration: Registration | null = null;
  #lastRegistered: FencingToken | null = null;
  #order: RegistrationOrder | null = null;
  #underWay = false;
  #attempts = 0;
  #retry: Timer | null = null;
  #heartbeat: Timer | null = null;
  /** Why there is no link to these addresses. */
  readonly #failures = new Map<string, CloseReason>();
  #closed = false;

  constructor(options: LeaderRegistrationOptions) {
    this.#options = options;
    const { environment, context, seeds, post } = options;
    const { timing } = environment;
    this.#links = new ResourceManagerLinks({
      context,
      dialer: environment.dialer,
      logger: environment.logger,
      seeds,
      pingIntervalMs: timing.heartbeatIntervalMs,
      pingTimeoutMs: timing.heartbeatTimeoutMs,
      listener: {
        introduction: () => ({ type: 'introduceJobMaster', body: this.#introduction() }),
        ping: () => ({ clusterId: this.#clusterId, highestToken: this.token }),
        onClusterView: (link, view) => post(() => this.#view(link, view)),
        onRequest: (_link, request) =>
          request.fail({ code: 'INVALID', detail: 'A job master takes no such request.' }),
        onNotification: (link, notification) => post(() => this.#notified(link, notification)),
        onLinkDown: (link) => post(() => this.#linkDown(link)),
        onDialFailed: (address, reason) => {
          this.#failures.set(address, reason);
          post(() => this.#judgeVersions());
        },
      },
    });
  }

  /** The highest token accepted so far. */
  get token(): FencingToken | null {
    return this.#leader?.token ?? null;
  }

  get registered(): boolean {
    return this.#registration !== null;
  }

  /** One sentence for people on why nobody is registered with; empty when nothing is known. */
  whyNot(): string {
    const failures = [...this.#failures].map(([address, { detail }]) => `${address}: ${detail}`);
    const standbys = this.#links.links.map(({ address }) => `${address}: connected, names no leader`);
    return this.#leader === null ? [...failures, ...standbys].join('; ') : failures.join('; ');
  }

  start(): void {
    this.#links.start();
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#heartbeat?.cancel();
    this.#links.close();
  }

  /** Calls the leader under its token; `done` comes in a later turn, with `NO_LEADER` when nobody is registered with. */
  request<T extends LeaderCall>(
    type: T,
    body: Omit<RequestBody<T>, OwnFields>,
    timeoutMs: number,
    done: (outcome: Outcome<T>) => void,
  ): void {
    const { environment, post } = this.#options;
    const registration = this.#registration;
    if (registration === null) {
      const problem: Problem = { code: 'NO_LEADER', detail: 'No leader is registered with.' };
      environment.clock.schedule(0, () => post(() => done({ ok: false, problem })));
      return;
    }
    const full = { ...this.#own(registration.token), ...body } as unknown as RequestBody<T>;
    registration.link.channel.request(type, full, timeoutMs, (outcome) =>
      post(() => {
        if (!outcome.ok) this.#judge(registration, outcome.problem);
        done(outcome);
      }),
    );
  }

  /** Refused for its version by all that it knows, it will be refused again. */
  #judgeVersions(): void {
    const refusals = this.#options.seeds.map((seed) => this.#failures.get(seed)?.refusal);
    const [problem] = refusals;
    const all = refusals.every((refusal) => refusal?.code === 'UNSUPPORTED_VERSION');
    if (all && problem !== undefined && this.#links.links.length === 0) {
      this.#options.listener.onRefused(problem);
    }
  }

  #introduction(): RequestBody<'introduceJobMaster'> {
    const { jobId, jobMasterId } = this.#options;
    return { jobId, jobMasterId, clusterId: this.#clusterId, highestToken: this.token };
  }

  #own(token: FencingToken): { token: FencingToken; jobId: JobId; jobMasterId: JobMasterId } {
    const { jobId, jobMasterId } = this.#options;
    return { token, jobId, jobMasterId };
  }

  #view(link: ResourceManagerLink, view: ClusterView): void {
    this.#failures.delete(link.address);
    const { leader, clusterId } = view;
    if (leader !== null && this.#sameCluster(link, clusterId)) {
      this.#links.learn([leader.address]);
      if (mayObey(this.token, leader.token)) this.#adopt(leader.token, leader.resourceManagerId);
    }
    this.#register();
  }

  #notified(link: ResourceManagerLink, notification: InboundNotification): void {
    switch (notification.type) {
      case 'notifyOfNewResourceManagerLeader': {
        const { token, clusterId } = notification.body;
        if (!this.#sameCluster(link, clusterId) || this.#fences(link, token)) return;
        this.#adopt(token, link.resourceManagerId);
        return this.#register();
      }
      case 'notifySlotsAllocated':
      case 'failSlotRequests':
      case 'checkAllocations':
        return this.#command(link, notification);
      case 'problem':
        if (
          notification.body.code === 'SUPERSEDED' &&
          link.resourceManagerId === this.#leader?.resourceManagerId
        ) {
          this.#options.listener.onSuperseded(notification.body);
        }
        return;
      default:
        return;
    }
  }

  #command(link: ResourceManagerLink, command: LeaderCommand): void {
    const { token, jobMasterId } = command.body;
    if (this.#fences(link, token) || jobMasterId !== this.#options.jobMasterId) return;
    const registration = this.#registration;
    if (registration?.link === link && sameToken(registration.token, token)) {
      return this.#options.listener.onCommand(command);
    }
    // Not obeyed before it has acknowledged the registration; whatever it said then is told again.
    this.#adopt(token, link.resourceManagerId);
    this.#register();
  }

  /** Answers a lower token with one's own. */
  #fences(link: ResourceManagerLink, token: FencingToken): boolean {
    const own = this.token;
    if (own === null || mayObey(own, token)) return false;
    link.channel.notify('fenced', { token: own });
    return true;
  }

  #sameCluster(link: ResourceManagerLink, clusterId: ClusterId | null): boolean {
    if (clusterId === null || clusterId === this.#clusterId) return true;
    if (this.#clusterId === null) {
      this.#clusterId = clusterId;
      return true;
    }
    const { logger } = this.#options.environment;
    logger.log('error', 'wrong-cluster', {
      address: link.address,
      clusterId,
      known: this.#clusterId,
    });
    return false;
  }

  #adopt(token: FencingToken, resourceManagerId: string): void {
    const before = this.#leader;
    if (before !== null && sameToken(before.token, token) && before.resourceManagerId === resourceManagerId)
      return;
    this.#leader = { token, resourceManagerId };
    this.#attempts = 0;
    this.#retry?.cancel();
    this.#retry = null;
    if (before !== null && compareTokens(before.token, token) === 0) return;
    this.#options.environment.logger.log('info', 'leader-adopted', {
      resourceManagerId,
      epoch: token.epoch,
      leaderSessionId: token.leaderSessionId,
    });
    this.#drop();
    this.#options.listener.onTokenAdopted(token);
  }

  #linkDown(link: ResourceManagerLink): void {
    if (this.#registration?.link === link) this.#drop();
  }

  #drop(): void {
    if (this.#registration === null) return;
    this.#registration = null;
    this.#heartbeat?.cancel();
    this.#options.listener.onRegistrationLost();
  }

  #register(): void {
    const leader = this.#leader;
    if (
      this.#closed ||
      this.#underWay ||
      this.#retry !== null ||
      this.#registration !== null ||
      leader === null
    )
      return;
    const link = this.#links.links.find((each) => each.resourceManagerId === leader.resourceManagerId);
    if (link === undefined) return;
    this.#underWay = true;
    const { environment, post } = this.#options;
    const timeoutMs = environment.timing.heartbeatIntervalMs;
    const body = { ...this.#own(leader.token), order: this.#order };
    link.channel.request('registerJobMaster', body, timeoutMs, (outcome) =>
      post(() => this.#answered({ token: leader.token, link }, outcome)),
    );
  }

  #answered(asked: Registration, outcome: Outcome<'registerJobMaster'>): void {
    this.#underWay = false;
    if (this.#closed) return;
    const current = this.#leader !== null && sameToken(this.#leader.token, asked.token);
    if (!current || (outcome.ok && asked.link.channel.closed)) return this.#register();
    if (outcome.ok) return this.#acknowledged(asked, outcome.reply);
    const { problem } = outcome;
    const { environment, listener } = this.#options;
    const level = problem.code === 'STORE_FULL' ? 'warn' : 'debug';
    environment.logger.log(level, 'registration-refused', { code: problem.code, detail: problem.detail });
    if (problem.code === 'SUPERSEDED') return listener.onSuperseded(problem);
    if (isFinal(problem)) listener.onRefused(problem);
    this.#registerLater();
  }

  #acknowledged(asked: Registration, reply: ReplyBody<'registerJobMaster'>): void {
    const newTerm = this.#lastRegistered === null || !sameToken(this.#lastRegistered, asked.token);
    this.#registration = asked;
    this.#lastRegistered = asked.token;
    this.#order = reply.order;
    this.#attempts = 0;
    this.#options.listener.onRegistered(reply.order, newTerm);
    this.#scheduleHeartbeat(asked);
  }

  #registerLater(): void {
    if (this.#closed || this.#retry !== null) return;
    const { clock, randomness } = this.#options.environment;
    const delayMs = backoffDelayMs(RETRY, this.#attempts, randomness);
    this.#attempts += 1;
    this.#retry = clock.schedule(delayMs, () =>
      this.#options.post(() => {
        this.#retry = null;
        this.#register();
      }),
    );
  }

  #scheduleHeartbeat(registration: Registration): void {
    const { environment, post, listener } = this.#options;
    const { heartbeatIntervalMs, heartbeatTimeoutMs } = environment.timing;
    this.#heartbeat = environment.clock.schedule(heartbeatIntervalMs, () =>
      post(() => {
        if (this.#closed || this.#registration !== registration) return;
        const body = { ...this.#own(registration.token), ...listener.state() };
        registration.link.channel.request('heartbeatJobMaster', body, heartbeatTimeoutMs, (outcome) =>
          post(() => {
            if (this.#closed || this.#registration !== registration) return;
            if (outcome.ok) listener.onRequestsUnknown(outcome.reply.unknown);
            else this.#judge(registration, outcome.problem);
            if (this.#registration === registration) this.#scheduleHeartbeat(registration);
          }),
        );
      }),
    );
  }

  /** What an answer of the leader says about the registration itself. */
  #judge(registration: Registration, problem: Problem): void {
    if (this.#closed || this.#registration !== registration) return;
    if (problem.code === 'SUPERSEDED') return this.#options.listener.onSuperseded(problem);
    if (!REGISTER_AGAIN.has(problem.code)) return;
    this.#drop();
    this.#registerLater();
  }
}

function isFinal(problem: Problem): boolean {
  return ['INVALID', 'UNAUTHORIZED', 'FORBIDDEN', 'WRONG_CLUSTER', 'UNSUPPORTED_VERSION'].includes(
    problem.code,
  );
}
