import type { StoredKey, StoreEvent, StoreLog } from '../../core/audit/store-log.ts';
import { QuartermasterError } from '../../core/problem.ts';
import {
  type CoordinationStore,
  StoreError,
  type StoreEndpoint,
  type Watch,
  type WatchEnd,
  type WatchEvent,
} from '../../ha/coordination-store.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { pause } from '../pause.ts';

const PAGE_ROWS = 500;
const CALL_MS = 5_000;
const RETRY_MS = 100;
const POLL_MS = 20;
/** A key that was put and deleted leaves no trace in a listing; if its events are under way, they come within this. */
const QUIET_MS = 250;

/** A part of what was recorded; it grows while the recorder runs. */
interface Segment {
  readonly base: { readonly revision: bigint; readonly keys: readonly StoredKey[] };
  readonly events: StoreEvent[];
}

/**
 * Records every write under a prefix, from the oldest revision on that the store still has. A watch that is lost is
 * opened again at the next endpoint where it ended, so that nothing is missed; what compaction took meanwhile is
 * a new segment's gap. Reads only.
 */
export class StoreRecorder {
  readonly #store: CoordinationStore;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #onEvents: (events: readonly StoreEvent[]) => void;
  readonly #segments: Segment[] = [];
  readonly #stopping = new AbortController();
  /** Mod revisions of the keys that stand, by what has been recorded. */
  #standing = new Map<string, bigint>();
  #lastRevision = 0n;
  #lastHeardMs = 0;
  #attempts = 0;
  #watch: Watch | null = null;
  #retry: Timer | null = null;
  #failure = 'no endpoint';

  /** `onEvents` is told of each write once, in order, in the turn in which it is recorded. */
  constructor(
    store: CoordinationStore,
    prefix: string,
    clock: Clock,
    onEvents: (events: readonly StoreEvent[]) => void = () => {},
  ) {
    this.#store = store;
    this.#prefix = prefix;
    this.#clock = clock;
    this.#onEvents = onEvents;
  }

  /** All that has been recorded so far. */
  get log(): StoreLog {
    return this.#segments;
  }

  /** Begins; what is there already is recorded too, as far as it is not compacted. */
  start(): void {
    this.#segments.push({ base: { revision: 0n, keys: [] }, events: [] });
    this.#open();
  }

  /** Ends the watch; the log stays as it is. */
  stop(): void {
    this.#stopping.abort();
    this.#retry?.cancel();
    this.#watch?.cancel();
  }

