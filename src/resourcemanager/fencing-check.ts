import { compareTokens, formatToken, mayObey, type FencingToken } from '../core/fencing-token.ts';
import type { Leadership } from '../ha/leader-election.ts';
import { isAhead, processKey, type WorkerConnection } from './worker-connection.ts';

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

/** So many wrong processes are remembered; the oldest are forgotten. */
const MOST_REMEMBERED = 10_000;

/**
 * What a leader does when somebody insists on a token that forbids to obey its own, a higher one or another session of
 * the same epoch (an etcd that was restored counts its revisions anew): it suspends itself and asks the store,
 * in a guarded transaction, whether its candidate key still stands. Gone: the election ends the term. There:
 * the receiver is wrong, and leading goes on. Who was wrong once is heard again, but suspends nobody any more.
 */
export class FencingCheck {
  readonly #options: FencingCheckOptions;
  #doubters = new Map<WorkerConnection, FencingToken>();
  #underWay = false;
  /** Whether a doubt that is being judged, or one that waits for that, suspends the leader. */
  #suspendedNow = false;
  #suspendedNext = false;
  /** Processes that were wrong, and the token above which they have not been asked about yet. */
  readonly #wrong = new Map<string, FencingToken>();

  constructor(options: FencingCheckOptions) {
    this.#options = options;
  }

  /** Whether no effect may begin because the answer is not known yet. */
  get suspended(): boolean {
    return this.#suspendedNow || this.#suspendedNext;
  }

  /** Ignored from whoever obeys the own token, and from one that is known to be wrong about this very token. */
  fencedBy(connection: WorkerConnection, token: FencingToken): void {
    const { leadership } = this.#options;
    if (mayObey(token, leadership.token)) return;
    if (isAhead(connection, leadership.token) && !isAbove(token, connection.ahead)) return;
    const known = this.#wrong.get(nameOf(connection)) ?? null;
    if (known !== null && !isAbove(token, known)) return this.#options.onAhead(connection, known);
    this.#doubters.set(connection, token);
    if (known === null) this.#suspendedNext = true;
    this.#options.onNote('leadership-doubted', { by: connection.channel.peer, token: formatToken(token) });
    this.#ask();
  }

  #ask(): void {
    if (this.#underWay) return;
    this.#underWay = true;
    this.#suspendedNow = this.#suspendedNext;
    this.#suspendedNext = false;
    // Whoever doubts while this is under way is judged by the next one.
    const doubters = this.#doubters;
    this.#doubters = new Map();
    const { leadership, keyToRead, post } = this.#options;
    const operations = [{ type: 'range', key: keyToRead }] as const;
    leadership.write({ alsoIf: [], operations, readBack: [] }).then(
      (outcome) => {
        if (outcome.kind === 'deposed' || outcome.kind === 'abandoned') {
          // Until the election revokes, which it will.
          this.#suspendedNow = true;
          return;
        }
        post(() => this.#judged(doubters));
      },
      () => {},
    );
  }

  #judged(doubters: ReadonlyMap<WorkerConnection, FencingToken>): void {
    const wasSuspended = this.#suspendedNow;
    this.#underWay = false;
    this.#suspendedNow = false;
    for (const [connection, token] of doubters) {
      this.#remember(nameOf(connection), token);
      this.#options.onAhead(connection, token);
    }
    if (this.#doubters.size > 0) this.#ask();
    if (wasSuspended && !this.suspended) this.#options.onCleared();
  }

  #remember(name: string, token: FencingToken): void {
    const [oldest] = this.#wrong.keys();
    if (this.#wrong.size >= MOST_REMEMBERED && oldest !== undefined) this.#wrong.delete(oldest);
    this.#wrong.delete(name);
    this.#wrong.set(name, token);
  }
}

function nameOf({ who, channel }: WorkerConnection): string {
  return who === null ? channel.peer : processKey(who);
}

function isAbove(token: FencingToken, other: FencingToken | null): boolean {
  return other === null || compareTokens(token, other) > 0;
}
