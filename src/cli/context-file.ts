import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { QuartermasterError } from '../core/problem.ts';
import type { SettingsFile } from './settings/resolve-settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const schema = z.object({
  /** Process that keeps the cluster; the file is stale when it is gone. */
  pid: z.int().positive(),
  cluster: z.string(),
  resourceManagers: z.array(z.string()),
  etcd: z.array(z.string()).optional(),
});

/** What a running `dev` tells the client commands of this user. */
export type Context = z.infer<typeof schema>;

/** `$XDG_STATE_HOME/quartermaster/contexts`, by default under `~/.local/state`. */
function contextFolder(environment: Environment): string {
  const given = environment['XDG_STATE_HOME'];
  const state = given === undefined || given === '' ? join(homedir(), '.local', 'state') : given;
  return join(state, 'quartermaster', 'contexts');
}

/** Writes the file of this context, whole or not at all; `remove` takes it away again. */
export function writeContextFile(environment: Environment, context: Context): { remove(): void } {
  const folder = contextFolder(environment);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${context.cluster}-${context.pid}.json`);
  writeFileSync(`${file}.new`, JSON.stringify(context), { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return { remove: () => rmSync(file, { force: true }) };
}

/**
 * The cluster that a `dev` of this user keeps running, as settings; null when there is none. Throws `INVALID`
 * when there are several and `cluster` does not choose one, and when there are some but not that one; `locator` is the flag to be named then. Files of
 * processes that are gone are removed.
 */
export function readContextFile(
  environment: Environment,
  cluster: string | null,
  locator: '--resource-managers' | '--etcd',
): SettingsFile | null {
  const folder = contextFolder(environment);
  const running = list(folder).map(({ path, context }) => ({ path, ...context }));
  const found = running.filter((each) => cluster === null || each.cluster === cluster);
  const [first, second] = found;
  if (first === undefined) {
    if (running.length === 0) return null;
    const names = [...new Set(running.map((each) => each.cluster))].join(', ');
    const detail = `No cluster ${cluster} runs here, only ${names}. Elsewhere it takes ${locator}.`;
    throw new QuartermasterError({ code: 'INVALID', detail });
  }
  if (second !== undefined) {
    const names = found.map((each) => `${each.cluster} (process ${each.pid})`).join(', ');
    const flags = cluster === null ? `--cluster or ${locator}` : locator;
    throw new QuartermasterError({
      code: 'INVALID',
      detail: `Several clusters run here: ${names}. Say which with ${flags}.`,
    });
  }
  const { path, resourceManagers, etcd } = first;
  const values = { cluster: first.cluster, resourceManagers, ...(etcd === undefined ? {} : { etcd }) };
  return { path, values };
}

function list(folder: string): { path: string; context: Context }[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
  return names.toSorted().flatMap((name) => {
    const path = join(folder, name);
    const context = read(path);
    if (context !== null && isAlive(context.pid)) return [{ path, context }];
    rmSync(path, { force: true });
    return [];
  });
}

function read(path: string): Context | null {
  try {
    const parsed = schema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process: it is alive, though it may not be the one that wrote the file.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