  /**
   * Resolves to a revision not older than this call up to which every write has been recorded; rejects with
   * `UNAVAILABLE` when that has not come about in time.
   */
  async caughtUp(timeoutMs: number, signal: AbortSignal): Promise<bigint> {
    const endMs = this.#clock.monotonicMs() + timeoutMs;
    let listing: Listing | null = null;
    while (this.#clock.monotonicMs() < endMs) {
      signal.throwIfAborted();
      listing ??= await this.#list();
      if (listing !== null) {
        // Events come in order: one beyond the listing says that all of it has come.
        if (this.#lastRevision > listing.revision) return listing.revision;
        const quietMs = this.#clock.monotonicMs() - this.#lastHeardMs;
        if (quietMs >= QUIET_MS && this.#matches(listing.keys)) return listing.revision;
      }
      await pause(this.#clock, POLL_MS, signal);
    }
    const detail = `etcd does not tell what was written under ${this.#prefix}: ${this.#failure}`;
    throw new QuartermasterError({ code: 'UNAVAILABLE', detail });
  }

  #matches(keys: readonly StoredKey[]): boolean {
    if (keys.length !== this.#standing.size) return false;
    return keys.every(({ key, modRevision }) => this.#standing.get(key) === modRevision);
  }

  #open(): void {
    if (this.#stopping.signal.aborted) return;
    this.#lastHeardMs = this.#clock.monotonicMs();
    const range = { key: this.#prefix, prefix: true };
    let ended = false;
    const watch = this.#endpoint().watch(range, this.#lastRevision + 1n, {
      onCreated: () => this.#heard(),
      onEvents: (events) => this.#take(events),
      onEnd: (end) => {
        ended = true;
        this.#ended(end);
      },
    });
    this.#watch = ended ? null : watch;
  }

  #endpoint(): StoreEndpoint {
    const { endpoints } = this.#store;
    return endpoints[this.#attempts % endpoints.length] ?? endpoints[0];
  }

  #heard(): void {
    this.#lastHeardMs = this.#clock.monotonicMs();
  }

  #take(events: readonly WatchEvent[]): void {
    this.#heard();
    const receivedWallMs = this.#clock.wallMs();
    const news = events
      .map((event) => storeEvent(event, receivedWallMs))
      .filter(({ revision }) => revision > this.#lastRevision);
    for (const event of news) {
      if (event.kind === 'put') this.#standing.set(event.key, event.revision);
      else this.#standing.delete(event.key);
      this.#segments.at(-1)?.events.push(event);
    }
    this.#lastRevision = news.at(-1)?.revision ?? this.#lastRevision;
    if (news.length > 0) this.#onEvents(news);
  }

  #ended({ kind, detail, compactedRevision }: WatchEnd): void {
    this.#watch = null;
    if (this.#stopping.signal.aborted) return;
    this.#failure = detail;
    if (kind === 'compacted' && compactedRevision !== undefined) {
      void this.#rebase(compactedRevision);
    } else {
      this.#again();
    }
  }

  #again(): void {
    if (this.#stopping.signal.aborted) return;
    this.#attempts += 1;
    this.#retry = this.#clock.schedule(RETRY_MS, () => this.#open());
  }

  /** What was written up to that revision is gone but for what stood then. */
  async #rebase(revision: bigint): Promise<void> {
    const listing = await this.#list(revision);
    if (listing === null) return this.#again();
    if (this.#segments.at(-1)?.events.length === 0) this.#segments.pop();
    this.#segments.push({ base: { revision, keys: listing.keys }, events: [] });
    this.#standing = new Map(listing.keys.map(({ key, modRevision }) => [key, modRevision]));
    this.#lastRevision = revision;
    this.#open();
  }

  /** All keys of one revision, that one or the newest; null when no endpoint tells. */
  async #list(asOf?: bigint): Promise<Listing | null> {
    for (const endpoint of this.#store.endpoints) {
      try {
        return await listAt(endpoint, this.#prefix, asOf);
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        this.#failure = error.message;
      }
    }
    return null;
  }
}

interface Listing {
  readonly revision: bigint;
  readonly keys: readonly StoredKey[];
}

async function listAt(endpoint: StoreEndpoint, prefix: string, asOf: bigint | undefined): Promise<Listing> {
  const all: StoredKey[] = [];
  let revision = asOf;
  for (;;) {
    const after = all.at(-1)?.key;
    const page = await endpoint.range(
      {
        type: 'range',
        key: prefix,
        prefix: true,
        limit: PAGE_ROWS,
        ...(revision !== undefined && { revision }),
        ...(after !== undefined && { after }),
      },
      CALL_MS,
    );
    revision ??= page.revision;
    all.push(...page.keyValues);
    if (!page.more || page.keyValues.length === 0) return { revision, keys: all };
  }
}

function storeEvent(event: WatchEvent, receivedWallMs: number): StoreEvent {
  if (event.type === 'put') {
    const { key, value, createRevision, modRevision, lease } = event.keyValue;
    return {
      revision: modRevision,
      kind: 'put',
      key,
      value,
      createRevision,
      modRevision,
      lease,
      receivedWallMs,
    };
  }
  const { key, modRevision } = event;
  return {
    revision: modRevision,
    kind: 'delete',
    key,
    value: '',
    createRevision: 0n,
    modRevision,
    lease: 0n,
    receivedWallMs,
  };
}
