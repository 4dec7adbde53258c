import type { Problem } from '../core/problem.ts';

/** Why a connection ended, as far as anybody must tell it apart. */
export interface CloseReason {
  /**
   * `refused`: nobody listens there (ECONNREFUSED). `closed`: the other side closed it in good order.
   * `reset`: it broke. `unreachable`, `timeout`, `exhausted` (no file descriptor): nothing is known of the
   * other side. `local`: this side closed it.
   */
  readonly kind: 'refused' | 'closed' | 'reset' | 'unreachable' | 'timeout' | 'exhausted' | 'local';
  readonly detail: string;
  /** Why one side refused the other in the handshake; left out when nothing was refused. */
  readonly refusal?: Problem;
}

/** An ordered stream of text frames. Frames sent before a break may or may not arrive; none arrives twice. */
export interface Connection {
  /** Whom it leads to, for people. */
  readonly peer: string;
  /** Frames sent after the end are dropped. */
  send(frame: string): void;
  /** Ends it after what was sent before; `onClose` is called with `local`. */
  close(detail: string): void;
  /** Bytes accepted by `send` that the network has not taken yet. */
  readonly bufferedBytes: number;
}

/** Calls come one at a time, each in a turn of its own; `onClose` comes exactly once and last. */
export interface ConnectionListener {
  onFrame(frame: string): void;
  onClose(reason: CloseReason): void;
}

export interface DialListener extends ConnectionListener {
  /** The connection stands. A dial that fails calls `onClose` without `onOpen`. */
  onOpen(): void;
}

/** Opens connections to `host:port`. */
export interface Dialer {
  /** Returns at once; frames may be sent after `onOpen`. */
  dial(address: string, listener: DialListener): Connection;
}

/** Takes a connection that somebody else dialled. */
export type Acceptor = (connection: Connection) => ConnectionListener;
