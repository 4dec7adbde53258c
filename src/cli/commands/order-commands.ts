import type { Command } from 'commander';
import { QuartermasterError } from '../../core/problem.ts';
import { leaderAnswer } from '../../http/answers.ts';
import { awaitLeader } from '../client/await-leader.ts';
import type { ClusterClient } from '../client/cluster-client.ts';
import type { CommandContext } from '../command-context.ts';
import { processName } from '../settings/value-schemas.ts';
import { defineClientCommand } from './client-command.ts';
import { describeLeader } from './leader-command.ts';

function checkedName(value: unknown): string {
  const parsed = processName.safeParse(value);
  if (parsed.success) return parsed.data;
  const detail = `${JSON.stringify(value)} is no name: it ${parsed.error.issues[0]?.message ?? 'is wrong'}.`;
  throw new QuartermasterError({ code: 'INVALID', detail });
}

/** `quartermaster drain` and `undrain`. */
export function drainCommand(context: CommandContext, verb: 'drain' | 'undrain'): Command {
  const drains = verb === 'drain';
  return defineClientCommand(context, {
    name: `${verb} <TASK-EXECUTOR>`,
    summary: drains
      ? 'Gives no new slots of a task executor; leases that are held go on'
      : 'Gives slots of a drained task executor again',
    examples: [`${verb} te-1`, `${verb} te-1 --json`],
    run: async ({ client, args, show }) => {
      const resourceId = checkedName(args[0]);
      await client.order('POST', `/v1/task-executors/${encodeURIComponent(resourceId)}/${verb}`);
      show({ resourceId, draining: drains }, () =>
        drains ? `${resourceId} gets no new work.` : `${resourceId} gets work again.`,
      );
    },
  });
}

/** `quartermaster forget`. */
export function forgetCommand(context: CommandContext): Command {
  return defineClientCommand(context, {
    name: 'forget <ID>',
    summary: 'Removes a task executor or a job that is gone for good from the books',
    examples: ['forget te-1', 'forget nightly --kind job-master'],
    notes: 'One that lives registers again. Without --kind a task executor of that name goes before a job.',
    options: (command) => command.option('--kind <KIND>', 'task-executor or job-master'),
    run: async ({ client, args, options, show }) => {
      const id = checkedName(args[0]);
      const kind = await forget(client, id, options['kind']);
      show(
        { id, kind, forgotten: true },
        () => `The ${kind === 'task-executor' ? 'task executor' : 'job'} ${id} is forgotten.`,
      );
    },
  });
}

type Kind = 'task-executor' | 'job-master';

async function forget(client: ClusterClient, id: string, kind: unknown): Promise<Kind> {
  const kinds: readonly Kind[] = ['task-executor', 'job-master'];
  const wanted = kinds.filter((each) => kind === undefined || kind === each);
  let unknown: QuartermasterError | null = null;
  for (const each of wanted) {
    try {
      await client.order('DELETE', `/v1/${each}s/${encodeURIComponent(id)}`);
      return each;
    } catch (error) {
      if (!(error instanceof QuartermasterError) || !error.code.startsWith('UNKNOWN_')) throw error;
      unknown = error;
    }
  }
  if (unknown === null)
    throw new QuartermasterError({ code: 'INVALID', detail: '--kind must be task-executor or job-master.' });
  if (wanted.length === 1) throw unknown;
  const detail = `There is neither a task executor nor a job ${id}.`;
  throw new QuartermasterError({ code: unknown.code, detail });
}

/** `quartermaster step-down`. */
export function stepDownCommand(context: CommandContext): Command {
  return defineClientCommand(context, {
    name: 'step-down',
    summary: 'Lets the leader hand leadership over',
    examples: ['step-down', 'step-down --to rm-2', 'step-down --reason "kernel update"'],
    options: (command) =>
      command
        .option('--to <ID>', 'resource manager that is to lead; refused when it is not ready')
        .option('--reason <TEXT>', 'goes into the history'),
    run: async ({ client, values, options, show }) => {
      const to = options['to'] === undefined ? undefined : checkedName(options['to']);
      const { reason } = options;
      const before = await client.read('/v1/leader', leaderAnswer);
      await client.order('POST', '/v1/step-down', {
        ...(to === undefined ? {} : { to }),
        ...(reason === undefined ? {} : { reason }),
      });
      const after = await awaitLeader(
        context,
        client,
        values.timeoutMs,
        ({ leaderSessionId }) => leaderSessionId !== before.leaderSessionId,
      );
      show({ before, after }, () =>
        after === null
          ? `${before.resourceManagerId} has stepped down; nobody leads yet.`
          : `${before.resourceManagerId} has stepped down.\n${describeLeader(after)}`,
      );
    },
  });
}
