import { spawn, type ChildProcess } from 'node:child_process';
import type { Clock } from '../../runtime/clock.ts';
import type { ChildGuard } from './child-guard.ts';

/** How one member is started. */
export interface EtcdMemberOptions {
  readonly name: string;
  readonly url: string;
  readonly program: string;
  readonly programArguments: readonly string[];
  readonly guard: ChildGuard;
  readonly clock: Clock;
}

const KEPT_OUTPUT_CHARACTERS = 8_000;
const TERMINATION_TIMEOUT_MS = 3_000;

/** One etcd process, which can be stopped, killed and started again on the same data and ports. */
export class EtcdMember {
  readonly name: string;
  readonly url: string;
  readonly #options: EtcdMemberOptions;
  #child: ChildProcess | null = null;
  #gone: Promise<void> = Promise.resolve();
  #output = '';

  constructor(options: EtcdMemberOptions) {
    this.name = options.name;
    this.url = options.url;
    this.#options = options;
  }

  /** Process number while it runs, else null. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** The end of what the member has written since its last start. */
  get output(): string {
    return this.#output;
  }

  /** Sends a signal (`SIGSTOP`, `SIGCONT`, `SIGKILL`, …); false when the member does not run. */
  kill(signal: NodeJS.Signals): boolean {
    return this.#child?.kill(signal) ?? false;
  }

  /** Starts the process; it is not healthy yet. */
  start(): void {
    if (this.#child !== null) return;
    this.#output = '';
    // A session of its own: Ctrl-C must not take etcd away from those who still want to resign in it.
    const child = spawn(this.#options.program, this.#options.programArguments, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: {},
    });
    this.#child = child;
    const { pid } = child;
    if (pid !== undefined) this.#options.guard.add(pid);
    const keep = (text: Buffer): void => {
      this.#output = (this.#output + text.toString()).slice(-KEPT_OUTPUT_CHARACTERS);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    this.#gone = new Promise((resolve) => {
      const onGone = (): void => {
        if (pid !== undefined) this.#options.guard.remove(pid);
        if (this.#child === child) this.#child = null;
        resolve();
      };
      child.once('close', onGone);
      child.once('error', (error) => {
        this.#output += error.message;
        onGone();
      });
    });
  }

  /** Ends the process, by force when it does not go by itself; resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.#child === null) return;
    this.kill('SIGTERM');
    // A stopped process gets the SIGTERM only once it goes on.
    this.kill('SIGCONT');
    const timer = this.#options.clock.schedule(TERMINATION_TIMEOUT_MS, () => this.kill('SIGKILL'));
    await this.#gone;
    timer.cancel();
  }

  /** Kills the process at once, as a power failure would; resolves when it is gone. */
  async crash(): Promise<void> {
    this.kill('SIGKILL');
    await this.#gone;
  }
}
