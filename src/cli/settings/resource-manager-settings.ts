import { z } from 'zod';
import type { FieldProblem } from '../../core/problem.ts';
import { ADVERTISE, CLUSTER, ID, LISTEN, LOG_SETTINGS, SECRET_SETTINGS } from './common-settings.ts';
import { hostOfUrl, placementProblems } from './network-rules.ts';
import { refuse } from './resolve-settings.ts';
import type { Setting, SettingValues } from './setting.ts';
import { TIMING_SETTINGS } from './timing-settings.ts';
import { etcdUrls, oneOf, path, positiveNumber, wholeNumber } from './value-schemas.ts';

/** How etcd is reached. */
export const ETCD_SETTINGS = {
  etcd: {
    flag: 'etcd',
    placeholder: 'URL,…',
    description: 'client URLs of the etcd members',
    schema: etcdUrls,
    fallback: 'http://127.0.0.1:2379',
  },
  etcdCaFile: {
    flag: 'etcd-ca-file',
    placeholder: 'FILE',
    description: 'certificate authority of etcd, PEM, for https URLs',
    schema: path.optional(),
  },
  etcdCertFile: {
    flag: 'etcd-cert-file',
    placeholder: 'FILE',
    description: 'certificate shown to etcd, PEM',
    schema: path.optional(),
  },
  etcdKeyFile: {
    flag: 'etcd-key-file',
    placeholder: 'FILE',
    description: 'key of that certificate, PEM',
    schema: path.optional(),
  },
  etcdUser: {
    flag: 'etcd-user',
    placeholder: 'NAME',
    description: "user of etcd's authentication; its password is in QUARTERMASTER_ETCD_PASSWORD",
    schema: z.string().min(1).optional(),
  },
  etcdPassword: {
    flag: 'etcd-password',
    placeholder: null,
    description: 'password of that user',
    schema: z.string().min(1).optional(),
    secret: true,
    hidden: true,
  },
} as const satisfies Record<string, Setting>;

export const RESOURCE_MANAGER_SETTINGS = {
  ...ETCD_SETTINGS,
  cluster: CLUSTER,
  listen: { ...LISTEN, fallback: '127.0.0.1:7070' },
  advertise: ADVERTISE,
  id: { ...ID, description: 'name of this resource manager (default: host name and port)' },
  ...SECRET_SETTINGS,
  matching: {
    flag: 'matching',
    placeholder: 'STRATEGY',
    description: 'profile: the smallest free slot that fits; simple: any free slot, profiles ignored',
    schema: oneOf(['profile', 'simple']),
    fallback: 'profile',
  },
  workerProvider: {
    flag: 'worker-provider',
    placeholder: 'PROVIDER',
    description: 'none, or process: starts task executors on this machine on demand',
    schema: oneOf(['none', 'process']),
    fallback: 'none',
  },
  maxWorkers: {
    flag: 'max-workers',
    placeholder: 'N',
    description: 'most task executors that the provider runs at a time',
    schema: wholeNumber(0, 1_000),
    fallback: 4,
  },
  workerSlots: {
    flag: 'worker-slots',
    placeholder: 'N',
    description: 'slots of each task executor that the provider starts',
    schema: wholeNumber(1, 1_000),
    fallback: 1,
  },
  workerIdleMs: {
    flag: 'worker-idle-ms',
    placeholder: 'MS',
    description: 'a started task executor without work is stopped after this long',
    schema: positiveNumber,
    fallback: 60_000,
  },
  workerRegistrationMs: {
    flag: 'worker-registration-ms',
    placeholder: 'MS',
    description: 'a started task executor must have registered after this long',
    schema: positiveNumber,
    fallback: 30_000,
  },
  ...LOG_SETTINGS,
  ...TIMING_SETTINGS,
} as const satisfies Record<string, Setting>;

export type ResourceManagerValues = SettingValues<typeof RESOURCE_MANAGER_SETTINGS>;

/** A sentence for each setting of etcd's access that lacks its other half. */
export function etcdProblems(values: SettingValues<typeof ETCD_SETTINGS>): FieldProblem[] {
  const { etcdCertFile, etcdKeyFile, etcdUser, etcdPassword } = values;
  const together = (field: string, detail: string, ...settings: unknown[]): FieldProblem[] => {
    const given = settings.filter((value) => value !== undefined).length;
    return given > 0 && given < settings.length ? [{ field, detail }] : [];
  };
  return [
    ...together(
      'etcdKeyFile',
      '--etcd-cert-file and --etcd-key-file must be given together.',
      etcdCertFile,
      etcdKeyFile,
    ),
    ...together(
      'etcdPassword',
      '--etcd-user and QUARTERMASTER_ETCD_PASSWORD must be given together.',
      etcdUser,
      etcdPassword,
    ),
  ];
}

/** Throws `INVALID` with a sentence for each setting that does not go with another. */
export function checkResourceManager(values: ResourceManagerValues): void {
  const { listen, advertise, etcd } = values;
  const problems = placementProblems({
    listen,
    advertise,
    others: etcd.map(hostOfUrl),
    othersAre: 'etcd is',
  });
  refuse([...problems, ...etcdProblems(values)]);
}
