import { QuartermasterError, type FieldProblem } from '../../core/problem.ts';
import {
  environmentName,
  flagAttribute,
  type Setting,
  type Settings,
  type SettingValues,
} from './setting.ts';

/** Where values come from, in the order in which they count. */
export interface SettingSources {
  /** By their flags in camelCase, as commander has them. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The settings file, and the context file of a running `dev`, as far as there are any. */
  readonly files: readonly SettingsFile[];
}

/** Settings by their names, and where they stand, for people. */
export interface SettingsFile {
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Characters of a wrong value that are shown. */
const MOST_SHOWN = 1_000;

interface Found {
  readonly value: unknown;
  /** For people: which flag, variable or file. */
  readonly source: string;
}

/**
 * The value of each setting: from its flag, else the environment, else the file, else the fallback. Throws
 * `INVALID` with one sentence for each wrong value, naming where it came from.
 */
export function resolveSettings<S extends Settings>(settings: S, sources: SettingSources): SettingValues<S> {
  const problems: FieldProblem[] = [];
  const values = Object.entries(settings).map(([name, setting]) => {
    const found = find(name, setting, sources);
    const parsed = setting.schema.safeParse(found.value);
    if (parsed.success) return [name, parsed.data];
    // One sentence is enough for a value; the first issue is the plainest.
    const message = parsed.error.issues[0]?.message ?? 'is wrong';
    problems.push({ field: name, detail: sentence(setting, found, message) });
    return [name, undefined];
  });
  refuse(problems);
  return Object.fromEntries(values) as SettingValues<S>;
}

/** Throws `INVALID` with all these sentences, unless there is none. */
export function refuse(problems: readonly FieldProblem[]): void {
  if (problems.length === 0) return;
  throw new QuartermasterError({
    code: 'INVALID',
    detail: problems.map((problem) => problem.detail).join('\n'),
    fields: problems,
  });
}

function find(name: string, setting: Setting, sources: SettingSources): Found {
  const flag = setting.hidden === true ? undefined : sources.flags[flagAttribute(setting.flag)];
  if (flag !== undefined) return { value: flag, source: `--${setting.flag}` };
  const variable = environmentName(name);
  // An empty variable is how shells and units unset one.
  const text = sources.environment[variable];
  if (text !== undefined && text !== '') return { value: text, source: variable };
  for (const file of sources.files) {
    if (!Object.hasOwn(file.values, name)) continue;
    return { value: file.values[name], source: `${name} in ${file.path}` };
  }
  return { value: setting.fallback, source: `--${setting.flag}` };
}

function sentence(setting: Setting, found: Found, message: string): string {
  if (found.value === undefined) return setting.whenMissing ?? `--${setting.flag} is missing.`;
  const shown = setting.secret === true ? '' : `, but is ${shownValue(found.value)}`;
  return `${found.source} ${message}${shown}.`;
}

/** As JSON, cut where it is long; from a file anything may come, also what is nested too deep to be written. */
function shownValue(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value);
  } catch {
    return 'nested too deep';
  }
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}
