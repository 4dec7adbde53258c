import type { KeyValue } from '../../src/ha/coordination-store.ts';
import type { HeadGone } from '../../src/ha/election-observer.ts';
import type { KnownHistory } from '../../src/ha/history.ts';
import { type ElectionMachines, KEYS } from './election-machines.ts';
import type { StoreProcess } from './store-process.ts';

/** What a candidate has read ahead of history, and who it saw leave the head of the line: as HistoryIndex and ElectionObserver know it. */
export interface ReadAhead {
  /** Candidate keys as it has seen them, and as of which revision. */
  line: readonly { readonly key: string; readonly createRevision: bigint }[];
  revision: bigint;
  headGone: HeadGone | null;
  /** Epoch of the leader for whose sake history was read last. */
  readFor: bigint | null;
  rows: readonly KeyValue[];
}

/** Nothing is known. */
export function nothingRead(): ReadAhead {
  return { line: [], revision: 0n, headGone: null, readFor: null, rows: [] };
}

/** It has listed the line, or its watch has told it of everything since. */
export function seeLine(ahead: ReadAhead, { state }: StoreProcess, listed: boolean): void {
  const { mvcc } = state;
  if (listed) {
    const { keyValues } = state.range({ type: 'range', key: KEYS.election, prefix: true });
    ahead.line = keyValues.map(({ key, createRevision }) => ({ key, createRevision })).sort(older);
    ahead.headGone = null;
  } else {
    const range = { key: KEYS.election, prefix: true };
    for (const { events } of mvcc.eventsSince(range, ahead.revision + 1n) ?? []) {
      for (const event of events) {
        const key = event.type === 'put' ? event.keyValue.key : event.key;
        const rest = ahead.line.filter((entry) => entry.key !== key);
        if (event.type === 'put') {
          const { createRevision } = event.keyValue;
          ahead.line = [...rest, { key, createRevision }].sort(older);
          continue;
        }
        const [head] = ahead.line;
        if (head?.key === key && ahead.headGone?.revision !== event.modRevision)
          ahead.headGone = { epoch: head.createRevision, revision: event.modRevision };
        ahead.line = rest;
      }
    }
  }
  ahead.revision = mvcc.revision;
}

/** History if the head that went has closed its row with its key; null when that row was not open when it was read. */
export function closedByHead({ history, records }: ElectionMachines, ahead: ReadAhead): KnownHistory | null {
  const { headGone, rows } = ahead;
  const open = headGone === null ? undefined : history.openRow(rows, headGone.epoch);
  if (headGone === null || open === undefined) return null;
  const { keyValue, row } = open;
  const ended = { at: '', reason: 'closed', evidence: '', by: row.resourceManagerId };
  const closedUnread = {
    ...keyValue,
    value: records.formatHistoryRow({ ...row, ended }),
    modRevision: headGone.revision,
  };
  return { rows: rows.map((each) => (each === keyValue ? closedUnread : each)), closedUnread };
}

function older(a: { readonly createRevision: bigint }, b: { readonly createRevision: bigint }): number {
  return a.createRevision < b.createRevision ? -1 : 1;
}
