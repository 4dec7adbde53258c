import type { Response } from 'express';
import { PROBLEM_CODES, QuartermasterError, type Problem } from '../core/problem.ts';
import type { Logger } from '../runtime/logger.ts';
import { toJson } from '../rpc/wire-format.ts';

/** Media type of every failure that leaves over HTTP (RFC 9457). */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** When a client should try again, for the problems that do not say it themselves. */
const DEFAULT_RETRY_AFTER_MS = 1_000;

/** A problem as RFC 9457 wants it: `type`, `title` and `status` follow from the code, the rest is the problem's own. */
export function problemDetails(problem: Problem): Record<string, unknown> {
  const { status, title } = PROBLEM_CODES[problem.code];
  const { code, detail, ...rest } = problem;
  return { type: `urn:quartermaster:problem:${code}`, title, status, code, detail, ...rest };
}

/** Answers with the problem under its status; once a body has begun, it ends the connection instead. */
export function sendProblem(response: Response, problem: Problem): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status } = PROBLEM_CODES[problem.code];
  if (status === 429 || status === 503) {
    const retryAfterMs = problem.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS;
    response.setHeader('Retry-After', String(Math.max(1, Math.ceil(retryAfterMs / 1_000))));
  }
  response.status(status).setHeader('Content-Type', PROBLEM_MEDIA_TYPE);
  response.end(toJson(problemDetails(problem)));
}

/**
 * The problem behind whatever a handler threw or express refused. What is not foreseen is logged and leaves as
 * `INTERNAL` without its text, which may name paths and values that are nobody's business.
 */
export function problemOf(error: unknown, logger: Logger): Problem {
  if (error instanceof QuartermasterError) return error.problem;
  const refused = refusedByExpress(error);
  if (refused !== null) return refused;
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  logger.log('error', 'http-request-failed', { error: text });
  return { code: 'INTERNAL', detail: 'The request failed inside; the log says why.' };
}

/** What was wrong when the body parser gives up, by the type of its error. */
const UNREAD_PARTS: Readonly<Record<string, string>> = {
  'charset.unsupported': 'content-type',
  'encoding.unsupported': 'content-encoding',
};

/** What express and its body parser say with a status of 4xx: the input could not be read. */
function refusedByExpress(error: unknown): Problem | null {
  if (!(error instanceof Error)) return null;
  const { status, type } = error as { status?: unknown; type?: unknown };
  if (typeof status !== 'number' || status < 400 || status > 499) return null;
  if (status === 413) return { code: 'TOO_LARGE', detail: 'The body is too large.' };
  if (type === 'entity.parse.failed') {
    return {
      code: 'INVALID',
      detail: 'The body is not JSON.',
      fields: [{ field: 'body', detail: 'is not JSON' }],
    };
  }
  const unread = error instanceof URIError ? 'path' : UNREAD_PARTS[String(type)];
  if (unread === undefined) return { code: 'INVALID', detail: 'The request cannot be read.' };
  const detail = 'cannot be decoded';
  return { code: 'INVALID', detail: `The ${unread} ${detail}.`, fields: [{ field: unread, detail }] };
}
