import type { CloseReason } from '../connection.ts';

const KIND_OF_CODE: Readonly<Record<string, CloseReason['kind']>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ENETDOWN: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  ETIMEDOUT: 'timeout',
  EMFILE: 'exhausted',
  ENFILE: 'exhausted',
  ENOBUFS: 'exhausted',
  ENOMEM: 'exhausted',
  EADDRNOTAVAIL: 'exhausted',
};

/** Text of `ws` for a handshake that took too long; it carries no code. */
const HANDSHAKE_TIMEOUT_TEXT = 'Opening handshake has timed out';

/** RFC 6455: the frame was too big for the receiver. */
const MESSAGE_TOO_BIG = 1009;
/** RFC 6455: the connection ended without a close frame. */
const ABNORMAL_CLOSURE = 1006;

/**
 * What a socket's error says about the other side. `refused` is evidence of a death, so it is given only when
 * every address that was tried refused; whatever is not known to say anything is `reset`.
 */
export function reasonOfError(error: Error): CloseReason {
  if (error instanceof AggregateError) {
    const reasons = error.errors.map((each) => reasonOfError(each instanceof Error ? each : error));
    const telling = reasons.find((reason) => reason.kind !== 'refused') ?? reasons[0];
    if (telling !== undefined) return telling;
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const timedOut = error.message === HANDSHAKE_TIMEOUT_TEXT;
  return { kind: timedOut ? 'timeout' : (KIND_OF_CODE[code] ?? 'reset'), detail: error.message };
}

/** What the end of a connection that stood says, from its close code and, when there was one, its error. */
export function reasonOfClose(code: number, text: string, error: Error | null): CloseReason {
  if (error !== null) return reasonOfError(error);
  if (code === ABNORMAL_CLOSURE) return { kind: 'reset', detail: 'the connection broke' };
  if (code === MESSAGE_TOO_BIG) return { kind: 'closed', detail: 'TOO_LARGE: the frame was too large' };
  return { kind: 'closed', detail: text === '' ? `closed with code ${code}` : text };
}
