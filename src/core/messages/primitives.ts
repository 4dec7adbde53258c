import { z } from 'zod';
import type { CommandNumber } from '../command-number.ts';
import type { FencingToken } from '../fencing-token.ts';
import { NAME_PATTERN } from '../ids.ts';
import type { ResourceProfile } from '../resource-profile.ts';
import type {
  AllocationId,
  BootNonce,
  ClusterId,
  InstanceId,
  JobId,
  JobMasterId,
  LeaderSessionId,
  ResourceId,
  ResourceManagerId,
  SlotId,
} from '../ids.ts';

/** A bounded list, read-only to whoever gets it. */
export function list<Schema extends z.ZodType>(
  item: Schema,
  most: number,
): z.ZodType<readonly z.output<Schema>[]> {
  return z.array(item).max(most);
}

const name = z
  .string()
  .regex(NAME_PATTERN, 'must be 1 to 128 letters, digits, dots, dashes, underscores or colons');
/** Ids end up in logs and on terminals: nothing that controls those. */
const opaqueId = z.string().regex(/^[\x20-\x7e]{1,128}$/, 'must be 1 to 128 printable ASCII characters');

export const resourceManagerId = name.transform((text) => text as ResourceManagerId);
export const resourceId = name.transform((text) => text as ResourceId);
export const jobId = name.transform((text) => text as JobId);
export const allocationId = opaqueId.transform((text) => text as AllocationId);
export const instanceId = opaqueId.transform((text) => text as InstanceId);
export const jobMasterId = opaqueId.transform((text) => text as JobMasterId);
export const bootNonce = opaqueId.transform((text) => text as BootNonce);
export const leaderSessionId = opaqueId.transform((text) => text as LeaderSessionId);
export const clusterId = opaqueId.transform((text) => text as ClusterId);

/** `host:port` or `[v6]:port`, as it is dialled. */
export const address = z
  .string()
  .max(300)
  .regex(/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, 'must be host:port');

const MOST_REVISION = 2n ** 63n - 1n;

/** A 64 bit revision; a decimal string on the wire. */
export const revision = z
  .string()
  .regex(/^\d{1,19}$/, 'must be a decimal number as a string')
  .transform((text) => BigInt(text))
  .refine((value) => value <= MOST_REVISION, 'must fit into 64 bits');

/** Ten digits, as in the names of history's rows; whoever says more would leave none to declare. */
export const MOST_GENERATION = 9_999_999_999;
export const generation = z.int().min(0).max(MOST_GENERATION);
export const slotNumber = z.int().min(0).max(65_535);
export const grantNumber = z.int().min(0);
export const durationMs = z
  .number()
  .min(0)
  .max(7 * 24 * 3_600_000);

export const fencingToken = z.object({
  generation,
  epoch: revision,
  leaderSessionId,
}) satisfies z.ZodType<FencingToken>;

export const commandNumber = z.object({
  generation,
  epoch: revision,
  n: z.int().min(0),
}) satisfies z.ZodType<CommandNumber>;

export const slotId = z.object({ resourceId, slotNumber }) satisfies z.ZodType<SlotId>;

const amount = z.number().min(0).max(1e15);

/** `__proto__` is refused, as nothing else would say that it is ignored: an amount required would be lost. */
const namedAmounts = z
  .unknown()
  .refine(
    (value) => typeof value !== 'object' || value === null || !Object.hasOwn(value, '__proto__'),
    'must not name __proto__',
  )
  .pipe(z.record(z.string().min(1).max(64), amount));

export const resourceProfile = z.object({
  cpuCores: amount,
  memoryMB: z.int().min(0),
  extended: namedAmounts.default({}),
}) satisfies z.ZodType<ResourceProfile>;

/** One of these words; one that only a newer version knows is read as `otherwise`, which must be the safe one. */
export function wordOf<const Words extends readonly string[]>(
  words: Words,
  otherwise: Words[number],
): z.ZodType<Words[number]> {
  return z
    .string()
    .max(64)
    .transform((text): Words[number] => (words.includes(text) ? text : otherwise));
}

/** Why something was done, for people and logs. */
export const reason = z.string().max(1_000);

/** Orders two job masters of one job: where and when their record in etcd was last written. */
export const registrationOrder = z.object({ generation, revision });
export type RegistrationOrder = z.infer<typeof registrationOrder>;
