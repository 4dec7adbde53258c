import { CommanderError } from 'commander';
import { QuartermasterError, type ProblemCode } from '../core/problem.ts';

/** What a command tells a script by its end. */
export const EXIT_CODES = {
  done: 0,
  failed: 1,
  /** Nobody leads, or nobody could be reached. */
  noLeader: 2,
  guaranteeViolated: 3,
  wrongUsage: 64,
} as const;

const WITHOUT_LEADER: readonly ProblemCode[] = [
  'NO_LEADER',
  'NOT_LEADER',
  'SUSPENDED',
  'UNAVAILABLE',
  'NO_ANSWER',
];

/** The exit code for whatever ended a command. */
export function exitCodeOf(error: unknown): number {
  // Help and version end a command by an error too, with code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.done : EXIT_CODES.wrongUsage;
  if (!(error instanceof QuartermasterError)) return EXIT_CODES.failed;
  if (error.code === 'INVALID') return EXIT_CODES.wrongUsage;
  return WITHOUT_LEADER.includes(error.code) ? EXIT_CODES.noLeader : EXIT_CODES.failed;
}
