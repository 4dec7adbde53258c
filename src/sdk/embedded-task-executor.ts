import { createServer, type Server } from 'node:http';
import { z } from 'zod';
import { CLUSTER_NAME_PATTERN } from '../core/ids.ts';
import { address, list, resourceId, resourceProfile } from '../core/messages/primitives.ts';
import { QuartermasterError } from '../core/problem.ts';
import { DEFAULT_TIMING, timingProblems, type Timing } from '../core/timing.ts';
import { WebSocketAcceptor } from '../rpc/websocket/web-socket-acceptor.ts';
import { WebSocketDialer } from '../rpc/websocket/web-socket-dialer.ts';
import { parse } from '../rpc/wire-format.ts';
import type { Journal } from '../runtime/journal.ts';
import { SILENT_LOGGER, type Logger } from '../runtime/logger.ts';
import { NO_SECRET, secretProver } from '../runtime/prover.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { SystemRandomness } from '../runtime/system-randomness.ts';
import type { DrainResult } from '../taskexecutor/drain.ts';
import { StateFile } from '../taskexecutor/state-file.ts';
import type { LeasedSlot, LeasedSlotEnd } from '../taskexecutor/task-executor-options.ts';
import {
  TaskExecutor as TaskExecutorEndpoint,
  type TaskExecutorStatus,
} from '../taskexecutor/task-executor.ts';

/** What a slot of an embedded task executor offers; `extended` may be left out. */
export type SlotProfile = z.input<typeof resourceProfile>;

/** How a program offers slots of its own; everything with a question mark may be left out. */
export interface TaskExecutorOptions {
  readonly cluster: string;
  /** `host:port` of some resource managers; the others are learned. */
  readonly resourceManagers: readonly string[];
  /** One profile for each slot, numbered from 0. */
  readonly slots: readonly SlotProfile[];
  /** Stays the same over restarts; a name of its own by chance unless given. */
  readonly resourceId?: string | undefined;
  /** Where job masters reach it, `host:port`; a free port of 127.0.0.1 unless given. */
  readonly listen?: string | undefined;
  /** The address told to job masters where it is not the one listened at. */
  readonly advertise?: string | undefined;
  /** Keeps leases, grant numbers and the highest token over restarts; without it a restart may quarantine slots. */
  readonly stateFile?: string | undefined;
  /** Whatever uses a slot ends when this process ends, so that a restart need not quarantine. */
  readonly slotsDieWithProcess?: boolean | undefined;
  /** A job master has claimed the slot. Called before the job master learns of it; must not throw. */
  readonly onLeaseGranted?: ((slot: LeasedSlot) => void) | undefined;
  /** Exactly once for each `onLeaseGranted`, before anybody else can get the slot; must not throw. */
  readonly onLeaseEnded?: ((slot: LeasedSlot, reason: LeasedSlotEnd) => void) | undefined;
  /** It cannot go on and has closed: superseded by a process of its name, or its state cannot be written. */
  readonly onError?: ((error: Error) => void) | undefined;
  /** Differences from the default times; they must match those of the cluster. */
  readonly timing?: Partial<Timing> | undefined;
  /** The secret by which servers prove that they belong to the cluster. */
  readonly secret?: string | undefined;
  readonly logger?: Logger | undefined;
  readonly journal?: Journal | undefined;
}

const optionsSchema = z.object({
  cluster: z.string().regex(CLUSTER_NAME_PATTERN, 'must be 1 to 63 lower case letters, digits or dashes'),
  resourceManagers: list(address, 64).refine((all) => all.length > 0, 'must name at least one'),
  slots: list(resourceProfile, 65_536).refine((all) => all.length > 0, 'must name at least one'),
  resourceId,
  listen: address,
  advertise: address.optional(),
});

/**
 * A task executor within a program: it offers slots of this process and tells the program when one is in use
 * (Flink's `TaskExecutor`), over WebSockets and the clock of this process.
 */
export class TaskExecutor {
  readonly #options: TaskExecutorOptions;
  readonly #input: z.output<typeof optionsSchema>;
  readonly #timing: Timing;
  readonly #clock = new SystemClock();
  readonly #server: Server = createServer();
  #running: { readonly endpoint: TaskExecutorEndpoint; readonly acceptor: WebSocketAcceptor } | null = null;

