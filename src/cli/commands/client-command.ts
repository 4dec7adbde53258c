import type { Command } from 'commander';
import { ClusterClient } from '../client/cluster-client.ts';
import type { CommandContext } from '../command-context.ts';
import { CLIENT_SETTINGS, type ClientValues } from '../settings/client-settings.ts';
import { defineCommand } from './define-command.ts';

export interface ClientCall {
  readonly client: ClusterClient;
  readonly values: ClientValues;
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  /** Prints the value as one line of JSON with `--json`, else the text. */
  readonly show: (value: unknown, text: () => string) => void;
}

export interface ClientCommandDefinition {
  readonly name: string;
  readonly summary: string;
  readonly examples: readonly string[];
  readonly notes?: string;
  readonly options?: (command: Command) => Command;
  readonly run: (call: ClientCall) => Promise<void>;
}

/** A command that asks or orders over the operator's HTTP, with `--json`. */
export function defineClientCommand(context: CommandContext, definition: ClientCommandDefinition): Command {
  const { run, options, ...rest } = definition;
  return defineCommand(context, {
    ...rest,
    settings: CLIENT_SETTINGS,
    options: (command) => {
      options?.(command);
      return command.option('--json', 'print JSON, one line for each answer');
    },
    run: async (call) => {
      const { resourceManagers, timeoutMs } = call.values;
      const client = new ClusterClient({ resourceManagers, timeoutMs, clock: context.clock });
      const show = (value: unknown, text: () => string): void =>
        context.print(call.options['json'] === true ? JSON.stringify(value) : text());
      try {
        await run({ ...call, client, show });
      } finally {
        await client.close();
      }
    },
  });
}
