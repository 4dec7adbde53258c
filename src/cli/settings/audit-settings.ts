import { CLUSTER } from './common-settings.ts';
import { ETCD_SETTINGS } from './resource-manager-settings.ts';
import type { Setting, SettingValues } from './setting.ts';
import { path, wholeNumber } from './value-schemas.ts';

/** Of `quartermaster audit`. */
export const AUDIT_SETTINGS = {
  ...ETCD_SETTINGS,
  cluster: { ...CLUSTER, description: 'cluster to judge' },
  journals: {
    flag: 'journals',
    placeholder: 'DIR',
    description: 'folder with the journals of task executors and job masters, to be judged too',
    schema: path.optional(),
  },
  clockToleranceMs: {
    flag: 'clock-tolerance-ms',
    placeholder: 'MS',
    description: 'by how much the clocks of the machines that wrote journals may differ',
    schema: wholeNumber(0, 3_600_000),
    fallback: 500,
  },
} as const satisfies Record<string, Setting>;

export type AuditValues = SettingValues<typeof AUDIT_SETTINGS>;
