#!/usr/bin/env node
import { SystemClock } from '../runtime/system-clock.ts';
import { SystemRandomness } from '../runtime/system-randomness.ts';
import type { CommandContext } from './command-context.ts';
import { runProgram } from './program.ts';

const interruption = new AbortController();
let listening = false;

/** Nobody reads any more: whoever stopped reading wants no more either. */
function ignoreBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
process.stdout.on('error', ignoreBrokenPipe);
process.stderr.on('error', ignoreBrokenPipe);

const context: CommandContext = {
  environment: process.env,
  clock: new SystemClock(),
  randomness: new SystemRandomness(),
  print: (text) => process.stdout.write(`${text}\n`),
  warn: (text) => process.stderr.write(`${text}\n`),
  isTerminal: process.stderr.isTTY,
  logStream: process.stderr,
  interruption: () => {
    if (!listening) {
      listening = true;
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
        process.on(signal, () => interruption.abort(signal));
      }
    }
    return interruption.signal;
  },
  exit: (code) => process.exit(code),
};

// Pipes and files are written before the call returns, so nothing said is lost by ending here, and no timer or
// socket that a library keeps can hold up the end.
process.exit(await runProgram(process.argv.slice(2), context));
