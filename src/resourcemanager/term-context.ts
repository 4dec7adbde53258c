import type { FencingToken } from '../core/fencing-token.ts';
import type { Problem } from '../core/problem.ts';
import type { Timing } from '../core/timing.ts';
import type { Leadership } from '../ha/leader-election.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger, LogLevel } from '../runtime/logger.ts';
import type { ClusterEvent, ClusterEventKind } from './operator-view.ts';
import type { ConnectionRegister, WorkerConnection } from './worker-connection.ts';

/** What the parts of one term of office share. */
export interface TermContext {
  readonly leadership: Leadership;
  readonly token: FencingToken;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly logger: Logger;
  readonly connections: ConnectionRegister;
  /** Whether the registrations of the terms before have been read; until then no registration is taken in. */
  readonly hasTakenOver: boolean;
  /** Whether an effect may begin in this very turn (G6); asked for each effect. */
  mayServe(): boolean;
  /** Runs it in a later turn of the mailbox, if the term lasts until then. */
  post(event: () => void): void;
  /** One line in the log and one event for the operator. */
  note(level: LogLevel, kind: ClusterEventKind, event: string, fields?: ClusterEvent['fields']): void;
  /** Somebody insists on a token above ours. */
  fencedBy(connection: WorkerConnection, token: FencingToken): void;
}

/** The answer of a leader whose leadership is being checked. */
export const SUSPENDED: Problem = {
  code: 'SUSPENDED',
  detail: 'This resource manager leads, but is checking that it still does.',
};

/** The answer of a leader whose term has ended while it worked on the request. */
export const TERM_OVER: Problem = {
  code: 'NOT_LEADER',
  detail: 'The term of this resource manager ended before the answer was known.',
  leader: null,
};
