import type { Command } from 'commander';
import { z } from 'zod';
import { historyAnswer, slotsAnswer } from '../../http/answers.ts';
import type { CommandContext } from '../command-context.ts';
import { QuartermasterError } from '../../core/problem.ts';
import { wholeNumber } from '../settings/value-schemas.ts';
import { cell, formatTable } from '../table.ts';
import { defineClientCommand } from './client-command.ts';

/** `quartermaster slots`. */
export function slotsCommand(context: CommandContext): Command {
  return defineClientCommand(context, {
    name: 'slots',
    summary: 'Lists every slot and what it holds',
    examples: ['slots', 'slots --json | jq \'.slots[] | select(.state == "free")\''],
    run: async ({ client, show }) => {
      const slots = await client.readAll('/v1/slots', slotsAnswer, (page) => page.slots);
      show({ slots }, () =>
        formatTable(
          ['SLOT', 'STATE', 'JOB', 'ALLOCATION', 'GRANT', 'CPU', 'MB', 'EXTENDED'],
          slots.map((slot) => [
            `${slot.resourceId}/${slot.slotNumber}`,
            slot.state,
            cell(slot.jobId),
            cell(slot.allocationId),
            cell(slot.grantNumber),
            cell(slot.profile.cpuCores),
            cell(slot.profile.memoryMB),
            cell(
              Object.entries(slot.profile.extended)
                .map(([name, amount]) => `${name}=${amount}`)
                .join(','),
            ),
          ]),
        ),
      );
    },
  });
}

/** What the record in etcd says of the end of a term; null in it while nobody has written it down. */
const termEnd = z.object({
  at: z.string().optional(),
  reason: z.string().optional(),
  evidence: z.string().optional(),
  by: z.string().optional(),
});

const mostTerms = wholeNumber(1, 1_000);
const DEFAULT_TERMS = 20;

/** `quartermaster history`. */
export function historyCommand(context: CommandContext): Command {
  return defineClientCommand(context, {
    name: 'history',
    summary: 'Lists the terms of office, the newest first: who led, and why it ended',
    examples: ['history', 'history --limit 100 --json'],
    notes:
      'BY is who wrote the end down. What it knew is shown when that is somebody else;\n--json has it always.',
    options: (command) =>
      command.option('--limit <N>', `most terms to show, 1 to 1000 (default: ${DEFAULT_TERMS})`),
    run: async ({ client, options, show }) => {
      const limit = mostTerms.safeParse(options['limit'] ?? DEFAULT_TERMS);
      if (!limit.success) {
        const detail = `--limit ${limit.error.issues[0]?.message ?? 'is wrong'}.`;
        throw new QuartermasterError({ code: 'INVALID', detail });
      }
      const history = await client.readAll('/v1/history', historyAnswer, (page) => page.history, limit.data);
      show({ history }, () =>
        formatTable(
          ['TERM', 'LEADER', 'CONFIRMED AT', 'ENDED AT', 'BY', 'WHY'],
          history.map((row) => {
            const end = termEnd.safeParse(row['ended']);
            return [
              `${row.generation}-${row.epoch}`,
              text(row['resourceManagerId']),
              row['neverConfirmed'] === true ? 'never' : text(row['confirmedAt']),
              ...(end.success
                ? [cell(end.data.at), cell(end.data.by), why(end.data, row['resourceManagerId'])]
                : []),
            ];
          }),
        ),
      );
    },
  });
}

/** Who ends its own term knows why; what others say of it stands on their evidence. */
function why({ reason, evidence, by }: z.output<typeof termEnd>, leader: unknown): string {
  return by === leader || evidence === undefined ? cell(reason) : `${cell(reason)}: ${evidence}`;
}

/** Whatever stands in a record that others write, on one line. */
function text(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return cell(value);
  return value === undefined || value === null ? '-' : JSON.stringify(value);
}
