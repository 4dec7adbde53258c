import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandRun, type CommandResult } from './command-run.ts';
import { eventually } from './eventually.ts';
import { isAlive } from './process-alive.ts';

/** Times that are fit for a test. */
export const QUICK_TIMES: readonly string[] = [
  ['--slot-lease-ms', '3000'],
  ['--slot-renewal-ms', '500'],
  ['--unclaimed-ms', '3000'],
  ['--heartbeat-interval-ms', '500'],
  ['--heartbeat-timeout-ms', '2000'],
  ['--grace-ms', '2000'],
].flat();

/** And for a whole cluster: a leader that was killed is followed after 3 to 4 seconds at the latest. */
export const QUICK_CLUSTER: readonly string[] = ['--lease-ttl-seconds', '3', ...QUICK_TIMES];

/** What `dev --json` prints. */
export interface DevLine {
  readonly cluster: string;
  readonly etcd: readonly string[];
  readonly resourceManagers: readonly { id: string; address: string; pid: number }[];
  readonly taskExecutors: readonly { id: string; address: string; pid: number }[];
  readonly jobMasters: readonly { jobId: string; pid: number }[];
  readonly dashboard: string | null;
}

/** A cluster that `quartermaster dev` runs, with temporary files and state in a folder of its own. */
export class DevRun {
  readonly command: CommandRun;
  readonly #folder: string;
  readonly #environment: Readonly<Record<string, string>>;
  line: DevLine | null = null;

  constructor(...flags: string[]) {
    this.#folder = mkdtempSync(join(tmpdir(), 'qm-e2e-'));
    this.#environment = { TMPDIR: this.#folder, XDG_STATE_HOME: this.#folder };
    this.command = new CommandRun(['dev', '--json', ...flags], this.#environment);
  }

  /** Starts one and resolves when it is up. */
  static async up(...flags: string[]): Promise<DevRun> {
    const run = new DevRun(...flags);
    try {
      await eventually(
        'the cluster is up',
        () => run.command.stdout.includes('\n') || run.command.child.exitCode !== null,
        60_000,
      );
      run.line = JSON.parse(run.command.stdout) as DevLine;
      return run;
    } catch (error) {
      const { stderr } = run.command;
      await run.end();
      throw new Error(`dev did not come up: ${String(error)}\n${stderr}`, { cause: error });
    }
  }

  get up(): DevLine {
    if (this.line === null) throw new Error('it is not up');
    return this.line;
  }

  /** Starts a command beside the cluster, which it finds through the context file. */
  start(...args: string[]): CommandRun {
    return new CommandRun(args, this.#environment);
  }

  run(...args: string[]): Promise<CommandResult> {
    return this.start(...args).ended;
  }

  /** The answer of a command with `--json`; fails when it does not end with 0. */
  async json<T>(...args: string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run(...args, '--json');
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }

  /** Asks a resource manager, whichever answers, over HTTP; null when none does or the answer is a problem. */
  async ask<T>(path: string): Promise<T | null> {
    for (const { address } of this.up.resourceManagers) {
      try {
        const answer = await fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(1_000) });
        if (answer.ok) return (await answer.json()) as T;
      } catch {
        // It is dead or stopped: the next one.
      }
    }
    return null;
  }

  /** Runs etcdctl against the cluster's etcd. */
  etcdctl(...args: string[]): string {
    return execFileSync('etcdctl', [`--endpoints=${this.up.etcd.join(',')}`, ...args], {
      env: { ...process.env, ETCDCTL_API: '3' },
      encoding: 'utf8',
      timeout: 10_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Processes that dev has started, by a part of their command lines. */
  children(part: string): number[] {
    const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,command='], { encoding: 'utf8' });
    return table.split('\n').flatMap((row) => {
      const [, pid, parent, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(row) ?? [];
      return Number(parent) === this.command.child.pid && command.includes(part) ? [Number(pid)] : [];
    });
  }

  /** Resource managers that run now; their numbers change when they are started again. */
  resourceManagerPids(): number[] {
    return this.children('main.js resource-manager ');
  }

  /** Files that the cluster has left in its temporary folder. */
  #leftovers(): string[] {
    return readdirSync(this.#folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => entry.name);
  }

  /** Ends it by that signal, waits until every process is gone, and removes the folder. */
  async end(signal: NodeJS.Signals = 'SIGINT'): Promise<{ result: CommandResult; leftovers: string[] }> {
    const { child } = this.command;
    const pids = child.exitCode === null && child.signalCode === null ? this.children('') : [];
    const result = await this.command.end(signal);
    let leftovers: string[] = [];
    try {
      await eventually('no process is left', () => !pids.some(isAlive));
      // The context file cannot be removed by the dead; whoever reads it next does it.
      const context = signal === 'SIGKILL' ? `-${child.pid}.json` : 'none';
      const look = (): boolean => {
        leftovers = this.#leftovers().filter((name) => !name.endsWith(context));
        return leftovers.length === 0;
      };
      // After SIGKILL the guard of the processes needs a moment.
      await eventually('no file is left', look, 5_000).catch(() => {});
      return { result, leftovers };
    } finally {
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }
}
