import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { runJobMaster } from '../processes/run-job-master.ts';
import { timingOf } from '../settings/timing-settings.ts';
import { JOB_MASTER_SETTINGS } from '../settings/worker-settings.ts';
import { defineCommand } from './define-command.ts';

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
