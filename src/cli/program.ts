import { Command, CommanderError } from 'commander';
import { toProblem } from '../core/problem.ts';
import type { CommandContext } from './command-context.ts';
import { auditCommand } from './commands/audit-command.ts';
import { devCommand } from './commands/dev-command.ts';
import { doctorCommand } from './commands/doctor-command.ts';
import { drillCommand } from './commands/drill-command.ts';
import { explainCommand } from './commands/explain-command.ts';
import { leaderCommand } from './commands/leader-command.ts';
import { historyCommand, slotsCommand } from './commands/listing-commands.ts';
import { newGenerationCommand } from './commands/new-generation-command.ts';
import { drainCommand, forgetCommand, stepDownCommand } from './commands/order-commands.ts';
import {
  jobMasterCommand,
  resourceManagerCommand,
  taskExecutorCommand,
} from './commands/process-commands.ts';
import { statusCommand } from './commands/status-command.ts';
import { EXIT_CODES, exitCodeOf } from './exit-codes.ts';
import { readVersion } from './version.ts';

/** Runs one command line (without the program's name) and resolves to its exit code; never rejects. */
export async function runProgram(argv: readonly string[], context: CommandContext): Promise<number> {
  try {
    await buildProgram(context).parseAsync([...argv], { from: 'user' });
    return EXIT_CODES.done;
  } catch (error) {
    // Commander has said already what is wrong with a command line.
    if (!(error instanceof CommanderError)) context.warn(`quartermaster: ${sentenceOf(error)}`);
    return exitCodeOf(error);
  }
}

function sentenceOf(error: unknown): string {
  const { code, detail } = toProblem(error);
  return code === 'INVALID' || code === 'INTERNAL' ? detail : `${detail} (${code})`;
}

/** The whole command line. */
export function buildProgram(context: CommandContext): Command {
  const program = new Command('quartermaster')
    .description('A high-availability resource manager: one elected leader, fenced slots, backed by etcd')
    .version(readVersion(), '-V, --version', 'show the version')
    .helpCommand('help [COMMAND]', 'Shows the help of a command')
    .addHelpText(
      'after',
      `
Examples:
  $ quartermaster dev                      a whole cluster on this machine
  $ quartermaster status                   who leads, who works, what is free
  $ quartermaster COMMAND --help           flags and examples of a command

Settings come from flags, then QUARTERMASTER_… variables, then --config FILE.
Exit codes: 0 done, 1 failed, 2 no leader or not reachable,
3 a guarantee is violated, 64 wrong usage.`,
    );
  const groups: Readonly<Record<string, readonly Command[]>> = {
    'Run:': [
      devCommand(context),
      resourceManagerCommand(context),
      taskExecutorCommand(context),
      jobMasterCommand(context),
    ],
    'Ask:': [
      statusCommand(context),
      leaderCommand(context),
      slotsCommand(context),
      historyCommand(context),
      explainCommand(context),
      doctorCommand(context),
      auditCommand(context),
      drillCommand(context),
    ],
    'Order:': [
      drainCommand(context, 'drain'),
      drainCommand(context, 'undrain'),
      forgetCommand(context),
      stepDownCommand(context),
      newGenerationCommand(context),
    ],
  };
  for (const [heading, commands] of Object.entries(groups)) {
    for (const command of commands) program.addCommand(command.helpGroup(heading));
  }
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .helpOption('-h, --help', 'show this help')
      .configureOutput({
        writeOut: (text) => context.print(text.trimEnd()),
        writeErr: (text) => context.warn(text.trimEnd()),
        // Commander's own complaints look like all others.
        outputError: (text, write) => write(text.replace(/^error: /, 'quartermaster: ')),
      });
  }
  for (const command of program.commands) {
    command.showHelpAfterError(`(quartermaster ${command.name()} --help says more)`);
  }
  return program.showHelpAfterError('(quartermaster --help says more)');
}
