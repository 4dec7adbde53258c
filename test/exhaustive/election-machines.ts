import type { ElectionMachine } from '../../src/core/election/election-machine.ts';
import type * as challenge from '../../src/ha/challenge.ts';
import type { TermToConfirm } from '../../src/ha/confirm-term.ts';
import type { TransactionResult } from '../../src/ha/coordination-store.ts';
import type * as depose from '../../src/ha/depose.ts';
import type * as records from '../../src/ha/election-records.ts';
import type * as view from '../../src/ha/election-state-view.ts';
import type * as transactions from '../../src/ha/election-transactions.ts';
import type { ConfirmOutcome } from '../../src/core/election/election-events.ts';
import type { StoreState } from '../../src/ha/embedded/store-state.ts';
import type * as history from '../../src/ha/history.ts';
import { ClusterKeys } from '../../src/ha/keys.ts';
import { DEFAULT_TIMING } from '../../src/core/timing.ts';
import { fromExplicitCopy, type Patch } from './explicit-copy.ts';
import type { Constants } from './state-graph.ts';

/** The election of a copy: its rules, its transactions, and a store to carry these out. */
export interface ElectionMachines {
  readonly ElectionMachine: typeof ElectionMachine;
  readonly StoreState: typeof StoreState;
  readonly transactions: typeof transactions;
  readonly challenge: typeof challenge;
  readonly depose: typeof depose;
  readonly history: typeof history;
  readonly records: typeof records;
  readonly view: typeof view;
  readonly judgeElseBranch: (
    result: TransactionResult,
    term: TermToConfirm,
    deposed: transactions.DeposedKeys | undefined,
  ) => 'confirmed' | Exclude<ConfirmOutcome, { readonly kind: 'confirmed' }>;
}

/** From a copy of their own with these patches. */
export function loadElectionMachines(patches: readonly Patch[] = []): Promise<ElectionMachines> {
  return fromExplicitCopy(patches, load);
}

async function load(url: string): Promise<ElectionMachines> {
  const names = {
    machine: 'core/election/election-machine.js',
    store: 'ha/embedded/store-state.js',
    transactions: 'ha/election-transactions.js',
    challenge: 'ha/challenge.js',
    depose: 'ha/depose.js',
    history: 'ha/history.js',
    records: 'ha/election-records.js',
    view: 'ha/election-state-view.js',
    confirm: 'ha/confirm-term.js',
  };
  const loaded: Record<string, Record<string, unknown>> = {};
  for (const [name, path] of Object.entries(names)) loaded[name] = await import(`${url}${path}`);
  return {
    ...loaded,
    ElectionMachine: loaded['machine']?.['ElectionMachine'],
    StoreState: loaded['store']?.['StoreState'],
    judgeElseBranch: loaded['confirm']?.['judgeElseBranch'],
  } as unknown as ElectionMachines;
}

/** Default times, but for the lease: so short that it runs out within an exploration. */
export const ELECTION_TTL_SECONDS = 1.5;
export const ELECTION_SETTINGS = {
  ...DEFAULT_TIMING,
  leaseTtlMs: ELECTION_TTL_SECONDS * 1_000,
  retryMs: 1_000,
  rejoinMs: 150,
};
export const KEYS = new ClusterKeys('model');

/** What is not part of any state. */
export const ELECTION_CONSTANTS: Constants = new Map<object, string>([
  [ELECTION_SETTINGS, 'settings'],
  [KEYS, 'keys'],
]);
