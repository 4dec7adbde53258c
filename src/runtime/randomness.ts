/** The only door to chance. */
export interface Randomness {
  /** A UUID, never given before. */
  uuid(): string;
  /** A positive 63 bit number that no other client will choose, for a lease id. */
  leaseId(): bigint;
  /** Uniform in [0, 1). */
  fraction(): number;
}
