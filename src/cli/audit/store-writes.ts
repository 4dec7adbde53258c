import { z } from 'zod';
import type { StoredKey, StoreEvent, StoreLog } from '../../core/audit/store-log.ts';
import type { StoreWrite, WriteLog, Written, WrittenKey } from '../../core/audit/store-writes.ts';
import type { FencingToken } from '../../core/fencing-token.ts';
import * as p from '../../core/messages/primitives.ts';
import {
  parseCandidate,
  parseHistoryRow,
  parseIdentity,
  parseLeaderRecord,
} from '../../ha/election-records.ts';
import type { ClusterKeys } from '../../ha/keys.ts';

const ROW_NAME = /^(\d{10})-(\d{19})$/;
const CHALLENGE_NAME = /^(\d{1,10})-(\d{1,19})$/;

/** What every record says of the leader that wrote it. */
const writer = z.object({ generation: p.generation, epoch: p.revision, leaderSessionId: p.leaderSessionId });

/** Reads what a log of a cluster's keys says. */
export function storeWrites(log: StoreLog, keys: ClusterKeys): WriteLog {
  return log.map(({ base, events }) => ({
    base: {
      revision: base.revision,
      keys: base.keys.map((key) => ({ ...writtenKey(key, keys), version: key.version })),
    },
    writes: events.map((event) => storeWrite(event, keys)),
  }));
}

/** Reads what one write says. */
export function storeWrite(event: StoreEvent, keys: ClusterKeys): StoreWrite {
  const { revision, key, receivedWallMs, kind } = event;
  return { revision, key, put: kind === 'put' ? writtenKey(event, keys) : null, receivedWallMs };
}

function writtenKey(
  { key, value, createRevision, modRevision, lease }: Omit<StoredKey, 'version'>,
  keys: ClusterKeys,
): WrittenKey {
  return { key, createRevision, modRevision, lease, is: written(key, value, keys) };
}

function written(key: string, value: string, keys: ClusterKeys): Written {
  if (key.startsWith(keys.election)) {
    return { of: 'candidate', resourceManagerId: parseCandidate(value)?.resourceManagerId ?? null };
  }
  if (key.startsWith(keys.history)) {
    return { of: 'history', named: namedByRow(key, keys), row: parseHistoryRow(value) };
  }
  if (key.startsWith(keys.challenges)) {
    return { of: 'challenge', named: named(CHALLENGE_NAME, key.slice(keys.challenges.length)) };
  }
  if (key.startsWith(keys.taskExecutors) || key.startsWith(keys.jobMasters)) {
    return { of: 'registration', token: writerOf(value) };
  }
  if (key === keys.leader) {
    const record = parseLeaderRecord(value);
    const confirmedAtMs = record === null ? NaN : Date.parse(record.confirmedAt);
    return {
      of: 'leader',
      token: record?.token ?? null,
      confirmedAtMs: Number.isNaN(confirmedAtMs) ? null : confirmedAtMs,
    };
  }
  if (key === keys.identity) return { of: 'identity', generation: parseIdentity(value)?.generation ?? null };
  return { of: 'foreign' };
}

/** The term that a key of history names; null when it names none. */
export function namedByRow(
  key: string,
  keys: ClusterKeys,
): Pick<FencingToken, 'generation' | 'epoch'> | null {
  return named(ROW_NAME, key.slice(keys.history.length));
}

/** The leader that a registration says to be written by; null for a value that is none. */
export function writerOf(value: string): FencingToken | null {
  try {
    return writer.parse(JSON.parse(value));
  } catch {
    return null;
  }
}

function named(pattern: RegExp, name: string): Pick<FencingToken, 'generation' | 'epoch'> | null {
  const [, generation, epoch] = pattern.exec(name) ?? [];
  if (generation === undefined || epoch === undefined) return null;
  return { generation: Number(generation), epoch: BigInt(epoch) };
}
