import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { ChildGuard } from './child-guard.ts';

/** How one process is started, each time anew. */
export interface ProcessSpec {
  /** Unique within its supervisor. */
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What it writes to standard error is added to this file. */
  readonly logFile: string;
  /** Called with each line that it writes to standard output. */
  readonly onLine?: (line: string) => void;
}

/** How a process ended: its exit code or the signal that ended it. */
export interface ProcessEnd {
  readonly name: string;
  readonly pid: number | null;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** When it is started again; null when it is not. */
  readonly restartInMs: number | null;
}

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly guard: ChildGuard;
  /** A process that ends by itself is started again after this long; null: it is not. */
  readonly restartDelayMs: number | null;
  /** How long a process may take to end when it is asked to, before it is killed. */
  readonly stopTimeoutMs: number;
  readonly onStart: (name: string, pid: number) => void;
  readonly onEnd: (end: ProcessEnd) => void;
}

interface Entry {
  readonly spec: ProcessSpec;
  child: ChildProcess | null;
  gone: Promise<void>;
  restart: Timer | null;
}

const TAIL_CHARACTERS = 2_000;

/**
 * Keeps child processes running: one that ends by itself is started again, until it is stopped. They live in
 * sessions of their own, so that Ctrl-C reaches them only through `stop`, in the order that the owner wants.
 */
export class ProcessSupervisor {
  readonly #options: SupervisorOptions;
  readonly #entries = new Map<string, Entry>();
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Starts a process and keeps it running. */
  start(spec: ProcessSpec): void {
    if (this.#stopping) return;
    if (this.#entries.has(spec.name)) throw new Error(`there is a process ${spec.name} already`);
    const entry: Entry = { spec, child: null, gone: Promise.resolve(), restart: null };
    this.#entries.set(spec.name, entry);
    this.#spawn(entry);
  }

  /** Process number while it runs, else null. */
  pid(name: string): number | null {
    return this.#entries.get(name)?.child?.pid ?? null;
  }

  /** The end of what it has written to standard error. */
  lastWords(name: string): string {
    const entry = this.#entries.get(name);
    if (entry === undefined) return '';
    try {
      return readFileSync(entry.spec.logFile, 'utf8').slice(-TAIL_CHARACTERS).trim();
    } catch {
      return '';
    }
  }

  /** Asks these to end (SIGTERM) and kills those that do not in time; resolves when all are gone, for good. */
  async stop(names: Iterable<string>): Promise<void> {
    const entries = [...names].flatMap((name) => this.#entries.get(name) ?? []);
    await Promise.all(entries.map((entry) => this.#stop(entry)));
  }

  /** Stops all of them, and starts nothing any more. */
  stopAll(): Promise<void> {
    this.#stopping = true;
    return this.stop(this.#entries.keys());
  }

  #spawn(entry: Entry): void {
    const { spec } = entry;
    entry.restart = null;
    const log = openSync(spec.logFile, 'a', 0o600);
    const child = spawn(spec.program, [...spec.args], {
      stdio: ['ignore', 'pipe', log],
      env: spec.environment,
      detached: true,
    });
    closeSync(log);
    entry.child = child;
    const pid = child.pid ?? null;
    if (pid !== null) this.#options.guard.add(pid);
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => spec.onLine?.(line));
    }
    entry.gone = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        if (entry.child !== child) return;
        entry.child = null;
        if (pid !== null) this.#options.guard.remove(pid);
        resolve();
        this.#ended(entry, pid, code, signal);
      };
      child.once('exit', end);
      // Could not even be started: there is no `exit` then.
      child.once('error', () => {
        if (pid === null) end(null, null);
      });
    });
    if (pid !== null) this.#options.onStart(spec.name, pid);
  }

  #ended(entry: Entry, pid: number | null, code: number | null, signal: NodeJS.Signals | null): void {
    const { name } = entry.spec;
    // Stopped on purpose: it is not there any more.
    if (this.#stopping || this.#entries.get(name) !== entry) return;
    const { restartDelayMs, clock, onEnd } = this.#options;
    if (restartDelayMs !== null) {
      entry.restart = clock.schedule(restartDelayMs, () => this.#spawn(entry));
    }
    onEnd({ name, pid, code, signal, restartInMs: restartDelayMs });
  }

  async #stop(entry: Entry): Promise<void> {
    this.#entries.delete(entry.spec.name);
    entry.restart?.cancel();
    const { child } = entry;
    if (child === null) return;
    child.kill('SIGTERM');
    // A stopped process gets the SIGTERM only once it goes on.
    child.kill('SIGCONT');
    const timer = this.#options.clock.schedule(this.#options.stopTimeoutMs, () => child.kill('SIGKILL'));
    await entry.gone;
    timer.cancel();
  }
}
