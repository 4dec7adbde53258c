import type { Command } from 'commander';
import { leaderAnswer } from '../../http/answers.ts';
import { ClusterClient } from '../client/cluster-client.ts';
import { watchLeader, type Leader } from '../client/leader-watch.ts';
import type { CommandContext } from '../command-context.ts';
import { DevCluster } from '../dev/dev-cluster.ts';
import { devJson, devText } from '../dev/dev-summary.ts';
import { aborted } from '../pause.ts';
import { DEV_SETTINGS, type DevValues } from '../settings/dev-settings.ts';
import { timingOf } from '../settings/timing-settings.ts';
import { defineCommand } from './define-command.ts';
import { describeLeader } from './leader-command.ts';

/** `quartermaster dev`. */
export function devCommand(context: CommandContext): Command {
  return defineCommand(context, {
    name: 'dev',
    summary: 'Runs a whole cluster on this machine: etcd, resource managers, workers and a job',
    examples: [
      'dev',
      'dev --json',
      'dev --task-executors 4 --slots 8 --job-slots 0 --etcd-members 3',
      'dev --data-dir ./cluster --no-restart',
    ],
    notes: [
      'Each is a process of its own; one that dies is started again after a second.',
      'Ctrl-C ends all of them. With --json: one line when all is up, with cluster, etcd,',
      'resourceManagers, taskExecutors, jobMasters and dashboard (null while there is no',
      'page). What happens afterwards goes to standard error.',
      'Commands such as `quartermaster status` find the cluster by themselves while it runs.',
    ].join('\n'),
    settings: DEV_SETTINGS,
    options: (command) =>
      command
        .option('--no-restart', 'leave a process down that dies')
        .option('--json', 'print one line of JSON when all is up'),
    check: (values) => void timingOf(values),
    run: ({ values, options }) =>
      runDev(context, values, { json: options['json'] === true, restart: options['restart'] !== false }),
  });
}

interface DevSwitches {
  readonly json: boolean;
  readonly restart: boolean;
}

async function runDev(
  context: CommandContext,
  values: DevValues,
  { json, restart }: DevSwitches,
): Promise<void> {
  const signal = context.interruption();
  let up = false;
  const say = (line: string): void => {
    const text = `${new Date(context.clock.wallMs()).toISOString().slice(11, 23)}  ${line}`;
    if (json) context.warn(text);
    else context.print(text);
  };
  const dev = new DevCluster({
    context,
    values,
    timing: timingOf(values),
    restart,
    // While it comes up, the summary says it all.
    onEvent: (line) => {
      if (up && !signal.aborted) say(line);
    },
  });
  try {
    if (!json) context.print('Starting etcd, resource managers, task executors and a job …');
    await Promise.race([dev.start(), aborted(signal)]);
    if (signal.aborted) return;
    const resourceManagers = dev.processes('resource-manager').map(({ address }) => address);
    const leader = await currentLeader(context, resourceManagers);
    context.print(json ? devJson(values.cluster, dev) : devText(values.cluster, dev, leader));
    up = true;
    await watchLeader({
      resourceManagers,
      clock: context.clock,
      signal,
      onLeader: changesAfter(leader, (each) =>
        say(each === null ? 'nobody leads' : `leader: ${describeLeader(each)}`),
      ),
    });
  } finally {
    if (!json && signal.aborted) context.print('Ending everything …');
    await dev.stop();
  }
}

/** Leaves out the one that has been shown already. */
function changesAfter(
  shown: Leader | null,
  tell: (leader: Leader | null) => void,
): (leader: Leader | null) => void {
  let first = true;
  return (leader) => {
    const isShown = first && leader?.leaderSessionId === shown?.leaderSessionId;
    first = false;
    if (!isShown) tell(leader);
  };
}

async function currentLeader(
  { clock }: CommandContext,
  resourceManagers: readonly string[],
): Promise<Leader | null> {
  const client = new ClusterClient({ resourceManagers, timeoutMs: 1_000, clock });
  try {
    return await client.read('/v1/leader', leaderAnswer);
  } catch {
    return null;
  } finally {
    await client.close();
  }
}
