import { QuartermasterError } from '../../core/problem.ts';
import type { ResourceProfile } from '../../core/resource-profile.ts';
import {
  ADVERTISE,
  CLUSTER,
  ID,
  JOURNAL,
  LISTEN,
  LOG_SETTINGS,
  PROFILE_SETTINGS,
  RESOURCE_MANAGERS,
  SECRET_SETTINGS,
} from './common-settings.ts';
import { placementProblems } from './network-rules.ts';
import { refuse } from './resolve-settings.ts';
import type { Setting, SettingValues } from './setting.ts';
import { TIMING_SETTINGS } from './timing-settings.ts';
import { hostOf, path, positiveNumber, processName, toggle, wholeNumber } from './value-schemas.ts';

export const TASK_EXECUTOR_SETTINGS = {
  resourceManagers: RESOURCE_MANAGERS,
  cluster: CLUSTER,
  listen: { ...LISTEN, fallback: '127.0.0.1:0' },
  advertise: ADVERTISE,
  id: { ...ID, description: 'name of this task executor (default: a new one at each start)' },
  slots: {
    flag: 'slots',
    placeholder: 'N',
    description: 'how many slots it offers',
    schema: wholeNumber(1, 65_536),
    fallback: 1,
  },
  ...PROFILE_SETTINGS,
  stateFile: {
    flag: 'state-file',
    placeholder: 'FILE',
    description: 'keeps leases and grant numbers over restarts; needs --id',
    schema: path.optional(),
  },
  slotsDieWithProcess: {
    flag: 'slots-die-with-process',
    placeholder: null,
    description: 'what used a slot ends with this process, so its slots are free at once after a restart',
    schema: toggle,
    fallback: false,
  },
  drainTimeoutMs: {
    flag: 'drain-timeout-ms',
    placeholder: 'MS',
    description: 'at the end, wait no longer than this for held slots (default: until they are released)',
    schema: positiveNumber.optional(),
  },
  provider: {
    flag: 'provider',
    placeholder: 'NAME',
    description: 'set by the worker provider that starts this process',
    schema: processName.optional(),
  },
  journal: JOURNAL,
  ...SECRET_SETTINGS,
  ...LOG_SETTINGS,
  ...TIMING_SETTINGS,
} as const satisfies Record<string, Setting>;

export type TaskExecutorValues = SettingValues<typeof TASK_EXECUTOR_SETTINGS>;

export const JOB_MASTER_SETTINGS = {
  resourceManagers: RESOURCE_MANAGERS,
  cluster: CLUSTER,
  job: {
    flag: 'job',
    placeholder: 'NAME',
    description: 'name of the job (default: a new one at each start)',
    schema: processName.optional(),
  },
  slots: {
    flag: 'slots',
    placeholder: 'N',
    description: 'how many slots to ask for',
    schema: wholeNumber(1, 10_000),
    fallback: 1,
  },
  ...PROFILE_SETTINGS,
  journal: JOURNAL,
  ...SECRET_SETTINGS,
  ...LOG_SETTINGS,
  ...TIMING_SETTINGS,
} as const satisfies Record<string, Setting>;

export type JobMasterValues = SettingValues<typeof JOB_MASTER_SETTINGS>;

/** Throws `INVALID` with a sentence for each setting that does not go with another. */
export function checkTaskExecutor(values: TaskExecutorValues): void {
  const { listen, advertise, resourceManagers } = values;
  const others = resourceManagers.map(hostOf);
  refuse(placementProblems({ listen, advertise, others, othersAre: 'a resource manager is' }));
  if (values.stateFile !== undefined && values.id === undefined) {
    throw new QuartermasterError({
      code: 'INVALID',
      detail: '--state-file needs --id: what it keeps belongs to a task executor of one name.',
    });
  }
}

/** What a slot offers, or a request asks for, according to `--cpu`, `--memory` and `--extended`. */
export function profileOf(values: SettingValues<typeof PROFILE_SETTINGS>): ResourceProfile {
  return { cpuCores: values.cpu, memoryMB: values.memory, extended: values.extended };
}
