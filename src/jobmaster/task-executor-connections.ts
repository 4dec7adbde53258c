import type { PeerId } from '../core/jobmaster/slot-pool-events.ts';
import type { RequestBody } from '../core/messages/catalogue.ts';
import type { ResourceId } from '../core/ids.ts';
import { dialChannel, type HandshakeContext } from '../rpc/handshake.ts';
import type { MessageChannel, Outcome } from '../rpc/message-channel.ts';
import { backoffDelayMs } from '../runtime/backoff.ts';
import type { Timer } from '../runtime/clock.ts';
import type { JobMasterEnvironment } from './job-master-environment.ts';

/** A connection stays for so long after its last use, in milliseconds: the next slot is often there again. */
const IDLE_MS = 30_000;
const REDIAL = { firstMs: 50, mostMs: 1_000 };

type TaskExecutorCall = 'claimSlot' | 'renewLeases' | 'releaseLeases';

interface Entry {
  readonly peer: PeerId;
  readonly resourceId: ResourceId;
  readonly address: string;
  closer: { close(): void } | null;
  channel: MessageChannel | null;
  attempts: number;
  redial: Timer | null;
  /** Nothing is wanted there; it ends with this, unless something is wanted before. */
  idle: Timer | null;
  dropped: boolean;
}

/** What the owner is told; each call within a turn of `post`. */
export interface TaskExecutorConnectionsListener {
  onConnected(peer: PeerId): void;
  onDisconnected(peer: PeerId): void;
}

/**
 * One connection to each task executor whose slots are claimed or held, dialled again until it is dropped.
 * It counts as connected only when the server there has proved to be that task executor.
 */
export class TaskExecutorConnections {
  readonly #environment: JobMasterEnvironment;
  readonly #context: HandshakeContext;
  readonly #post: (turn: () => void) => void;
  readonly #listener: TaskExecutorConnectionsListener;
  readonly #entries = new Map<PeerId, Entry>();

  constructor(
    environment: JobMasterEnvironment,
    context: HandshakeContext,
    post: (turn: () => void) => void,
    listener: TaskExecutorConnectionsListener,
  ) {
    this.#environment = environment;
    this.#context = context;
    this.#post = post;
    this.#listener = listener;
  }

  /** Dials it, unless a connection still stands. */
  open(peer: PeerId, resourceId: ResourceId, address: string): void {
    const known = this.#entries.get(peer);
    if (known !== undefined) return this.#resume(known);
    const entry: Entry = {
      peer,
      resourceId,
      address,
      closer: null,
      channel: null,
      attempts: 0,
      redial: null,
      idle: null,
      dropped: false,
    };
    this.#entries.set(peer, entry);
    this.#dial(entry);
  }

  /** Nothing is wanted of it any more; a connection that stands is kept for a while. */
  drop(peer: PeerId): void {
    const entry = this.#entries.get(peer);
    if (entry === undefined || entry.idle !== null) return;
    if (entry.channel === null) return this.#end(entry);
    entry.idle = this.#environment.clock.schedule(IDLE_MS, () => this.#end(entry));
  }

  close(): void {
    for (const entry of this.#entries.values()) this.#end(entry);
  }

  #end(entry: Entry): void {
    this.#entries.delete(entry.peer);
    entry.dropped = true;
    entry.idle?.cancel();
    entry.redial?.cancel();
    entry.closer?.close();
  }

  #resume(entry: Entry): void {
    entry.idle?.cancel();
    entry.idle = null;
    const { channel } = entry;
    if (channel !== null) this.#connected(entry, channel);
  }

  #connected(entry: Entry, channel: MessageChannel): void {
    this.#post(() => {
      if (entry.idle === null && !entry.dropped && entry.channel === channel)
        this.#listener.onConnected(entry.peer);
    });
  }

  /** Calls that task executor; `done` comes in a later turn. A connection that leaves a call unanswered is dialled anew. */
  request<T extends TaskExecutorCall>(
    peer: PeerId,
    type: T,
    body: RequestBody<T>,
    timeoutMs: number,
    done: (outcome: Outcome<T>) => void,
  ): void {
    const channel = this.#entries.get(peer)?.channel ?? null;
    if (channel === null) {
      const problem = { code: 'NO_ANSWER', detail: 'There is no connection.' } as const;
      this.#environment.clock.schedule(0, () => this.#post(() => done({ ok: false, problem })));
      return;
    }
    channel.request(type, body, timeoutMs, (outcome) =>
      this.#post(() => {
        if (!outcome.ok && outcome.problem.code === 'NO_ANSWER') channel.close();
        done(outcome);
      }),
    );
  }

  #dial(entry: Entry): void {
    entry.redial = null;
    const { dialer, logger } = this.#environment;
    entry.closer = dialChannel(this.#context, dialer, entry.address, 'task-executor', {
      onReady: (channel, welcome) => {
        if (entry.dropped) return;
        if (welcome.serverId !== entry.resourceId) {
          const { address, resourceId } = entry;
          logger.log('warn', 'other-task-executor', { address, resourceId, found: welcome.serverId });
          return channel.close();
        }
        entry.attempts = 0;
        entry.channel = channel;
        this.#connected(entry, channel);
      },
      onRequest: (request) => {
        if (request.type === 'ping') request.respond({ state: 'worker', epoch: null });
        else request.fail({ code: 'INVALID', detail: 'A job master takes no such request.' });
      },
      onNotification: () => {},
      onClose: (reason) => {
        if (entry.dropped) return;
        const { address, channel } = entry;
        logger.log('debug', 'task-executor-connection-ended', {
          address,
          kind: reason.kind,
          detail: reason.detail,
        });
        entry.channel = null;
        entry.closer = null;
        if (entry.idle !== null) return this.#end(entry);
        const delayMs = backoffDelayMs(REDIAL, entry.attempts, this.#environment.randomness);
        entry.attempts += 1;
        entry.redial = this.#environment.clock.schedule(delayMs, () => this.#dial(entry));
        if (channel === null) return;
        this.#post(() => {
          if (!entry.dropped && entry.channel === null) this.#listener.onDisconnected(entry.peer);
        });
      },
    });
  }
}
