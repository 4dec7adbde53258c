import { z } from 'zod';
import { LOG_LEVELS } from '../../runtime/logger.ts';
import type { Setting } from './setting.ts';
import {
  amount,
  clusterName,
  dialAddress,
  dialAddresses,
  extendedAmounts,
  listenAddress,
  oneOf,
  path,
  processName,
  wholeNumber,
} from './value-schemas.ts';

export const CLUSTER = {
  flag: 'cluster',
  placeholder: 'NAME',
  description: 'cluster to belong to: a part of its keys in etcd',
  schema: clusterName,
  fallback: 'default',
} as const satisfies Setting;

export const RESOURCE_MANAGERS = {
  flag: 'resource-managers',
  placeholder: 'HOST:PORT,…',
  description: 'some of the resource managers; the others are learned (default: those of a running `dev`)',
  schema: dialAddresses,
  whenMissing:
    'No cluster is known: name a resource manager with --resource-managers, or start a cluster with `quartermaster dev`.',
} as const satisfies Setting;

export const ID = {
  flag: 'id',
  placeholder: 'NAME',
  description: 'name of this process, the same over restarts',
  schema: processName.optional(),
} as const satisfies Setting;

export const LISTEN = {
  flag: 'listen',
  placeholder: 'HOST:PORT',
  description: 'where to take connections; port 0 means any free one',
  schema: listenAddress,
} as const satisfies Setting;

export const ADVERTISE = {
  flag: 'advertise',
  placeholder: 'HOST:PORT',
  description: 'where others reach this process (default: where it listens)',
  schema: dialAddress.optional(),
} as const satisfies Setting;

export const JOURNAL = {
  flag: 'journal',
  placeholder: 'FILE',
  description: 'write each grant and end of a lease to this file, one JSON line each',
  schema: path.optional(),
} as const satisfies Setting;

/** The secret that proves a server to be of the cluster. */
export const SECRET_SETTINGS = {
  secretFile: {
    flag: 'secret-file',
    placeholder: 'FILE',
    description: 'file with the secret of the cluster (or QUARTERMASTER_SECRET); needed off loopback',
    schema: path.optional(),
  },
  secret: {
    flag: 'secret',
    placeholder: null,
    description: 'the secret of the cluster itself',
    schema: z.string().optional(),
    secret: true,
    hidden: true,
  },
} as const satisfies Record<string, Setting>;

export const LOG_SETTINGS = {
  logFormat: {
    flag: 'log-format',
    placeholder: 'FORMAT',
    description: 'json or text (default: text on a terminal, else json)',
    schema: oneOf(['json', 'text']).optional(),
  },
  logLevel: {
    flag: 'log-level',
    placeholder: 'LEVEL',
    description: `least level to write: ${LOG_LEVELS.join(', ')}`,
    schema: oneOf(LOG_LEVELS),
    fallback: 'info',
  },
} as const satisfies Record<string, Setting>;

/** What a slot offers, or what a request asks for. */
export const PROFILE_SETTINGS = {
  cpu: {
    flag: 'cpu',
    placeholder: 'CORES',
    description: 'processor cores of a slot',
    schema: amount,
    fallback: 1,
  },
  memory: {
    flag: 'memory',
    placeholder: 'MB',
    description: 'memory of a slot, in MB',
    schema: wholeNumber(0, 1_000_000_000),
    fallback: 512,
  },
  extended: {
    flag: 'extended',
    placeholder: 'NAME=AMOUNT,…',
    description: 'further amounts of a slot, such as gpu=1',
    schema: extendedAmounts,
    fallback: '',
  },
} as const satisfies Record<string, Setting>;
