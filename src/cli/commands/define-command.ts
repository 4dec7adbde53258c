import { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { ALL_SETTING_NAMES } from '../settings/all-settings.ts';
import { addSettings, printableSettings, readSettings } from '../settings/command-settings.ts';
import type { Settings, SettingValues } from '../settings/setting.ts';

export interface CommandDefinition<S extends Settings> {
  /** Name and arguments, as commander takes them: `drain <TASK-EXECUTOR>`. */
  readonly name: string;
  readonly summary: string;
  /** Command lines without the program's name, for the help. */
  readonly examples: readonly string[];
  readonly settings: S;
  /** Whether a running `dev` may say where the cluster is; those that ask resource managers let it, others do not. */
  readonly findsDev?: boolean;
  /** Further text under the examples. */
  readonly notes?: string;
  /** Throws `INVALID` for values that do not go together. */
  readonly check?: (values: SettingValues<S>) => void;
  /** Switches of this command alone, which no environment sets. */
  readonly options?: (command: Command) => Command;
  readonly run: (call: {
    readonly values: SettingValues<S>;
    readonly args: readonly string[];
    readonly options: Readonly<Record<string, unknown>>;
  }) => Promise<void>;
}

/** A command with its settings, `--print-config` and the examples in its help. */
export function defineCommand<S extends Settings>(
  context: CommandContext,
  definition: CommandDefinition<S>,
): Command {
  const { settings } = definition;
  const command = addSettings(new Command(definition.name.split(' ', 1)[0]), settings).description(
    definition.summary,
  );
  for (const argument of definition.name.split(' ').slice(1)) command.argument(argument);
  definition.options?.(command);
  const examples = definition.examples.map((example) => `  $ quartermaster ${example}`).join('\n');
  const notes = definition.notes === undefined ? '' : `\n\n${definition.notes}`;
  command.addHelpText('after', `\nExamples:\n${examples}${notes}`);
  command.action(async () => {
    const values = readSettings(command, settings, {
      environment: context.environment,
      knownNames: ALL_SETTING_NAMES,
      context: definition.findsDev ?? 'resourceManagers' in settings,
    });
    definition.check?.(values);
    const options = command.opts<Record<string, unknown>>();
    if (options['printConfig'] === true) return context.print(printableSettings(settings, values));
    await definition.run({ values, args: command.args, options });
  });
  return command;
}
