import { Option, type Command } from 'commander';
import { readContextFile } from '../context-file.ts';
import { resolveSettings, type SettingsFile } from './resolve-settings.ts';
import { environmentName, type Setting, type Settings, type SettingValues } from './setting.ts';
import { readSettingsFile } from './settings-file.ts';

/** The environment of the process, or one that a test made up. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Each of these says already which cluster is meant. */
const LOCATIONS = ['resourceManagers', 'etcd'];
const LISTS = new Set(['etcd', 'resourceManagers', 'extended']);

/** Gives the command a flag for each setting, and `--config` and `--print-config`. */
export function addSettings(command: Command, settings: Settings): Command {
  for (const [name, setting] of Object.entries(settings)) {
    if (setting.hidden !== true) command.addOption(optionOf(name, setting));
  }
  return command
    .option('--config <FILE>', 'JSON file with settings by their camelCase names (env: QUARTERMASTER_CONFIG)')
    .option('--print-config', 'show the settings that result, secrets hidden, and end');
}

function optionOf(name: string, setting: Setting): Option {
  const { flag, placeholder, fallback, description, group } = setting;
  const shown =
    fallback === undefined || fallback === '' || fallback === false ? '' : ` (default: ${fallback})`;
  const option = new Option(
    placeholder === null ? `--${flag}` : `--${flag} <${placeholder}>`,
    `${description}${shown}`,
  );
  if (group !== undefined) option.helpGroup(group);
  if (LISTS.has(name)) option.argParser<string[] | undefined>((value, before) => [...(before ?? []), value]);
  return option;
}

/** Where a command may look for settings that its flags do not give. */
export interface ReadOptions {
  readonly environment: Environment;
  /** Every setting of every command: one file may serve them all. */
  readonly knownNames: ReadonlySet<string>;
  /** Whether a running `dev` may say where the cluster is. */
  readonly context: boolean;
}

/** The settings of a command that was called; throws `INVALID` with a sentence for each wrong one. */
export function readSettings<S extends Settings>(
  command: Command,
  settings: S,
  options: ReadOptions,
): SettingValues<S> {
  const flags = command.opts<Record<string, unknown>>();
  const { environment } = options;
  const files: SettingsFile[] = [];
  const path = flags['config'] ?? environment['QUARTERMASTER_CONFIG'];
  if (typeof path === 'string' && path !== '') files.push(readSettingsFile(path, options.knownNames));
  const isLocated = LOCATIONS.some(
    (name) => settings[name] !== undefined && isGiven(name, settings, flags, environment, files),
  );
  if (options.context && !isLocated) {
    const cluster = flags['cluster'] ?? environment['QUARTERMASTER_CLUSTER'] ?? files[0]?.values['cluster'];
    const context = readContextFile(
      environment,
      typeof cluster === 'string' && cluster !== '' ? cluster : null,
      settings['resourceManagers'] === undefined ? '--etcd' : '--resource-managers',
    );
    if (context !== null) files.push(context);
  }
  return resolveSettings(settings, { flags, environment, files });
}

function isGiven(
  name: string,
  settings: Settings,
  flags: Readonly<Record<string, unknown>>,
  environment: Environment,
  files: readonly SettingsFile[],
): boolean {
  const setting = settings[name];
  if (setting === undefined || flags[name] !== undefined) return true;
  const text = environment[environmentName(name)];
  return (text !== undefined && text !== '') || files.some((file) => Object.hasOwn(file.values, name));
}

/** The settings as `--print-config` shows them: JSON, null for what is not set, secrets hidden. */
export function printableSettings<S extends Settings>(settings: S, values: SettingValues<S>): string {
  const entries = Object.entries(settings).map(([name, setting]) => {
    const value: unknown = values[name];
    return [name, setting.secret === true && value !== undefined ? '***' : (value ?? null)];
  });
  return JSON.stringify(Object.fromEntries(entries), null, 2);
}
