import { formatToken, type FencingToken } from '../core/fencing-token.ts';
import type { InstanceId, ResourceId } from '../core/ids.ts';
import type { SlotReport } from '../core/messages/slots.ts';
import { PROBLEM_CODES, QuartermasterError, type Problem } from '../core/problem.ts';
import type { TaskExecutorEvent } from '../core/taskexecutor/task-executor-events.ts';
import type { Timing } from '../core/timing.ts';
import type { ResourceManagerLink } from '../rpc/resource-manager-links.ts';
import { backoffDelayMs } from '../runtime/backoff.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Randomness } from '../runtime/randomness.ts';

export interface LeaderSessionOptions {
  readonly resourceId: ResourceId;
  readonly instanceId: InstanceId;
  readonly address: string;
  readonly provider: string | null;
  readonly timing: Timing;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
  /** Passes an event to the book, in a turn of its own. */
  readonly post: (event: TaskExecutorEvent) => void;
  /** A newer process of this name has taken over. */
  readonly onSuperseded: (error: QuartermasterError) => void;
}

interface Session {
  readonly link: ResourceManagerLink;
  readonly linkKey: number;
  readonly token: FencingToken;
  acknowledged: boolean;
}

const RETRY = { firstMs: 100, mostMs: 2_000 };
/** After an answer that will not change by itself: an operator may change it. */
const REFUSED_RETRY = { firstMs: 5_000, mostMs: 30_000 };

/** The conversation with the leader: registration, repeated with back-off while it leads, reports, heartbeats, goodbye. */
export class LeaderSession {
  readonly #options: LeaderSessionOptions;
  #session: Session | null = null;
  #attempt = 0;
  #reportNumber = 0;
  #timer: Timer | null = null;

  constructor(options: LeaderSessionOptions) {
    this.#options = options;
  }

  /** The leader that has acknowledged the registration; null when there is none at the moment. */
  get registeredWith(): { readonly resourceManagerId: string; readonly token: FencingToken } | null {
    const session = this.#session;
    if (session === null || !session.acknowledged) return null;
    return { resourceManagerId: session.link.resourceManagerId, token: session.token };
  }

  /** Sends the registration; whatever was under way with another leader, or over another connection, is over. */
  register(link: ResourceManagerLink, linkKey: number, token: FencingToken, report: SlotReport): void {
    const { resourceId, instanceId, address, provider, timing, post } = this.#options;
    if (this.#session?.linkKey !== linkKey) this.#attempt = 0;
    this.#timer?.cancel();
    const session: Session = { link, linkKey, token, acknowledged: false };
    this.#session = session;
    this.#reportNumber = report.reportNumber;
    const body = { token, resourceId, instanceId, address, provider, report };
    link.channel.request('registerTaskExecutor', body, timing.heartbeatIntervalMs, (outcome) => {
      if (outcome.ok) {
        post({ type: 'registrationAcknowledged', linkKey, token, knownBefore: outcome.reply.knownBefore });
        if (this.#session === session) this.#registered(session);
      } else if (this.#session === session) this.#refused(session, outcome.problem);
    });
  }

  /** Sends a report over the connection that it was made for; dropped when that is not the leader's any more. */
  report(linkKey: number, token: FencingToken, report: SlotReport): void {
    const session = this.#session;
    if (session === null || session.linkKey !== linkKey) return;
    const { resourceId, instanceId } = this.#options;
    this.#reportNumber = report.reportNumber;
    session.link.channel.notify('reportSlots', { token, resourceId, instanceId, report });
  }

  /** The connection has ended; the leader, when it still leads, announces itself on the next one. */
  linkDown(linkKey: number): void {
    if (this.#session?.linkKey === linkKey) this.close();
  }

  /** Whether that connection is the leader's. */
  isLeader(linkKey: number): boolean {
    return this.#session?.linkKey === linkKey;
  }

  /** Tells the leader that this process ends and leaves no lease behind; calls `done` in any case, exactly once. */
  goodbye(reason: string, done: (acknowledged: boolean) => void): void {
    const session = this.#session;
    const { resourceId, instanceId, timing, clock } = this.#options;
    if (session === null || !session.acknowledged) {
      clock.schedule(0, () => done(false));
      return;
    }
    const body = { token: session.token, resourceId, instanceId, reason };
    session.link.channel.request('disconnectTaskExecutor', body, timing.taskExecutorCallMs, (outcome) =>
      done(outcome.ok),
    );
  }

  /** Stops retries and heartbeats. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#session = null;
  }

  #registered(session: Session): void {
    session.acknowledged = true;
    this.#attempt = 0;
    this.#options.logger.log('info', 'registered', {
      resourceManagerId: session.link.resourceManagerId,
      token: formatToken(session.token),
    });
    this.#scheduleHeartbeat(session);
  }

  #refused(session: Session, problem: Problem): void {
    const { clock, randomness, logger, post, onSuperseded } = this.#options;
    if (problem.code === 'SUPERSEDED') return onSuperseded(new QuartermasterError(problem));
    const { retriable } = PROBLEM_CODES[problem.code];
    const level = problem.code === 'STORE_FULL' ? 'warn' : retriable ? 'debug' : 'error';
    logger.log(level, 'registration-refused', {
      resourceManagerId: session.link.resourceManagerId,
      token: formatToken(session.token),
      code: problem.code,
      detail: problem.detail,
    });
    const delayMs = backoffDelayMs(retriable ? RETRY : REFUSED_RETRY, this.#attempt, randomness);
    this.#attempt += 1;
    const { linkKey, token } = session;
    this.#timer = clock.schedule(delayMs, () => post({ type: 'registrationDue', linkKey, token }));
  }

  #scheduleHeartbeat(session: Session): void {
    const { clock, timing } = this.#options;
    this.#timer = clock.schedule(timing.heartbeatIntervalMs, () => this.#heartbeat(session));
  }

  #heartbeat(session: Session): void {
    const { resourceId, instanceId, timing, post, onSuperseded } = this.#options;
    const { token, linkKey } = session;
    const body = { token, resourceId, instanceId, reportNumber: this.#reportNumber };
    session.link.channel.request('heartbeatTaskExecutor', body, timing.heartbeatIntervalMs, (outcome) => {
      if (this.#session !== session) return;
      if (!outcome.ok && outcome.problem.code === 'SUPERSEDED')
        return onSuperseded(new QuartermasterError(outcome.problem));
      if (!outcome.ok && outcome.problem.code === 'UNKNOWN_TASK_EXECUTOR')
        return post({ type: 'registrationDue', linkKey, token });
      this.#scheduleHeartbeat(session);
    });
  }
}
