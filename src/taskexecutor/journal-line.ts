import type { FencingToken } from '../core/fencing-token.ts';
import type { InstanceId, ResourceId } from '../core/ids.ts';
import type { SlotLease } from '../core/taskexecutor/slot-lease.ts';
import type { TaskExecutorEffect } from '../core/taskexecutor/task-executor-events.ts';
import type { LogFields } from '../runtime/logger.ts';

/**
 * One event of a task executor as its journal keeps it. `instanceId` is that of the lease, `process` the one
 * that writes; `generation`, `epoch` and `leaderSessionId` are of the leader that granted the lease.
 */
export function journalLine(
  { entry, atMs }: Extract<TaskExecutorEffect, { type: 'journal' }>,
  resourceId: ResourceId,
  process: InstanceId,
): [string, LogFields & { readonly atMs: number }] {
  const written = { atMs, resourceId, process };
  switch (entry.event) {
    case 'token-adopted':
      return [entry.event, { ...written, ...tokenFields(entry.token) }];
    case 'command-refused': {
      const { code, detail } = entry.problem;
      return [entry.event, { ...written, ...tokenFields(entry.token), n: entry.number.n, code, detail }];
    }
    case 'end':
      return [entry.event, { ...written, ...leaseFields(entry.lease), reason: entry.reason }];
    default:
      return [entry.event, { ...written, ...leaseFields(entry.lease) }];
  }
}

function leaseFields({ token, ...lease }: SlotLease): LogFields {
  return { ...lease, ...tokenFields(token) };
}

function tokenFields({ generation, epoch, leaderSessionId }: FencingToken): LogFields {
  return { generation, epoch, leaderSessionId };
}
