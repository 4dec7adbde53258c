import { compareTokens, formatToken, type FencingToken } from '../core/fencing-token.ts';
import type { Leadership } from '../ha/leader-election.ts';
import type { WorkerConnection } from './worker-connection.ts';

/** What the check needs of its term. */
export interface FencingCheckOptions {
  readonly leadership: Leadership;
  /** A key to read in the guarded transaction: without a range it would prove nothing. */
  readonly keyToRead: string;
  readonly post: (event: () => void) => void;
  /** Our candidate key still stands, so the receiver is wrong. */
  readonly onAhead: (connection: WorkerConnection, token: FencingToken) => void;
  /** No doubt is left. */
  readonly onCleared: () => void;
  readonly onNote: (event: string, fields: Readonly<Record<string, string>>) => void;
}

/**
 * What a leader does when somebody insists on a token above its own: it suspends itself and asks the store,
 * in a guarded transaction, whether its candidate key still stands. Gone: the election ends the term. There:
 * the receiver is wrong, and leading goes on.
 */
export class FencingCheck {
  readonly #options: FencingCheckOptions;
  #doubters = new Map<WorkerConnection, FencingToken>();
  #underWay = false;

  constructor(options: FencingCheckOptions) {
    this.#options = options;
  }

  /** Whether no effect may begin because the answer is not known yet. */
  get suspended(): boolean {
    return this.#underWay || this.#doubters.size > 0;
  }

  /** Ignored at or below the own token, and from one that is known to be wrong about this very token. */
  fencedBy(connection: WorkerConnection, token: FencingToken): void {
    const { leadership } = this.#options;
    if (compareTokens(token, leadership.token) <= 0) return;
    if (connection.ahead !== null && compareTokens(token, connection.ahead) <= 0) return;
    this.#doubters.set(connection, token);
    this.#options.onNote('leadership-doubted', { by: connection.channel.peer, token: formatToken(token) });
    this.#ask();
  }

  #ask(): void {
    if (this.#underWay) return;
    this.#underWay = true;
    // Whoever doubts while this is under way is judged by the next one.
    const doubters = this.#doubters;
    this.#doubters = new Map();
    const { leadership, keyToRead, post } = this.#options;
    const operations = [{ type: 'range', key: keyToRead }] as const;
    leadership.write({ alsoIf: [], operations, readBack: [] }).then(
      (outcome) => {
        // Suspended until the election revokes, which it will.
        if (outcome.kind === 'deposed' || outcome.kind === 'abandoned') return;
        post(() => {
          this.#underWay = false;
          for (const [connection, token] of doubters) this.#options.onAhead(connection, token);
          if (this.#doubters.size > 0) this.#ask();
          else this.#options.onCleared();
        });
      },
      () => {},
    );
  }
}
