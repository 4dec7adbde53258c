import type { ClusterId } from '../ids.ts';

/** What tells one cluster from another and one wipe of etcd from the next. */
export interface Identity {
  readonly clusterId: ClusterId;
  readonly generation: number;
}

/** Generation of a cluster that is founded; whatever an operator declares is above it. */
export const FOUNDED_GENERATION = 1;
