import type { FencingToken } from './fencing-token.ts';

/** Each stable error code with the HTTP status it travels under and whether the same call may succeed later. */
export const PROBLEM_CODES = {
  INVALID: { status: 400, retriable: false, title: 'The input is not valid' },
  UNAUTHORIZED: { status: 401, retriable: false, title: 'The caller is not known' },
  FORBIDDEN: { status: 403, retriable: false, title: 'The caller may not do this' },
  NOT_FOUND: { status: 404, retriable: false, title: 'There is nothing of that name' },
  UNKNOWN_JOB_MASTER: { status: 404, retriable: false, title: 'The job master is not registered' },
  UNKNOWN_TASK_EXECUTOR: { status: 404, retriable: false, title: 'The task executor is not registered' },
  UNKNOWN_ALLOCATION: { status: 404, retriable: false, title: 'The allocation is not known' },
  METHOD_NOT_ALLOWED: { status: 405, retriable: false, title: 'The route does not take this method' },
  REQUEST_TIMEOUT: { status: 408, retriable: true, title: 'The request was not fulfilled in time' },
  STALE: { status: 409, retriable: false, title: 'A later command was executed before' },
  SUPERSEDED: { status: 409, retriable: false, title: 'A newer process of that name has taken over' },
  WRONG_CLUSTER: { status: 409, retriable: false, title: 'The caller belongs to another cluster' },
  CONFLICT: { status: 409, retriable: false, title: 'The state does not allow this' },
  SLOT_TAKEN: { status: 409, retriable: true, title: 'The slot is held by another allocation' },
  CANCELLED: { status: 409, retriable: false, title: 'The request was withdrawn' },
  FENCED: { status: 412, retriable: false, title: 'A newer leader has been seen' },
  TOO_LARGE: { status: 413, retriable: false, title: 'The message is too large' },
  NOT_LEADER: { status: 421, retriable: true, title: 'This resource manager does not lead' },
  UNSUPPORTED_VERSION: { status: 426, retriable: false, title: 'The protocol version is not supported' },
  OVERLOADED: { status: 429, retriable: true, title: 'Too much work is waiting' },
  INTERNAL: { status: 500, retriable: false, title: 'Something went wrong inside' },
  NO_LEADER: { status: 503, retriable: true, title: 'Nobody leads at the moment' },
  SUSPENDED: { status: 503, retriable: true, title: 'Leadership is being checked' },
  UNAVAILABLE: { status: 503, retriable: true, title: 'The process is not ready or is going away' },
  NO_ANSWER: { status: 504, retriable: true, title: 'The other side did not answer in time' },
  STORE_FULL: { status: 507, retriable: true, title: 'etcd is out of space' },
} as const;

export type ProblemCode = keyof typeof PROBLEM_CODES;

/** One wrong field of an input: its path (`requests.0.profile.cpuCores`) and what is wrong with it. */
export interface FieldProblem {
  readonly field: string;
  readonly detail: string;
}

/** Where the leader can be found, when it is known. */
export interface LeaderHint {
  readonly resourceManagerId: string;
  readonly address: string;
}

/** Problem details (RFC 9457) as they travel in messages and over HTTP; `code` is what programs look at. */
export interface Problem {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly fields?: readonly FieldProblem[] | undefined;
  readonly leader?: LeaderHint | null | undefined;
  /** With `FENCED`: the token that won. */
  readonly token?: FencingToken | undefined;
  /** With `OVERLOADED`: when to try again. */
  readonly retryAfterMs?: number | undefined;
}

/** The one error class: `problem.code` tells programs, `message` tells people, `retriable` tells a retry loop. */
export class QuartermasterError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem, options?: { cause?: unknown }) {
    super(`${problem.code}: ${problem.detail}`, options);
    this.name = 'QuartermasterError';
    this.problem = problem;
  }

  get code(): ProblemCode {
    return this.problem.code;
  }

  get retriable(): boolean {
    return PROBLEM_CODES[this.problem.code].retriable;
  }
}

/** The problem behind an error; whatever is not a `QuartermasterError` is `INTERNAL`. */
export function toProblem(error: unknown): Problem {
  if (error instanceof QuartermasterError) return error.problem;
  return { code: 'INTERNAL', detail: error instanceof Error ? error.message : String(error) };
}
