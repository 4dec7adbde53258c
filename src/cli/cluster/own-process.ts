import { join } from 'node:path';
import type { Role } from '../../core/messages/handshake.ts';
import type { Timing } from '../../core/timing.ts';
import { selfCommand, withoutSettings } from '../self-command.ts';
import type { Environment } from '../settings/command-settings.ts';
import { TIMING_SETTINGS } from '../settings/timing-settings.ts';
import type { ProcessSpec } from './process-supervisor.ts';

/** What all processes of one cluster on this machine have in common. */
export interface OwnCluster {
  readonly cluster: string;
  readonly timing: Timing;
  readonly logLevel: string;
  readonly environment: Environment;
  /** For logs. */
  readonly folder: string;
}

/** One process of this program: a command with its flags. */
export interface OwnProcess {
  readonly role: Role;
  /** Also the name of its log. */
  readonly id: string;
  readonly flags: readonly string[];
  /** Flags of Node itself. */
  readonly nodeFlags?: readonly string[];
  readonly onLine?: (line: string) => void;
}

/** How that process is started: all its settings come from flags, none from our own environment. */
export function ownProcess(
  common: OwnCluster,
  { role, id, flags, nodeFlags, onLine }: OwnProcess,
): ProcessSpec {
  const times = Object.entries(TIMING_SETTINGS).map(
    ([name, { flag }]) => `--${flag}=${common.timing[name as keyof Timing]}`,
  );
  const { program, args } = selfCommand([
    role,
    `--cluster=${common.cluster}`,
    `--log-level=${common.logLevel}`,
    '--log-format=json',
    ...flags,
    ...times,
  ]);
  return {
    name: id,
    program,
    args: [...(nodeFlags ?? []), ...args],
    environment: withoutSettings(common.environment),
    logFile: join(common.folder, `${id}.log`),
    ...(onLine === undefined ? {} : { onLine }),
  };
}
