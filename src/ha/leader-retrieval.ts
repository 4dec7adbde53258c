import type { LeaderSessionId } from '../core/ids.ts';

/** Who wants to know the leader (Flink's `LeaderRetrievalListener`). */
export interface LeaderRetrievalListener {
  /** Both null when there is no leader: that is an event too. */
  notifyLeaderAddress(address: string | null, leaderSessionId: LeaderSessionId | null): void;
  handleError(error: Error): void;
}

/** Tells the confirmed leader at each change (Flink's `LeaderRetrievalService`). */
export interface LeaderRetrievalService {
  /** The listener is told the present state first. */
  start(listener: LeaderRetrievalListener): void;
  stop(): Promise<void>;
}
