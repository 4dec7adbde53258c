import type { Command } from 'commander';
import { historyAnswer } from '../../http/answers.ts';
import type { CommandContext } from '../command-context.ts';
import { renderAccount } from '../explain/render-account.ts';
import { accountOf, parseTermName } from '../explain/term-account.ts';
import { defineClientCommand } from './client-command.ts';

/** `quartermaster explain`. */
export function explainCommand(context: CommandContext): Command {
  return defineClientCommand(context, {
    name: 'explain <[GENERATION-]EPOCH>',
    summary: 'Tells one term of office: who led, why it ended, on whose evidence, how long nobody led',
    examples: ['explain 7', 'explain 1-7 --json'],
    notes:
      'Times are by the clocks of those who wrote them down. `history` lists the terms; the newest 1,000\nare kept.',
    run: async ({ client, args: [name = ''], show }) => {
      // A name that is none is told before anybody is asked.
      parseTermName(name);
      const rows = await client.readAll('/v1/history', historyAnswer, (page) => page.history);
      const account = accountOf(rows, name);
      show(account, () => renderAccount(account));
    },
  });
}
