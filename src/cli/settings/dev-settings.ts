import { CLUSTER, LOG_SETTINGS } from './common-settings.ts';
import type { Setting, SettingValues } from './setting.ts';
import { TIMING_SETTINGS } from './timing-settings.ts';
import { oneOf, path, wholeNumber } from './value-schemas.ts';

/** Of `quartermaster dev`. */
export const DEV_SETTINGS = {
  cluster: { ...CLUSTER, fallback: 'dev' },
  devResourceManagers: {
    flag: 'resource-managers',
    placeholder: 'N',
    description: 'how many resource managers',
    schema: wholeNumber(1, 9),
    fallback: 3,
  },
  devTaskExecutors: {
    flag: 'task-executors',
    placeholder: 'N',
    description: 'how many task executors',
    schema: wholeNumber(0, 100),
    fallback: 2,
  },
  devSlots: {
    flag: 'slots',
    placeholder: 'N',
    description: 'slots of each task executor',
    schema: wholeNumber(1, 1_000),
    fallback: 4,
  },
  devJobSlots: {
    flag: 'job-slots',
    placeholder: 'N',
    description: 'slots that the job `demo` asks for; 0: no job',
    schema: wholeNumber(0, 10_000),
    fallback: 5,
  },
  devEtcdMembers: {
    flag: 'etcd-members',
    placeholder: 'N',
    description: '1 or 3',
    schema: oneOf(['1', '3']),
    fallback: '1',
  },
  devDataDir: {
    flag: 'data-dir',
    placeholder: 'FOLDER',
    description: 'keep etcd, state and logs there (default: temporary, removed at the end)',
    schema: path.optional(),
  },
  logLevel: LOG_SETTINGS.logLevel,
  ...TIMING_SETTINGS,
} as const satisfies Record<string, Setting>;

export type DevValues = SettingValues<typeof DEV_SETTINGS>;
