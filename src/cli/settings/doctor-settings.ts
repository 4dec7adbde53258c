import { CLIENT_SETTINGS } from './client-settings.ts';
import { CLUSTER, RESOURCE_MANAGERS } from './common-settings.ts';
import { ETCD_SETTINGS } from './resource-manager-settings.ts';
import type { Setting, SettingValues } from './setting.ts';
import { TIMING_SETTINGS } from './timing-settings.ts';

/** What `doctor` looks at. */
export const DOCTOR_SETTINGS = {
  ...ETCD_SETTINGS,
  cluster: CLUSTER,
  resourceManagers: {
    ...RESOURCE_MANAGERS,
    description: 'resource managers to look at too (default: those of a running `dev`, or none)',
    schema: RESOURCE_MANAGERS.schema.optional(),
  },
  timeoutMs: { ...CLIENT_SETTINGS.timeoutMs, fallback: 2_000 },
  leaseTtlSeconds: {
    flag: 'lease-ttl-seconds',
    placeholder: 'SECONDS',
    description: 'the time to live that the resource managers ask for',
    schema: TIMING_SETTINGS.leaseTtlSeconds.schema,
    fallback: TIMING_SETTINGS.leaseTtlSeconds.fallback,
  },
} as const satisfies Record<string, Setting>;

export type DoctorValues = SettingValues<typeof DOCTOR_SETTINGS>;
