import { readFileSync } from 'node:fs';
import { QuartermasterError } from '../../core/problem.ts';
import type { SettingsFile } from './resolve-settings.ts';

/**
 * The settings in a JSON file, by their camelCase names. One file may serve every command, so each known name
 * may stand in it; throws `INVALID` for any other, and when there is no such file or it is no JSON object.
 */
export function readSettingsFile(path: string, knownNames: ReadonlySet<string>): SettingsFile {
  const values = parse(path);
  const unknown = Object.keys(values).filter((name) => !knownNames.has(name));
  if (unknown.length > 0) throw invalid(`${path} has settings that do not exist: ${unknown.join(', ')}.`);
  return { path, values };
}

function parse(path: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw invalid(`The settings file ${path} cannot be read: ${why}.`, cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`The settings file ${path} must hold one JSON object.`);
  }
  return value as Readonly<Record<string, unknown>>;
}

function invalid(detail: string, cause?: unknown): QuartermasterError {
  return new QuartermasterError({ code: 'INVALID', detail }, { cause });
}
