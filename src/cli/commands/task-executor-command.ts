import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { runTaskExecutor } from '../processes/run-task-executor.ts';
import { timingOf } from '../settings/timing-settings.ts';
import { checkTaskExecutor, TASK_EXECUTOR_SETTINGS } from '../settings/worker-settings.ts';
import { defineCommand } from './define-command.ts';

/** `quartermaster task-executor`. */
export function taskExecutorCommand(context: CommandContext): Command {
  return defineCommand(context, {
    name: 'task-executor',
    summary: 'Runs one task executor: a worker that offers slots',
    examples: [
      'task-executor --slots 2',
      'task-executor --id gpu-1 --slots 8 --extended gpu=1 --state-file gpu-1.state',
      'task-executor --resource-managers rm1:7070 --listen 10.0.0.4:7171 --secret-file secret',
    ],
    notes:
      'SIGTERM or Ctrl-C drains: no new slots, held ones are waited for, then goodbye.\nA second one a while later ends it at once. Beside a running `dev` it finds the\ncluster by itself.',
    settings: TASK_EXECUTOR_SETTINGS,
    check: (values) => {
      checkTaskExecutor(values);
      timingOf(values);
    },
    run: ({ values }) => runTaskExecutor(context, values),
  });
}
