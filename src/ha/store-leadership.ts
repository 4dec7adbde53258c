import type { FencingToken } from '../core/fencing-token.ts';
import type { ClusterId } from '../core/ids.ts';
import type { CandidateSession } from './candidate-session.ts';
import { deletes, fenced, isAmong, needsAbsence, rangeOf } from './election-transactions.ts';
import type { GuardedOutcome, GuardedWrite, Leadership, Registrations } from './leader-election.ts';
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
  readonly registrations: Registrations | null;
  readonly #context: StoreContext;
  readonly #session: CandidateSession;
  readonly #owner: TermOwner;
  /** Of the own candidate key, as far as it is known. */
  #modRevision: bigint;

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
    this.registrations = session.registrations;
    this.#modRevision = token.epoch;
  }

  mayServe(): boolean {
    return this.#owner.mayServe(this.#session.number);
  }

  get current(): boolean {
    return this.#owner.leads(this.#session.number);
  }

  async write(write: GuardedWrite): Promise<GuardedOutcome> {
    const { key, leaseId, value } = this.#session;
    const own = { key, createRevision: this.token.epoch };
    while (this.current) {
      const modRevision = this.#modRevision;
      const transaction = fenced({ ...own, value, leaseId, modRevision }, write);
      const outcome = await sendUntilAnswered(
        this.#context,
        (endpoint) => endpoint.transact(transaction, this.#context.timing.etcdCallMs),
        { name: 'guarded write', final: ({ kind }) => kind === 'no-space', signal: this.#session.signal },
      );
      if (outcome.kind === 'abandoned' || !this.current) break;
      if (outcome.kind === 'refused') return { kind: 'full', isCertain: outcome.copies === 1 };
      const { succeeded, revision, results } = outcome.value;
      if (succeeded) {
        if (deletes(write)) this.#written(revision);
        return { kind: 'committed', revision, results: results.slice(0, write.operations.length) };
      }
      const found = rangeOf(results, 0);
      if (!isAmong(found, own)) {
        this.#owner.keyFoundGone(this.#session.number);
        return { kind: 'deposed' };
      }
      for (const keyValue of found) this.#written(keyValue.modRevision);
      // A deletion has overtaken it: the same again, as decided now, unless an earlier copy has committed.
      if (needsAbsence(write) && this.#modRevision !== modRevision) continue;
      return { kind: 'refused', revision, results: results.slice(1) };
    }
    return { kind: 'abandoned' };
  }

  #written(revision: bigint): void {
    if (revision > this.#modRevision) this.#modRevision = revision;
  }
}
