import type { Command } from 'commander';
import { z } from 'zod';
import { QuartermasterError } from '../../core/problem.ts';
import { generationPlanAnswer } from '../../http/answers.ts';
import { awaitLeader } from '../client/await-leader.ts';
import { ClusterClient } from '../client/cluster-client.ts';
import type { CommandContext } from '../command-context.ts';
import type { ClientValues } from '../settings/client-settings.ts';
import { defineClientCommand } from './client-command.ts';
import { describeLeader } from './leader-command.ts';

type Plan = z.output<typeof generationPlanAnswer>;

const MOST_ATTEMPTS = 3;

/** `quartermaster new-generation`. */
export function newGenerationCommand(context: CommandContext): Command {
  return defineClientCommand(context, {
    name: 'new-generation',
    summary: 'Says that etcd was wiped or restored, so that a leader may be confirmed again',
    examples: ['new-generation', 'new-generation --yes', 'new-generation --yes --generation 2'],
    notes:
      'Without --yes it tells what it would do, changes nothing and ends with 64. Whoever leads is deposed;\n' +
      'claimed leases go on. With --generation it may be repeated: what has been done is not done again.',
    options: (command) =>
      command
        .option('--yes', 'do it')
        .option('--generation <N>', 'the generation to declare, as an earlier call has told it'),
    run: async ({ values, options, show }) => {
      const wanted = generationOf(options['generation']);
      const { address, plan } = await bestPlan(context, values);
      if (options['yes'] !== true) {
        show({ ...plan, done: false }, () => describePlan(plan));
        throw new QuartermasterError({ code: 'INVALID', detail: 'Nothing was changed: it needs --yes.' });
      }
      const generation = wanted ?? plan.identity.generation;
      const others = values.resourceManagers.filter((each) => each !== address);
      const client = clientOf(context, [address, ...others], values);
      try {
        await declare(client, generation);
        const { present } = await client.read('/v1/new-generation', generationPlanAnswer);
        const leader = await awaitLeader(
          context,
          client,
          values.timeoutMs,
          (found) => found.generation >= generation,
        );
        show({ identity: present, leader, done: true }, () => {
          const told = `Generation ${present?.generation} of cluster ${present?.clusterId} stands in etcd.`;
          return `${told}\n${leader === null ? 'Nobody leads yet.' : describeLeader(leader)}`;
        });
      } finally {
        await client.close();
      }
    },
  });
}

function generationOf(given: unknown): number | null {
  if (given === undefined) return null;
  const parsed = z.coerce.number().int().min(1).safeParse(given);
  if (parsed.success) return parsed.data;
  const detail = `--generation must be a whole number, at least 1, but is ${JSON.stringify(given)}.`;
  throw new QuartermasterError({ code: 'INVALID', detail });
}

function clientOf(
  { clock }: CommandContext,
  resourceManagers: readonly string[],
  { timeoutMs }: ClientValues,
): ClusterClient {
  return new ClusterClient({ resourceManagers, timeoutMs, clock });
}

/** Asks every resource manager: the one that hears most workers knows best which cluster this is. */
async function bestPlan(
  context: CommandContext,
  values: ClientValues,
): Promise<{ readonly address: string; readonly plan: Plan }> {
  const asked = values.resourceManagers.map(async (address) => {
    const client = clientOf(context, [address], values);
    try {
      return { address, plan: await client.read('/v1/new-generation', generationPlanAnswer) };
    } finally {
      await client.close();
    }
  });
  const outcomes = await Promise.allSettled(asked);
  const plans = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const [best] = plans.toSorted((a, b) => b.plan.informedWorkers - a.plan.informedWorkers);
  if (best !== undefined) return best;
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  throw (
    failed?.reason ?? new QuartermasterError({ code: 'UNAVAILABLE', detail: 'No resource manager is named.' })
  );
}

/** Repeated where nothing is known of it: it names its generation, so it is done once. */
async function declare(client: ClusterClient, generation: number): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await client.order('POST', '/v1/new-generation', { generation });
    } catch (error) {
      const unknown = error instanceof QuartermasterError && error.code === 'NO_ANSWER';
      if (!unknown || attempt >= MOST_ATTEMPTS) throw error;
    }
  }
}

function describePlan({
  present,
  identity,
  informedWorkers,
  contradictingWorkers,
  contradiction,
}: Plan): string {
  const stands =
    present === null ? 'no identity' : `cluster id ${present.clusterId}, generation ${present.generation}`;
  const workers =
    informedWorkers === 0
      ? 'No worker that is connected knows its cluster.'
      : `${contradictingWorkers} of ${informedWorkers} workers that know their cluster contradict that.`;
  const lines = [
    contradiction === null
      ? 'Nothing calls for a new generation: etcd is believed.'
      : `etcd was wiped or restored: ${contradiction}.`,
    `etcd holds ${stands}. ${workers}`,
    `It would write cluster id ${identity.clusterId}, generation ${identity.generation}, and remove the leader's`,
    'record and the head of the line. Claimed leases go on; the next leader is confirmed under the new generation.',
  ];
  if (present !== null && present.clusterId !== identity.clusterId) {
    lines.push(
      `That is another cluster id than the one in etcd: workers that know ${present.clusterId}`,
      'obey nobody any more until they are started anew without what they remember.',
    );
  }
  return lines.join('\n');
}
