import type { Command } from 'commander';
import { leaderAnswer } from '../../http/answers.ts';
import { watchLeader, type Leader } from '../client/leader-watch.ts';
import type { CommandContext } from '../command-context.ts';
import { defineClientCommand } from './client-command.ts';

/** One leader, for people. */
export function describeLeader(leader: Leader): string {
  const { resourceManagerId, address, generation, epoch } = leader;
  return `${resourceManagerId}  ${address}  term ${generation}-${epoch}`;
}

/** `quartermaster leader`. */
export function leaderCommand(context: CommandContext): Command {
  return defineClientCommand(context, {
    name: 'leader',
    summary: 'Shows who leads; with --watch, each change until it is stopped',
    examples: ['leader', 'leader --json', 'leader --watch'],
    notes: 'With --watch --json: one line for each change, `null` while nobody leads.',
    options: (command) => command.option('--watch', 'go on and show each change'),
    run: async ({ client, values, options, show }) => {
      if (options['watch'] !== true) {
        const leader = await client.read('/v1/leader', leaderAnswer);
        return show(leader, () => `${describeLeader(leader)}  session ${leader.leaderSessionId}`);
      }
      await watchLeader({
        resourceManagers: values.resourceManagers,
        clock: context.clock,
        signal: context.interruption(),
        onLeader: (leader) => {
          const at = new Date(context.clock.wallMs()).toISOString();
          show(leader, () => `${at}  ${leader === null ? 'nobody leads' : describeLeader(leader)}`);
        },
      });
    },
  });
}
