import type { ReplyBody, RequestBody } from '../core/messages/catalogue.ts';
import type { ClusterView } from '../core/messages/handshake.ts';
import { type BackoffBounds, backoffDelayMs } from '../runtime/backoff.ts';
import type { Timer } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { CloseReason, Dialer } from './connection.ts';
import { dialChannel, type HandshakeContext } from './handshake.ts';
import type { InboundNotification, InboundRequest, MessageChannel } from './message-channel.ts';

/** One standing connection to one resource manager. */
export interface ResourceManagerLink {
  readonly address: string;
  readonly resourceManagerId: string;
  /** Boot nonce of the process at the other end. */
  readonly bootNonce: string;
  readonly channel: MessageChannel;
}

/** How a process introduces itself; asked for at each new connection, so that it shows its newest token. */
export type Introduction =
  | { readonly type: 'introduceTaskExecutor'; readonly body: RequestBody<'introduceTaskExecutor'> }
  | { readonly type: 'introduceJobMaster'; readonly body: RequestBody<'introduceJobMaster'> }
  | { readonly type: 'introduceResourceManager'; readonly body: RequestBody<'introduceResourceManager'> };

/** What the owner of the links is told; each call in a turn of its own or in that of a message. */
export interface LinksListener {
  introduction(): Introduction;
  /** What is told with each ping; nothing unless given. */
  ping?(): RequestBody<'ping'>;
  /** The resource manager has taken the introduction; also called at each later change of its view. */
  onClusterView(link: ResourceManagerLink, view: ClusterView): void;
  onRequest(link: ResourceManagerLink, request: InboundRequest): void;
  /** All but `clusterViewChanged`, which comes through `onClusterView`. */
  onNotification(link: ResourceManagerLink, notification: InboundNotification): void;
  onLinkDown(link: ResourceManagerLink, reason: CloseReason): void;
  /** A process has proved itself at the other end; its introduction is still to come. */
  onReached?(address: string, bootNonce: string): void;
  /** Whoever was reached is not any more. */
  onLost?(address: string, bootNonce: string): void;
  /** There is no link to that address, and why; it is dialled again. */
  onDialFailed?(address: string, reason: CloseReason): void;
  /** What it answered to the last ping. */
  onPong?(link: ResourceManagerLink, pong: ReplyBody<'ping'>): void;
}

export interface LinksOptions {
  readonly context: HandshakeContext;
  readonly dialer: Dialer;
  readonly logger: Logger;
  /** Addresses to start with; those of the live candidates are learned. */
  readonly seeds: readonly string[];
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  /** An address never to dial: one's own. */
  readonly except?: string;
  /** Whether the candidates that a resource manager names are dialled too; true unless it is false. */
  readonly learnFromViews?: boolean;
  /** How long to wait before a broken connection is dialled again; one that stood for a while, at once. */
  readonly redial?: BackoffBounds & { readonly atOnceAfterMs: number };
  readonly listener: LinksListener;
}

/** One that is only starting need not be warned of. */
const ATTEMPTS_BEFORE_WARNING = 3;
const REDIAL = { firstMs: 50, mostMs: 2_000, atOnceAfterMs: Infinity };
const MAX_ADDRESSES = 64;

interface Entry {
  readonly address: string;
  readonly seed: boolean;
  closer: { close(): void } | null;
  link: ResourceManagerLink | null;
  /** Which process is at the other end, once it has proved itself. */
  server: string | null;
  /** Its boot nonce, and since when it is reached; null while nobody is. */
  reached: { readonly bootNonce: string; readonly sinceMs: number } | null;
  /** Leads to the same process under another name; not dialled while that connection stands. */
  twin: Entry | null;
  /** What it answered to the last introduction, if it did not take it. */
  refusal: string | null;
  /** Why it could not be reached, as the log was told last; null once it has been reached. */
  told: string | null;
  attempts: number;
  redial: Timer | null;
  ping: Timer | null;
}

