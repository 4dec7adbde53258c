import { fileURLToPath } from 'node:url';
import type { Environment } from './settings/command-settings.ts';

/** This program with other arguments: the same Node, with the same flags, on the same main file. */
export function selfCommand(args: readonly string[]): { program: string; args: string[] } {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  // A debugger's port is taken by this process already.
  const flags = process.execArgv.filter((flag) => !flag.startsWith('--inspect'));
  return { program: process.execPath, args: [...flags, main, ...args] };
}

/** The environment for a child whose settings all come from flags. */
export function withoutSettings(environment: Environment): Environment {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith('QUARTERMASTER_')),
  );
}
