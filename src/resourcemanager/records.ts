import { z } from 'zod';
import type { FencingToken } from '../core/fencing-token.ts';
import * as p from '../core/messages/primitives.ts';
import type { KeyValue } from '../ha/coordination-store.ts';
import { toJson } from '../rpc/wire-format.ts';

/** How many earlier processes of a name a record remembers, so that they stay superseded over failovers. */
const MOST_SUPERSEDED = 16;

/** Characters. */
const SHORT_RECORD = 4_096;

const writtenBy = { leaderSessionId: p.leaderSessionId, generation: p.generation, epoch: p.revision };

/** What a newer version has written beside these fields is kept when the record is marked. */
const taskExecutorRecord = z.looseObject({
  /** Null for a worker that was recorded before it was started and has not registered. */
  instanceId: p.instanceId.nullable(),
  address: p.address.nullable(),
  slots: z.int().min(0),
  provider: z.string().nullable(),
  /** Whether another instance of this resource id was known when this one registered first. */
  knownBefore: z.boolean().default(false),
  superseded: z.array(p.instanceId).default([]),
  /**
   * It was silent for so long that it counts no more, yet leases of it may run on where this leader sees neither it
   * nor their holders. Kept so that a new instance which remembers nothing is told that it was known before.
   */
  gone: z.boolean().default(false),
  ...writtenBy,
});

const jobMasterRecord = z.object({
  jobMasterId: p.jobMasterId,
  superseded: z.array(p.jobMasterId).default([]),
  ...writtenBy,
});

/** `task-executors/<resourceId>` in etcd. */
export type TaskExecutorRecord = z.infer<typeof taskExecutorRecord>;
/** `job-masters/<jobId>` in etcd. */
export type JobMasterRecord = z.infer<typeof jobMasterRecord>;

/** Reads and writes one kind of record; unknown fields are ignored. */
export interface RecordFormat<R> {
  /** Null when it cannot be read. */
  decode(keyValue: KeyValue): R | null;
  /** One line of JSON. */
  encode(record: R): string;
}

function format<Schema extends z.ZodType>(schema: Schema): RecordFormat<z.output<Schema>> {
  return {
    decode: (keyValue) => {
      let value: unknown;
      try {
        value = JSON.parse(keyValue.value);
        // What is nested too deep to be written again is no record; a short text cannot be.
        if (keyValue.value.length > SHORT_RECORD) JSON.stringify(value);
      } catch {
        return null;
      }
      const result = schema.safeParse(value);
      return result.success ? result.data : null;
    },
    encode: toJson,
  };
}

/** How records stand in etcd. */
export const TASK_EXECUTOR_FORMAT: RecordFormat<TaskExecutorRecord> = format(taskExecutorRecord);
export const JOB_MASTER_FORMAT: RecordFormat<JobMasterRecord> = format(jobMasterRecord);

/** The part of a record that says which leader wrote it. */
export function writer(token: FencingToken): Pick<FencingToken, 'leaderSessionId' | 'generation' | 'epoch'> {
  return { leaderSessionId: token.leaderSessionId, generation: token.generation, epoch: token.epoch };
}

/** The list of superseded processes after one more; the oldest are forgotten. */
export function alsoSuperseded<Id>(before: readonly Id[], id: Id): Id[] {
  return [...before.filter((known) => known !== id), id].slice(-MOST_SUPERSEDED);
}
