import { confirmedLeader } from './election-state-view.ts';
import { ElectionObserver, type ElectionState } from './election-observer.ts';
import type { ClusterKeys } from './keys.ts';
import type { LeaderRetrievalListener, LeaderRetrievalService } from './leader-retrieval.ts';
import type { StoreContext } from './persistent-call.ts';

/** Tells the confirmed leader as the store shows it; the first call comes with the first listing. */
export class StoreLeaderRetrieval implements LeaderRetrievalService {
  readonly #observer: ElectionObserver;
  #listener: LeaderRetrievalListener | null = null;
  /** What the listener was told last; null before the first time. */
  #told: string | null = null;

  constructor(context: StoreContext, keys: ClusterKeys) {
    this.#observer = new ElectionObserver(context, keys, { onState: (state) => this.#changed(state) });
  }

  start(listener: LeaderRetrievalListener): void {
    if (this.#listener !== null) throw new Error('a leader retrieval is started once');
    this.#listener = listener;
    this.#observer.observe();
  }

  stop(): Promise<void> {
    this.#observer.stop();
    return Promise.resolve();
  }

  #changed(state: ElectionState): void {
    const leader = confirmedLeader(state);
    const address = leader?.address ?? null;
    const leaderSessionId = leader?.token.leaderSessionId ?? null;
    const told = JSON.stringify([address, leaderSessionId]);
    if (told === this.#told) return;
    this.#told = told;
    this.#listener?.notifyLeaderAddress(address, leaderSessionId);
  }
}
