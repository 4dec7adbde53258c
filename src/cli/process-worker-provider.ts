import { spawn, type ChildProcess } from 'node:child_process';
import type { ResourceId } from '../core/ids.ts';
import type { WorkerListener, WorkerProvider, WorkerSpec } from '../resourcemanager/worker-provider.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';

/** Name of this provider in records and in `--provider`. */
export const PROCESS_PROVIDER = 'process';

/** What a worker that was started by a provider prints once its first registration was acknowledged. */
export const REGISTERED_LINE = 'registered';

/** How one worker is started. */
export interface WorkerCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface ProcessWorkerProviderOptions {
  readonly slotsPerWorker: number;
  readonly commandFor: (worker: WorkerSpec) => WorkerCommand;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a worker may take to end when it is asked to, before it is killed. */
  readonly stopTimeoutMs: number;
}

interface Started {
  readonly child: ChildProcess;
  registered: boolean;
}

/**
 * Starts task executors as processes on this machine, in sessions of their own: they outlive this resource
 * manager. Their logs go where the log of this process goes.
 */
export class ProcessWorkerProvider implements WorkerProvider {
  readonly name = PROCESS_PROVIDER;
  readonly slotsPerWorker: number;
  readonly #options: ProcessWorkerProviderOptions;
  readonly #started = new Map<ResourceId, Started>();
  #listener: WorkerListener | null = null;

  constructor(options: ProcessWorkerProviderOptions) {
    this.slotsPerWorker = options.slotsPerWorker;
    this.#options = options;
  }

  listen(listener: WorkerListener): void {
    this.#listener = listener;
  }

  startWorker(worker: WorkerSpec): void {
    const { resourceId } = worker;
    const { program, args, environment } = this.#options.commandFor(worker);
    const child = spawn(program, [...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: environment,
      detached: true,
    });
    const started: Started = { child, registered: false };
    this.#started.set(resourceId, started);
    child.stdout?.on('data', (text: Buffer) => {
      if (!text.toString().includes(REGISTERED_LINE)) return;
      started.registered = true;
      this.#options.logger.log('info', 'worker-process-registered', { resourceId });
    });
    child.once('error', (error) => this.#ended(resourceId, started, error.message));
    child.once('exit', (code, signal) =>
      this.#ended(resourceId, started, signal === null ? `exit code ${code}` : `ended by ${signal}`),
    );
    child.unref();
    this.#options.logger.log('info', 'worker-process-started', { resourceId, pid: child.pid });
  }

  stopWorker(resourceId: ResourceId): void {
    const child = this.#started.get(resourceId)?.child;
    if (child?.pid === undefined) return;
    child.kill('SIGTERM');
    // A stopped process gets the SIGTERM only once it goes on.
    child.kill('SIGCONT');
    this.#options.clock.schedule(this.#options.stopTimeoutMs, () => child.kill('SIGKILL'));
  }

  close(): void {
    for (const { child, registered } of this.#started.values()) {
      if (registered) continue;
      // Not by force: it may have registered a moment ago, and have work by now, which it finishes first.
      child.kill('SIGTERM');
      child.kill('SIGCONT');
    }
  }

  #ended(resourceId: ResourceId, started: Started, detail: string): void {
    if (this.#started.get(resourceId) !== started) return;
    this.#started.delete(resourceId);
    this.#options.logger.log('info', 'worker-process-ended', { resourceId, detail });
    this.#listener?.onWorkerEnded(resourceId, detail);
  }
}
