import type { FencingToken } from '../core/fencing-token.ts';
import type { ClusterId } from '../core/ids.ts';
import type { CandidateSession } from './candidate-session.ts';
import { guarded, isAmong, rangeOf } from './election-transactions.ts';
import type { GuardedOutcome, GuardedWrite, Leadership } from './leader-election.ts';
import { sendUntilAnswered, type StoreContext } from './persistent-call.ts';

/** What a term asks of the election that it belongs to. */
export interface TermOwner {
  /** Whether an effect of this candidacy may begin in this very turn. */
  mayServe(candidacy: number): boolean;
  /** Whether this candidacy still leads. */
  leads(candidacy: number): boolean;
  /** A guarded write found the candidate key gone. */
  keyFoundGone(candidacy: number): void;
}

/** One confirmed term over any store; it can do nothing once its candidacy has ended. */
export class StoreLeadership implements Leadership {
  readonly token: FencingToken;
  readonly clusterId: ClusterId;
  readonly #context: StoreContext;
  readonly #session: CandidateSession;
  readonly #owner: TermOwner;

  constructor(
    context: StoreContext,
    session: CandidateSession,
    owner: TermOwner,
    token: FencingToken,
    clusterId: ClusterId,
  ) {
    this.#context = context;
    this.#session = session;
    this.#owner = owner;
    this.token = token;
    this.clusterId = clusterId;
  }

  mayServe(): boolean {
    return this.#owner.mayServe(this.#session.number);
  }

  get current(): boolean {
    return this.#owner.leads(this.#session.number);
  }

  async write(write: GuardedWrite): Promise<GuardedOutcome> {
    if (!this.current) return { kind: 'abandoned' };
    const own = { key: this.#session.key, createRevision: this.token.epoch };
    const transaction = guarded(own, write);
    const outcome = await sendUntilAnswered(
      this.#context,
      (endpoint) => endpoint.transact(transaction, this.#context.timing.etcdCallMs),
      { name: 'guarded write', signal: this.#session.signal },
    );
    if (outcome.kind !== 'answered' || !this.current) return { kind: 'abandoned' };
    const { succeeded, revision, results } = outcome.value;
    if (succeeded) return { kind: 'committed', revision, results };
    if (isAmong(rangeOf(results, 0), own)) return { kind: 'refused', revision, results: results.slice(1) };
    this.#owner.keyFoundGone(this.#session.number);
    return { kind: 'deposed' };
  }
}
