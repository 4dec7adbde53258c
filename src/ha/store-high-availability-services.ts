import type { Timing } from '../core/timing.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Randomness } from '../runtime/randomness.ts';
import type { CoordinationStore } from './coordination-store.ts';
import type { HighAvailabilityServices } from './high-availability-services.ts';
import { ClusterKeys } from './keys.ts';
import type { LeaderElectionService } from './leader-election.ts';
import type { LeaderRetrievalService } from './leader-retrieval.ts';
import { storeContext, type StoreContext } from './persistent-call.ts';
import { type CandidateOptions, StoreLeaderElection } from './store-leader-election.ts';
import { StoreLeaderRetrieval } from './store-leader-retrieval.ts';

export interface HighAvailabilityOptions {
  /** Matches `CLUSTER_NAME_PATTERN`. */
  readonly cluster: string;
  readonly candidate: CandidateOptions;
  readonly timing: Timing;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
}

/** Election and retrieval over any store; closes the store in the end. */
export class StoreHighAvailabilityServices implements HighAvailabilityServices {
  readonly store: CoordinationStore;
  readonly #options: HighAvailabilityOptions;
  readonly #keys: ClusterKeys;
  readonly #context: StoreContext;
  readonly #retrievals: StoreLeaderRetrieval[] = [];
  #election: StoreLeaderElection | null = null;

  constructor(store: CoordinationStore, options: HighAvailabilityOptions) {
    const { clock, timing, logger } = options;
    this.store = store;
    this.#options = options;
    this.#keys = new ClusterKeys(options.cluster);
    this.#context = storeContext(store, clock, timing, logger);
  }

  leaderElection(): LeaderElectionService {
    const { randomness, candidate } = this.#options;
    this.#election ??= new StoreLeaderElection(this.#context, this.#keys, randomness, candidate);
    return this.#election;
  }

  leaderRetrieval(): LeaderRetrievalService {
    const retrieval = new StoreLeaderRetrieval(this.#context, this.#keys);
    this.#retrievals.push(retrieval);
    return retrieval;
  }

  async close(): Promise<void> {
    await this.#election?.stop('closed');
    await Promise.all(this.#retrievals.map((retrieval) => retrieval.stop()));
    await this.store.close();
  }
}
