import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { runResourceManager } from '../processes/run-resource-manager.ts';
import { checkResourceManager, RESOURCE_MANAGER_SETTINGS } from '../settings/resource-manager-settings.ts';
import { timingOf } from '../settings/timing-settings.ts';
import { defineCommand } from './define-command.ts';

/** `quartermaster resource-manager`. */
export function resourceManagerCommand(context: CommandContext): Command {
  return defineCommand(context, {
    name: 'resource-manager',
    summary: 'Runs one resource manager: the leader or a standby',
    examples: [
      'resource-manager',
      'resource-manager --id rm-1 --listen 127.0.0.1:7070 --etcd http://127.0.0.1:2379',
      'resource-manager --config /etc/quartermaster/resource-manager.json --print-config',
    ],
    notes:
      'SIGTERM or Ctrl-C: it hands leadership over, leaves the line and ends.\nThe operator reaches it over HTTP on the port that it listens on.',
    settings: RESOURCE_MANAGER_SETTINGS,
    check: (values) => {
      checkResourceManager(values);
      timingOf(values);
    },
    run: ({ values }) => runResourceManager(context, values),
  });
}
