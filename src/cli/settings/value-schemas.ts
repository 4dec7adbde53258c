import { z } from 'zod';
import { CLUSTER_NAME_PATTERN, NAME_PATTERN } from '../../core/ids.ts';

/** Text is taken for the number that it spells; anything else is left for the schema to refuse. */
function spelledNumber(value: unknown): unknown {
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : value;
}

function spelledBoolean(value: unknown): unknown {
  if (value === 'true' || value === '1') return true;
  return value === 'false' || value === '0' ? false : value;
}

/** Splits text at commas; lists, as repeated flags and files give them, are taken entry by entry. */
function spelledList(value: unknown): unknown {
  const parts: unknown[] = Array.isArray(value) ? value : [value];
  return parts.flatMap((part: unknown) =>
    typeof part === 'string'
      ? part
          .split(',')
          .map((entry) => entry.trim())
          .filter((entry) => entry !== '')
      : [part],
  );
}

/** `gpu=1` entries as a record; anything else is left for the schema to refuse. */
function spelledAmounts(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  const entries = (spelledList(value) as unknown[]).map(
    (entry) => /^([^=]*)=(.*)$/.exec(String(entry)) ?? [],
  );
  return Object.fromEntries(entries.map(([, name = '', amount]) => [name, spelledNumber(amount)]));
}

/** A number above 0, fractions allowed. */
export const positiveNumber = z.preprocess(
  spelledNumber,
  z.number('must be a number').positive('must be above 0'),
);

/** A number that is not negative, fractions allowed. */
export const amount = z.preprocess(
  spelledNumber,
  z.number('must be a number').min(0, 'must not be negative'),
);

/** A whole number within bounds, both included. */
export function wholeNumber(least: number, most: number): z.ZodType<number> {
  const sentence = `must be a whole number from ${least} to ${most}`;
  return z.preprocess(spelledNumber, z.int(sentence).min(least, sentence).max(most, sentence));
}

/** A switch: on where it is given, `true` or `false` in the environment and in a file. */
export const toggle = z.preprocess(spelledBoolean, z.boolean('must be true or false'));

/** One of these words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(
  words: Words,
): z.ZodType<Words[number]> {
  return z.enum(words, `must be one of ${words.join(', ')}`);
}

const clusterNameSentence = 'must be 1 to 63 lower case letters, digits and dashes';

/** Name of a cluster. */
export const clusterName = z.string(clusterNameSentence).regex(CLUSTER_NAME_PATTERN, clusterNameSentence);

const processNameSentence = 'must be 1 to 128 letters, digits, dots, dashes, underscores or colons';

/** Name of a process or a job. */
export const processName = z.string(processNameSentence).regex(NAME_PATTERN, processNameSentence);

const HOST_AND_PORT = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/;
const hostAndPortSentence = 'must be host:port, such as 127.0.0.1:7070 or [::1]:7070';

/** `host:port`; port 0 means any free one. */
export const listenAddress = z
  .string(hostAndPortSentence)
  .regex(HOST_AND_PORT, hostAndPortSentence)
  .refine((text) => portOf(text) <= 65_535, 'must have a port of at most 65535');

/** `host:port` as others dial it. */
export const dialAddress = listenAddress.refine((text) => portOf(text) > 0, 'must have a port above 0');

/** One or more `host:port`, separated by commas. */
export const dialAddresses = z.preprocess(spelledList, z.array(dialAddress).min(1, 'must name at least one'));

const urlSentence = 'must be http://host:port or https://host:port';

/** One or more URLs of etcd members, separated by commas, without a trailing slash. */
export const etcdUrls = z.preprocess(
  spelledList,
  z
    .array(
      z
        .string(urlSentence)
        .regex(/^https?:\/\/[^\s/]+:\d{1,5}\/?$/, urlSentence)
        .transform((url) => url.replace(/\/$/, '')),
    )
    .min(1, 'must name at least one'),
);

/** Named amounts: `gpu=1,disk=2`, repeated flags, or an object. */
export const extendedAmounts = z.preprocess(
  spelledAmounts,
  z
    .unknown()
    .refine(
      (value) => typeof value !== 'object' || value === null || !Object.hasOwn(value, '__proto__'),
      'must not name __proto__',
    )
    .pipe(
      z.record(
        z.string().min(1, 'must look like gpu=1').max(64, 'must have names of at most 64 characters'),
        z.number('must look like gpu=1').min(0, 'must not have negative amounts').max(1e15, 'is too much'),
        'must look like gpu=1',
      ),
    ),
);

/** A path; `~` is left to the shell. */
export const path = z.string('must be a path').min(1, 'must be a path');

/** Host of `host:port`, without the brackets of an IPv6 address. */
export function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}

/** Port of `host:port`. */
export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
