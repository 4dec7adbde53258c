import { RESOURCE_MANAGERS } from './common-settings.ts';
import type { Setting, SettingValues } from './setting.ts';
import { clusterName, positiveNumber } from './value-schemas.ts';

/** How a command that asks or orders finds the cluster. */
export const CLIENT_SETTINGS = {
  resourceManagers: {
    ...RESOURCE_MANAGERS,
    description: 'some of the resource managers (default: those of a running `dev`)',
  },
  cluster: {
    flag: 'cluster',
    placeholder: 'NAME',
    description: 'which of several running `dev` clusters is meant',
    schema: clusterName.optional(),
  },
  timeoutMs: {
    flag: 'timeout-ms',
    placeholder: 'MS',
    description: 'deadline of each call',
    schema: positiveNumber,
    fallback: 5_000,
  },
} as const satisfies Record<string, Setting>;

export type ClientValues = SettingValues<typeof CLIENT_SETTINGS>;
