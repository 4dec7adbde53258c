import type { ElectionEffect } from '../../src/core/election/election-events.ts';
import type { Transaction } from '../../src/ha/coordination-store.ts';
import type { KnownHistory } from '../../src/ha/history.ts';
import { type CandidateProcess, candidateName } from './candidate.ts';
import type { Purpose } from './election-calls.ts';
import { type ElectionMachines, KEYS } from './election-machines.ts';

type TermEffect = Extract<ElectionEffect, { readonly type: 'confirm' | 'depose' }>;

/** What comes of an effect once history is known: a call, `limited` after too many depositions, or nothing. */
export type TermCall = { readonly purpose: Purpose; readonly transaction: Transaction } | 'limited' | null;

/** Time of day, as it is written into etcd. */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** As confirmTerm and deposeHead do once they know history. */
export function withHistory(
  machines: ElectionMachines,
  process: CandidateProcess,
  effect: TermEffect,
  { rows, closedUnread }: KnownHistory,
  nowMs: number,
): TermCall {
  const { history, depose, transactions } = machines;
  const { session, index } = process;
  if (session === null || session.createRevision === null) return null;
  const by = candidateName(index);
  const own = { key: session.key, createRevision: session.createRevision };
  const { deposition } = effect;
  if (deposition !== null && history.depositionsOfLate(rows, nowMs) >= history.MOST_DEPOSITIONS)
    return 'limited';
  const deposedEpoch = deposition?.dead[0]?.createRevision;
  const end =
    deposition === null
      ? { at: timeOf(nowMs), reason: 'lost', evidence: '', by }
      : depose.depositionEnd(deposition, by, nowMs);
  const generation = effect.type === 'depose' ? effect.generation : effect.token.generation;
  const deposed =
    deposition === null ? undefined : depose.deposedKeys(KEYS, rows, deposition, generation, end);
  if (effect.type === 'depose') {
    if (deposed === undefined) return null;
    const open = history.openRow(rows, deposedEpoch ?? 0n);
    const close =
      open === undefined ? [] : [{ keyValue: open.keyValue, closed: { ...open.row, ended: end } }];
    const purpose = { kind: 'depose', deposition: effect.deposition } as const;
    return { purpose, transaction: depose.depose(KEYS, own, deposed, close) };
  }
  const { token, identity } = effect;
  session.record ??= {
    resourceManagerId: by,
    address: `${by}:1`,
    token,
    confirmedAt: timeOf(nowMs),
  };
  const term = {
    own,
    leaseId: session.leaseId,
    record: session.record,
    identity,
    identityValue: process.identityValue ?? '',
    deposition,
    // What guards against a backup: etcd is not restored here.
    aheadAtFirst: [],
    rowsAhead: [],
    // Of no account for what is judged by it.
    headGone: null,
    lastServingMs: null,
  };
  const lost = { at: session.record.confirmedAt, reason: 'lost', evidence: '', by };
  const work = history.historyWork(rows, KEYS.historyRow(token.generation, token.epoch), (row) =>
    row.epoch === deposedEpoch ? end : lost,
  );
  const known = { ...work, ...(closedUnread && { closedUnread }) };
  const transaction = transactions.confirm(KEYS, { ...term, history: known, ...(deposed && { deposed }) });
  const unread = closedUnread === undefined ? null : effect;
  return { purpose: { kind: 'confirm', term, deposed, unread }, transaction };
}