/**
 * Keeps one connection to every resource manager, leader and standbys: to the seeds, and to the live
 * candidates that any of them names. A broken one is dialled again, with back-off, until `close`. A resource
 * manager that is known by two addresses (a host name and a number, say) gets one connection, not two.
 */
export class ResourceManagerLinks {
  readonly #options: LinksOptions;
  readonly #entries = new Map<string, Entry>();
  #closed = false;

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  /** Starts to dial the seeds. */
  start(): void {
    for (const seed of this.#options.seeds) this.#add(seed, true);
  }

  /** Links that stand, introduced, in the order of their addresses' first appearance. */
  get links(): ResourceManagerLink[] {
    return [...this.#entries.values()].flatMap((entry) => (entry.link === null ? [] : [entry.link]));
  }

  /** Adds addresses; those that are there already, and one's own, are ignored. */
  learn(addresses: readonly string[]): void {
    for (const address of addresses) this.#add(address, false);
  }

  /** Lets go of an address: its connection ends, without a word to the listener, and it is dialled no more. */
  forget(address: string): void {
    const entry = this.#entries.get(address);
    if (entry === undefined) return;
    this.#entries.delete(address);
    entry.link = null;
    entry.redial?.cancel();
    entry.ping?.cancel();
    entry.closer?.close();
    this.#wakeTwins(entry);
  }

  /** Ends all connections; the listener is told nothing more. */
  close(): void {
    this.#closed = true;
    for (const entry of this.#entries.values()) {
      entry.redial?.cancel();
      entry.ping?.cancel();
      entry.closer?.close();
    }
    this.#entries.clear();
  }

  #add(address: string, seed: boolean): void {
    if (this.#closed || this.#entries.has(address) || address === this.#options.except) return;
    if (this.#entries.size >= MAX_ADDRESSES) {
      this.#options.logger.log('warn', 'resource-manager-address-ignored', { address, most: MAX_ADDRESSES });
      return;
    }
    const entry: Entry = {
      address,
      seed,
      closer: null,
      link: null,
      server: null,
      reached: null,
      twin: null,
      refusal: null,
      told: null,
      attempts: 0,
      redial: null,
      ping: null,
    };
    this.#entries.set(address, entry);
    this.#dial(entry);
  }

  #dial(entry: Entry): void {
    const { context, dialer, listener } = this.#options;
    entry.redial = null;
    let link: ResourceManagerLink | null = null;
    entry.closer = dialChannel(context, dialer, entry.address, 'resource-manager', {
      onReady: (channel, welcome) => {
        if (this.#isTwin(entry, `${welcome.serverId} ${welcome.serverInstance}`)) return channel.close();
        const bootNonce = welcome.serverInstance;
        entry.reached = { bootNonce, sinceMs: context.clock.monotonicMs() };
        listener.onReached?.(entry.address, bootNonce);
        link = {
          address: entry.address,
          resourceManagerId: welcome.serverId,
          bootNonce,
          channel,
        };
        this.#introduce(entry, link);
      },
      onRequest: (request) => {
        if (this.#closed || link === null) return;
        if (request.type === 'ping') return request.respond({ state: 'worker', epoch: null });
        listener.onRequest(link, request);
      },
      onNotification: (notification) => {
        if (this.#closed || link === null) return;
        if (notification.type === 'clusterViewChanged') return this.#view(link, notification.body);
        listener.onNotification(link, notification);
      },
      onClose: (reason) => this.#closedByPeer(entry, reason),
    });
  }

  /** Whether another connection leads to that process already; a second one would make it drop the first. */
  #isTwin(entry: Entry, server: string): boolean {
    for (const other of this.#entries.values()) {
      if (other !== entry && other.server === server) entry.twin = other;
    }
    if (entry.twin === null) entry.server = server;
    return entry.twin !== null;
  }

  /** Dials what waited for the end of that connection. */
  #wakeTwins(of: Entry): void {
    for (const entry of this.#entries.values()) {
      if (entry.twin !== of) continue;
      entry.twin = null;
      // Its own end is still to come, and dials then.
      if (entry.closer !== null) continue;
      entry.redial?.cancel();
      entry.redial = this.#options.context.clock.schedule(0, () => this.#dial(entry));
    }
  }

  #introduce(entry: Entry, link: ResourceManagerLink): void {
    const { type, body } = this.#options.listener.introduction();
    const { pingTimeoutMs, logger } = this.#options;
    link.channel.request(type, body as never, pingTimeoutMs, (outcome) => {
      if (this.#closed || link.channel.closed || this.#entries.get(entry.address) !== entry) return;
      if (!outcome.ok) {
        logger.log('warn', 'introduction-refused', {
          address: link.address,
          ...outcome.problem,
          fields: undefined,
          leader: undefined,
          token: undefined,
        });
        entry.refusal = `${outcome.problem.code}: ${outcome.problem.detail}`;
        return link.channel.close();
      }
      entry.link = link;
      entry.told = null;
      entry.attempts = 0;
      this.#schedulePing(entry, link);
      this.#view(link, outcome.reply as ClusterView);
    });
  }

  #view(link: ResourceManagerLink, view: ClusterView): void {
    if (this.#options.learnFromViews !== false) {
      this.learn(view.candidates.map((candidate) => candidate.address));
    }
    this.#options.listener.onClusterView(link, view);
  }

  #schedulePing(entry: Entry, link: ResourceManagerLink): void {
    const { context, pingIntervalMs, pingTimeoutMs } = this.#options;
    entry.ping = context.clock.schedule(pingIntervalMs, () => {
      const body = this.#options.listener.ping?.() ?? {};
      link.channel.request('ping', body, pingTimeoutMs, (outcome) => {
        if (this.#closed || entry.link !== link) return;
        if (!outcome.ok) return link.channel.close(outcome.problem);
        this.#schedulePing(entry, link);
        this.#options.listener.onPong?.(link, outcome.reply);
      });
    });
  }

  /** Says once why it cannot be reached: at once when one side refused, later when nobody is there (yet). */
  #tell(entry: Entry, { kind, detail }: CloseReason): void {
    if (entry.told === detail || (kind !== 'local' && entry.attempts < ATTEMPTS_BEFORE_WARNING)) return;
    entry.told = detail;
    this.#options.logger.log('warn', 'resource-manager-not-reached', {
      address: entry.address,
      kind,
      detail,
    });
  }

  #closedByPeer(entry: Entry, reason: CloseReason): void {
    if (this.#closed || this.#entries.get(entry.address) !== entry) return;
    const { link, reached } = entry;
    entry.link = null;
    entry.server = null;
    entry.reached = null;
    entry.closer = null;
    entry.ping?.cancel();
    entry.ping = null;
    const { context, logger, listener } = this.#options;
    if (reached !== null) listener.onLost?.(entry.address, reached.bootNonce);
    if (link !== null) listener.onLinkDown(link, reason);
    else listener.onDialFailed?.(entry.address, { ...reason, detail: entry.refusal ?? reason.detail });
    if (link === null && entry.twin === null && entry.refusal === null) this.#tell(entry, reason);
    entry.refusal = null;
    logger.log('debug', 'resource-manager-connection-ended', {
      address: entry.address,
      kind: reason.kind,
      detail: reason.detail,
    });
    this.#wakeTwins(entry);
    if (entry.twin !== null) return;
    const redial = this.#options.redial ?? REDIAL;
    const stoodMs = reached === null ? 0 : context.clock.monotonicMs() - reached.sinceMs;
    const delayMs =
      stoodMs >= redial.atOnceAfterMs ? 0 : backoffDelayMs(redial, entry.attempts, context.randomness);
    if (delayMs > 0) entry.attempts += 1;
    entry.redial = context.clock.schedule(delayMs, () => this.#dial(entry));
  }
}
