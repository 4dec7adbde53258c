#!/usr/bin/env node
import { SystemClock } from '../runtime/system-clock.ts';
import { SystemRandomness } from '../runtime/system-randomness.ts';
import type { CommandContext } from './command-context.ts';
import { runProgram } from './program.ts';

const clock = new SystemClock();
const interruption = new AbortController();
const insistence = new AbortController();
/** Package runners pass a signal on that the terminal has sent to everybody already: that is one signal, not two. */
const ONE_SIGNAL_MS = 1_000;
let listening = false;

function listenForSignals(): void {
  if (listening) return;
  listening = true;
  let firstMs = Infinity;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (clock.monotonicMs() - firstMs >= ONE_SIGNAL_MS) insistence.abort(signal);
      firstMs = Math.min(firstMs, clock.monotonicMs());
      interruption.abort(signal);
    });
  }
}

/** Nobody reads any more: whoever stopped reading wants no more either. */
function ignoreBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
process.stdout.on('error', ignoreBrokenPipe);
process.stderr.on('error', ignoreBrokenPipe);

const context: CommandContext = {
  environment: process.env,
  clock,
  randomness: new SystemRandomness(),
  print: (text) => process.stdout.write(`${text}\n`),
  warn: (text) => process.stderr.write(`${text}\n`),
  isTerminal: process.stderr.isTTY,
  logStream: process.stderr,
  interruption: () => {
    listenForSignals();
    return interruption.signal;
  },
  insistence: () => insistence.signal,
  onUncaught: (handler) => {
    process.on('uncaughtException', handler);
  },
  exit: (code) => process.exit(code),
};

// Pipes and files are written before the call returns, so nothing said is lost by ending here, and no timer or
// socket that a library keeps can hold up the end.
process.exit(await runProgram(process.argv.slice(2), context));
