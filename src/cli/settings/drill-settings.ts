import { LOG_SETTINGS } from './common-settings.ts';
import type { Setting, SettingValues } from './setting.ts';
import { TIMING_SETTINGS } from './timing-settings.ts';
import { oneOf, path, wholeNumber } from './value-schemas.ts';

/** Renewals come in each round, so that each shows whether running work was left alone. */
export const DRILL_RENEWAL_MS = 1_000;

/** Of `quartermaster drill`. */
export const DRILL_SETTINGS = {
  drillRounds: {
    flag: 'rounds',
    placeholder: 'N',
    description: 'how many faults, one after the other, of each scenario',
    schema: wholeNumber(1, 10_000),
    fallback: 5,
  },
  drillEtcdMembers: {
    flag: 'etcd-members',
    placeholder: 'N',
    description: '1 or 3',
    schema: oneOf(['1', '3']),
    fallback: '3',
  },
  drillEtcdHeartbeatMs: {
    flag: 'etcd-heartbeat-ms',
    placeholder: 'MS',
    description: 'heartbeat interval of etcd (default: 100, or 20 where its leader is killed)',
    schema: wholeNumber(1, 10_000).optional(),
  },
  drillEtcdElectionMs: {
    flag: 'etcd-election-timeout-ms',
    placeholder: 'MS',
    description: 'election timeout of etcd (default: ten heartbeats)',
    schema: wholeNumber(5, 50_000).optional(),
  },
  drillNetwork: {
    flag: 'network',
    placeholder: 'KIND',
    description: 'how links are cut: proxies, or namespaces (Linux, root)',
    schema: oneOf(['proxies', 'namespaces']),
    fallback: 'proxies',
  },
  drillKeep: {
    flag: 'keep',
    placeholder: 'FOLDER',
    description: 'keep journals, state and logs there (default: temporary, removed at the end)',
    schema: path.optional(),
  },
  drillReport: {
    flag: 'report',
    placeholder: 'FILE',
    description: 'write the report as one HTML page there, with a picture of each round',
    schema: path.optional(),
  },
  logLevel: LOG_SETTINGS.logLevel,
  ...TIMING_SETTINGS,
  slotRenewalMs: { ...TIMING_SETTINGS.slotRenewalMs, fallback: DRILL_RENEWAL_MS },
} as const satisfies Record<string, Setting>;

export type DrillValues = SettingValues<typeof DRILL_SETTINGS>;
