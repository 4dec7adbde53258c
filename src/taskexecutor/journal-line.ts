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

/**
 * The first line of a process: whether it has read what the one before it knew, its highest token among it, and
 * whether that one took the users of its slots with it.
 */
export function startLine(
  written: { readonly atMs: number; readonly resourceId: ResourceId; readonly process: InstanceId },
  start: {
    readonly remembers: boolean;
    readonly slotsDieWithProcess: boolean;
    readonly token: FencingToken | null;
  },
): [string, LogFields & { readonly atMs: number }] {
  const { token, ...rest } = start;
  return ['started', { ...written, ...rest, ...(token === null ? NO_TOKEN : tokenFields(token)) }];
}

const NO_TOKEN = { generation: null, epoch: null, leaderSessionId: null };

function leaseFields({ token, ...lease }: SlotLease): LogFields {
  return { ...lease, ...tokenFields(token) };
}

function tokenFields({ generation, epoch, leaderSessionId }: FencingToken): LogFields {
  return { generation, epoch, leaderSessionId };
}