  /** Throws `INVALID`, naming each wrong field. */
  constructor(options: TaskExecutorOptions) {
    const named = options.resourceId ?? `te-${new SystemRandomness().uuid().slice(0, 8)}`;
    const listen = options.listen ?? '127.0.0.1:0';
    this.#input = parse(optionsSchema, { ...options, resourceId: named, listen }, 'The task executor');
    this.#timing = { ...DEFAULT_TIMING, ...options.timing };
    const problems = timingProblems(this.#timing);
    if (problems.length > 0) throw new QuartermasterError({ code: 'INVALID', detail: problems.join(' ') });
    this.#options = options;
  }

  /** Its slots and who holds them; null before `start`. */
  get status(): TaskExecutorStatus | null {
    return this.#running?.endpoint.status() ?? null;
  }

  /**
   * Listens, reads its state, and goes on to register with whoever leads. Rejects when the address is taken or
   * the state is another's, held by another process or broken; it may be dropped then.
   */
  async start(): Promise<void> {
    if (this.#running !== null) {
      throw new QuartermasterError({ code: 'CONFLICT', detail: 'The task executor was started before.' });
    }
    const bound = await listenAt(this.#server, this.#input.listen);
    const endpoint = this.#endpoint(this.#input.advertise ?? bound);
    const acceptor = new WebSocketAcceptor(this.#clock, endpoint.acceptor());
    acceptor.attach(this.#server);
    // There is nothing here for anybody but job masters.
    this.#server.on('request', (_request, response) => response.writeHead(404).end());
    this.#running = { endpoint, acceptor };
    try {
      await endpoint.start();
    } catch (error) {
      this.#hangUp();
      throw error;
    }
  }

  /** Takes no new leases, waits until those that run have ended (at most `deadlineMs`, null: for ever), says goodbye, ends. */
  async drain(options: { readonly deadlineMs: number | null }): Promise<DrainResult> {
    const result = await (this.#running?.endpoint.drain(options) ?? { leasesLeft: 0 });
    this.#hangUp();
    return result;
  }

  /** Ends at once, without goodbye; what is leased stays in the state file. */
  async stop(): Promise<void> {
    await this.#running?.endpoint.stop();
    this.#hangUp();
  }

  #endpoint(advertised: string): TaskExecutorEndpoint {
    const { stateFile, secret, logger, journal, onLeaseGranted, onLeaseEnded, onError } = this.#options;
    const { cluster, resourceManagers, slots } = this.#input;
    return new TaskExecutorEndpoint({
      identity: { cluster, resourceId: this.#input.resourceId },
      address: advertised,
      seeds: resourceManagers,
      slots,
      provider: null,
      clock: this.#clock,
      randomness: new SystemRandomness(),
      logger: logger ?? SILENT_LOGGER,
      timing: this.#timing,
      dialer: new WebSocketDialer(this.#clock),
      prover: secret === undefined ? NO_SECRET : secretProver(secret),
      stateStore: stateFile === undefined ? null : new StateFile(stateFile),
      slotsDieWithProcess: this.#options.slotsDieWithProcess ?? false,
      ...(journal !== undefined && { journal }),
      ...(onLeaseGranted !== undefined && { onLeaseGranted }),
      ...(onLeaseEnded !== undefined && { onLeaseEnded }),
      onStopped: () => this.#hangUp(),
      onFatal: (error) => {
        this.#hangUp();
        onError?.(error);
      },
    });
  }

  #hangUp(): void {
    this.#running?.acceptor.close('the task executor ends');
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** Resolves to the address with the port that was given for 0. */
function listenAt(server: Server, address: string): Promise<string> {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const detail = `Nobody can listen at ${address}: ${cause.message}`;
      reject(new QuartermasterError({ code: 'CONFLICT', detail }, { cause }));
    });
    server.listen({ host, port: Number(address.slice(colon + 1)) }, () => {
      const bound = server.address();
      const port = typeof bound === 'object' && bound !== null ? bound.port : address.slice(colon + 1);
      resolve(`${address.slice(0, colon)}:${port}`);
    });
  });
}
