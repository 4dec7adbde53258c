import type { Clock } from '../runtime/clock.ts';
import type { Randomness } from '../runtime/randomness.ts';
import type { Environment } from './settings/command-settings.ts';

/** What a command may touch of the process that runs it. */
export interface CommandContext {
  readonly environment: Environment;
  readonly clock: Clock;
  readonly randomness: Randomness;
  /** Writes lines to standard output, each ended. */
  print(text: string): void;
  /** Writes lines to standard error, each ended. */
  warn(text: string): void;
  /** Whether a person reads standard error. */
  readonly isTerminal: boolean;
  /** Where the log goes. */
  readonly logStream: NodeJS.WritableStream;
  /** Aborts at the first SIGINT, SIGTERM or SIGHUP; from the first use on, these do not end the process by themselves. */
  interruption(): AbortSignal;
  /** Aborts when such a signal comes once more, a second or later after the first: somebody is impatient. */
  insistence(): AbortSignal;
  /** From now on errors that nobody has caught go there. */
  onUncaught(handler: (error: Error) => void): void;
  /** Ends the process at once. */
  exit(code: number): never;
}
