import type { ClusterId } from '../ids.ts';

/** What tells one cluster from another and one wipe of etcd from the next. */
export interface Identity {
  readonly clusterId: ClusterId;
  readonly generation: number;
}
