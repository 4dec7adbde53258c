import type { CoordinationStore } from './coordination-store.ts';
import type { LeaderElectionService } from './leader-election.ts';
import type { LeaderRetrievalService } from './leader-retrieval.ts';

/** Hands out election, retrieval and the store of one cluster (Flink's `HighAvailabilityServices`). */
export interface HighAvailabilityServices {
  /** One for each resource manager process. */
  leaderElection(): LeaderElectionService;
  leaderRetrieval(): LeaderRetrievalService;
  /** For reads that need no leadership: history, registrations at take-over. */
  readonly store: CoordinationStore;
  close(): Promise<void>;
}
