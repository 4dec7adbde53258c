import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** How long what was written before the end may take to arrive. */
const REST_OF_OUTPUT_MS = 1_000;

export interface CommandResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One run of the command line as a process of its own, in an environment without settings but those given. */
export class CommandRun {
  readonly child: ChildProcess;
  readonly ended: Promise<CommandResult>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], environment: Readonly<Record<string, string>>) {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('QUARTERMASTER_'));
    this.child = spawn(process.execPath, [MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...Object.fromEntries(inherited), ...environment },
    });
    this.child.stdout?.on('data', (text: Buffer) => (this.stdout += text.toString()));
    this.child.stderr?.on('data', (text: Buffer) => (this.stderr += text.toString()));
    this.ended = new Promise((resolve) => {
      this.child.once('exit', (code, signal) => {
        const end = (): void => resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
        this.child.once('close', end);
        // A worker that outlives it may hold its standard error open.
        setTimeout(end, REST_OF_OUTPUT_MS).unref();
      });
    });
  }

  /** What it has printed so far, line by line, as JSON. */
  get jsonLines(): Record<string, unknown>[] {
    const lines = this.stdout.split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Sends the signal and resolves when the process has ended. */
  end(signal: NodeJS.Signals = 'SIGINT'): Promise<CommandResult> {
    this.child.kill(signal);
    return this.ended;
  }
}
