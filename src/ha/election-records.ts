import { z } from 'zod';
import type { CandidateValue } from '../core/election/election-events.ts';
import type { Identity } from '../core/election/identity.ts';
import {
  bootNonce,
  clusterId,
  generation,
  leaderSessionId,
  resourceManagerId,
  revision,
} from '../core/messages/primitives.ts';
import type { LeaderRecord } from './leader-election.ts';

/** Characters. */
const SHORT_RECORD = 4_096;

const text = z.string().max(4_096);

const candidateValue = z.object({
  resourceManagerId,
  address: text,
  bootNonce,
  version: text,
  // Those who do not say it yet speak the first version.
  protocolVersion: z.int().default(1),
  oldestProtocolVersion: z.int().default(1),
}) satisfies z.ZodType<CandidateValue>;

const identity = z.object({ clusterId, generation }) satisfies z.ZodType<Identity>;

const leaderRecord = z
  .object({
    resourceManagerId,
    address: text,
    leaderSessionId,
    generation,
    epoch: revision,
    confirmedAt: text,
  })
  .transform((record): LeaderRecord => {
    const { resourceManagerId: id, address, confirmedAt, ...token } = record;
    return { resourceManagerId: id, address, token, confirmedAt };
  });

const termEnd = z.looseObject({
  at: text,
  reason: text,
  evidence: text,
  by: text,
  lastServingAt: text.optional(),
});

/** What a newer version has written beside these fields is kept when the row is written again. */
const historyRow = z.looseObject({
  resourceManagerId,
  leaderSessionId: leaderSessionId.nullable(),
  generation,
  epoch: revision,
  confirmedAt: text.nullable(),
  neverConfirmed: z.boolean().default(false),
  ended: termEnd.nullable(),
});

/**
 * How a term ended: when (ISO 8601), why, what was seen, and which resource manager wrote it down; of a deposition also
 * when that one had last seen the deposed one serve, if it ever had.
 */
export type TermEnd = z.infer<typeof termEnd>;

/**
 * One term of office as history keeps it. `ended` is null while it is under way, or while nobody has been
 * confirmed since it ended; a head of the line that was removed before its confirm has `neverConfirmed`.
 */
export type HistoryRow = z.infer<typeof historyRow>;

/** The candidate that a key's value names; null for whatever is no candidate's. */
export function parseCandidate(value: string): CandidateValue | null {
  return parse(candidateValue, value);
}

/** The identity in its key; null for whatever is none. */
export function parseIdentity(value: string): Identity | null {
  return parse(identity, value);
}

/** The leader in its record; null for whatever is none. */
export function parseLeaderRecord(value: string): LeaderRecord | null {
  return parse(leaderRecord, value);
}

/** The row in a history key; null for whatever is none. */
export function parseHistoryRow(value: string): HistoryRow | null {
  return parse(historyRow, value);
}

/** One line of JSON, as it stands under a candidate's key. */
export function formatCandidate(value: CandidateValue): string {
  const { resourceManagerId: id, address, bootNonce: nonce, version, ...spoken } = value;
  const { protocolVersion, oldestProtocolVersion } = spoken;
  return JSON.stringify({
    resourceManagerId: id,
    address,
    bootNonce: nonce,
    version,
    protocolVersion,
    oldestProtocolVersion,
  });
}

/** The value of the identity key. */
export function formatIdentity(value: Identity): string {
  return JSON.stringify({ clusterId: value.clusterId, generation: value.generation });
}

/** One line of JSON with the epoch as a decimal string. */
export function formatLeaderRecord(record: LeaderRecord): string {
  const { token } = record;
  return JSON.stringify({
    resourceManagerId: record.resourceManagerId,
    address: record.address,
    leaderSessionId: token.leaderSessionId,
    generation: token.generation,
    epoch: token.epoch.toString(),
    confirmedAt: record.confirmedAt,
  });
}

/** One line of JSON with the epoch as a decimal string. */
export function formatHistoryRow(row: HistoryRow): string {
  return JSON.stringify({ ...row, epoch: row.epoch.toString() });
}

function parse<T>(schema: z.ZodType<T>, value: string): T | null {
  try {
    const parsed: unknown = JSON.parse(value);
    // What is nested too deep to be written again is no record; a short text cannot be.
    if (value.length > SHORT_RECORD) JSON.stringify(parsed);
    const result = schema.safeParse(parsed);
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}
