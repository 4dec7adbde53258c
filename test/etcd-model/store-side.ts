import type { StoreEndpoint } from '../../src/ha/coordination-store.ts';

/** One of the two stores that are compared, and what the port to a store does not offer. */
export interface StoreSide {
  readonly endpoint: StoreEndpoint;
  /** Waits for a call; in a model this is what lets time pass. */
  answer<T>(call: Promise<T>): Promise<T>;
  until(what: string, condition: () => boolean): Promise<void>;
  /** The time by which leases run out. */
  nowMs(): number;
  /** Lets so much time pass, or a little more. */
  pass(ms: number): Promise<void>;
  /** Rejects with an error of kind `compacted` or `rejected` when it cannot. */
  compact(revision: bigint): Promise<void>;
  leases(): Promise<readonly bigint[]>;
  stop(): Promise<void>;
}
