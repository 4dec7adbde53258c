import { Command, CommanderError } from 'commander';
import { toProblem } from '../core/problem.ts';
import type { CommandContext } from './command-context.ts';
import { EXIT_CODES, exitCodeOf } from './exit-codes.ts';
import { readVersion } from './version.ts';

interface CommandEntry {
  readonly name: string;
  readonly group: 'Run:' | 'Ask:' | 'Order:';
  /** Loads the command with all that it uses: a process pays at its start for its own command, and for nothing later. */
  readonly load: (context: CommandContext) => Promise<Command>;
}

/** In the order of the help. */
const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'dev',
    group: 'Run:',
    load: async (context) => (await import('./commands/dev-command.ts')).devCommand(context),
  },
  {
    name: 'resource-manager',
    group: 'Run:',
    load: async (context) =>
      (await import('./commands/resource-manager-command.ts')).resourceManagerCommand(context),
  },
  {
    name: 'task-executor',
    group: 'Run:',
    load: async (context) =>
      (await import('./commands/task-executor-command.ts')).taskExecutorCommand(context),
  },
  {
    name: 'job-master',
    group: 'Run:',
    load: async (context) => (await import('./commands/job-master-command.ts')).jobMasterCommand(context),
  },
  {
    name: 'status',
    group: 'Ask:',
    load: async (context) => (await import('./commands/status-command.ts')).statusCommand(context),
  },
  {
    name: 'leader',
    group: 'Ask:',
    load: async (context) => (await import('./commands/leader-command.ts')).leaderCommand(context),
  },
  {
    name: 'slots',
    group: 'Ask:',
    load: async (context) => (await import('./commands/listing-commands.ts')).slotsCommand(context),
  },
  {
    name: 'history',
    group: 'Ask:',
    load: async (context) => (await import('./commands/listing-commands.ts')).historyCommand(context),
  },
  {
    name: 'explain',
    group: 'Ask:',
    load: async (context) => (await import('./commands/explain-command.ts')).explainCommand(context),
  },
  {
    name: 'doctor',
    group: 'Ask:',
    load: async (context) => (await import('./commands/doctor-command.ts')).doctorCommand(context),
  },
  {
    name: 'audit',
    group: 'Ask:',
    load: async (context) => (await import('./commands/audit-command.ts')).auditCommand(context),
  },
  {
    name: 'drill',
    group: 'Ask:',
    load: async (context) => (await import('./commands/drill-command.ts')).drillCommand(context),
  },
  {
    name: 'drain',
    group: 'Order:',
    load: async (context) => (await import('./commands/order-commands.ts')).drainCommand(context, 'drain'),
  },
  {
    name: 'undrain',
    group: 'Order:',
    load: async (context) => (await import('./commands/order-commands.ts')).drainCommand(context, 'undrain'),
  },
  {
    name: 'forget',
    group: 'Order:',
    load: async (context) => (await import('./commands/order-commands.ts')).forgetCommand(context),
  },
  {
    name: 'step-down',
    group: 'Order:',
    load: async (context) => (await import('./commands/order-commands.ts')).stepDownCommand(context),
  },
  {
    name: 'new-generation',
    group: 'Order:',
    load: async (context) =>
      (await import('./commands/new-generation-command.ts')).newGenerationCommand(context),
  },
];

/** A command line that names its command needs no other one; help, and a word that is none, need them all. */
function neededFor([word]: readonly string[]): readonly CommandEntry[] {
  const named = COMMANDS.filter(({ name }) => name === word);
  return named.length > 0 ? named : COMMANDS;
}

/** Runs one command line (without the program's name) and resolves to its exit code; never rejects. */
export async function runProgram(argv: readonly string[], context: CommandContext): Promise<number> {
  try {
    const program = await buildProgram(context, neededFor(argv));
    await program.parseAsync([...argv], { from: 'user' });
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

/** The command line with these commands; with all of them when none are named. */
export async function buildProgram(
  context: CommandContext,
  entries: readonly CommandEntry[] = COMMANDS,
): Promise<Command> {
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
  for (const { group, load } of entries) program.addCommand((await load(context)).helpGroup(group));
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
