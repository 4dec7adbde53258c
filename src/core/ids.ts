declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** Name of one resource manager; stays the same over restarts of its process. */
export type ResourceManagerId = Branded<'ResourceManagerId'>;
/** Name of one task executor (Flink's `ResourceID`); stays the same over restarts of its process. */
export type ResourceId = Branded<'ResourceId'>;
/** Name of one job, chosen by its user. */
export type JobId = Branded<'JobId'>;
/** One request for one slot (Flink's `AllocationID`), minted by the job master and never used again. */
export type AllocationId = Branded<'AllocationId'>;
/** One task executor process, minted at its start. */
export type InstanceId = Branded<'InstanceId'>;
/** One job master process, minted at its start. */
export type JobMasterId = Branded<'JobMasterId'>;
/** One resource manager process, minted at its start. */
export type BootNonce = Branded<'BootNonce'>;
/** One grant of leadership; one candidate key, one grant, one session id. */
export type LeaderSessionId = Branded<'LeaderSessionId'>;
/** Identity of a cluster in etcd, minted by its first candidate. */
export type ClusterId = Branded<'ClusterId'>;

/** One slot of one task executor. Slot numbers start at 0. */
export interface SlotId {
  readonly resourceId: ResourceId;
  readonly slotNumber: number;
}

/** Text form of a slot id, unique within a cluster; fit for a map key and for a log line. */
export function slotKey(slotId: SlotId): string {
  return `${slotId.resourceId}/${slotId.slotNumber}`;
}

/** What a cluster name looks like: it becomes a part of etcd keys. */
export const CLUSTER_NAME_PATTERN = /^[a-z0-9-]{1,63}$/;

/** What the name of a process or a job looks like: it becomes a part of etcd keys, URLs and log lines. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
