import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { runJobMaster } from '../processes/run-job-master.ts';
import { runResourceManager } from '../processes/run-resource-manager.ts';
import { runTaskExecutor } from '../processes/run-task-executor.ts';
import { checkResourceManager, RESOURCE_MANAGER_SETTINGS } from '../settings/resource-manager-settings.ts';
import { timingOf } from '../settings/timing-settings.ts';
import {
  checkTaskExecutor,
  JOB_MASTER_SETTINGS,
  TASK_EXECUTOR_SETTINGS,
} from '../settings/worker-settings.ts';
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

/** `quartermaster job-master`. */
export function jobMasterCommand(context: CommandContext): Command {
  return defineCommand(context, {
    name: 'job-master',
    summary: 'Runs one job: asks for slots, holds them until it is stopped, then releases them',
    examples: [
      'job-master --slots 3',
      'job-master --job nightly --slots 2 --cpu 4 --memory 16384 --extended gpu=1',
      'job-master --slots 1 | jq -r \'.event + " " + .allocationId\'',
    ],
    notes:
      'Prints one JSON line for each slot that it gets (event "granted") and for each lease\nthat ends ("ended"). A slot that is lost is asked for anew. SIGTERM or Ctrl-C releases\nall slots. The log goes to standard error.',
    settings: JOB_MASTER_SETTINGS,
    check: (values) => void timingOf(values),
    run: ({ values }) => runJobMaster(context, values),
  });
}
