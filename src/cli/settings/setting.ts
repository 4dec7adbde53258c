import type { z } from 'zod';

/**
 * One setting of a command. Its name, under which commands and files know it, is in camelCase; the environment
 * has it as `QUARTERMASTER_…`. The flag is the same in kebab-case, but for `dev`, whose flags count what other
 * commands name: there the name starts with `dev`.
 */
export interface Setting<Schema extends z.ZodType = z.ZodType> {
  /** Long flag without the dashes. */
  readonly flag: string;
  /** What stands for the value in the help; null for a switch. */
  readonly placeholder: string | null;
  readonly description: string;
  /** Takes the text of a flag or of the environment, or the JSON value of a file. */
  readonly schema: Schema;
  /** Used, and shown in the help, where nobody says otherwise. */
  readonly fallback?: string | number | boolean;
  /** Shown by nobody. */
  readonly secret?: boolean;
  /** May be given in the environment and in a file, but not as a flag, which `ps` would show. */
  readonly hidden?: boolean;
  /** What to say where nobody gives a value and there is no fallback. */
  readonly whenMissing?: string;
  /** Heading in the help. */
  readonly group?: string;
}

export type Settings = Readonly<Record<string, Setting>>;

/** The values of these settings, by the same names. */
export type SettingValues<S extends Settings> = { readonly [K in keyof S]: z.output<S[K]['schema']> };

/** `leaseTtlSeconds` as the environment has it: `QUARTERMASTER_LEASE_TTL_SECONDS`. */
export function environmentName(name: string): string {
  return `QUARTERMASTER_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** `lease-ttl-seconds` as commander has it: `leaseTtlSeconds`. */
export function flagAttribute(flag: string): string {
  return flag.replaceAll(/-(.)/g, (_all, letter: string) => letter.toUpperCase());
}
