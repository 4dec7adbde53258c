import type { Timer } from '../runtime/clock.ts';
import type {
  KeyValue,
  RangeOperation,
  StoreEndpoint,
  TransactionResult,
  Watch,
  WatchEnd,
  WatchEvent,
} from './coordination-store.ts';
import { listElection, rangeOf } from './election-transactions.ts';
import type { ClusterKeys } from './keys.ts';
import { sendUntilAnswered, type StoreContext } from './persistent-call.ts';

/** What stood under one key or prefix, and as of which revision. */
export interface Part {
  readonly keyValues: readonly KeyValue[];
  readonly revision: bigint;
}

/** A candidate key that stood first in line: its create revision, and the revision in which it was deleted. */
export interface HeadGone {
  readonly epoch: bigint;
  readonly revision: bigint;
}

/** Election, leader record and identity as they were last seen. */
export interface ElectionState {
  /** Lowest create revision first. */
  readonly line: Part;
  readonly leader: Part;
  readonly identity: Part;
  /** The highest revision of the store that it was seen with. */
  readonly storeRevision: bigint;
  /** How many listings have been answered. */
  readonly listing: number;
  /** The last head of the line whose key this watch has seen go; null while it has seen none. */
  readonly headGone: HeadGone | null;
  /** While the listing that this comes from shows a lower revision than had been seen before. */
  readonly fall: { readonly from: bigint; readonly to: bigint } | null;
}

/** Who follows the election. */
export interface ElectionStateListener {
  /** At each change, and after each comparison. */
  onState(state: ElectionState): void;
  /** It begins anew with a listing, at first and after each gap in its watch: what was known besides may be of another etcd. */
  onRestart?(): void;
  /** A listing took more than one copy, or a watch was lost: the store may be in trouble. */
  onDoubt?(): void;
}

type PartName = 'line' | 'leader' | 'identity';
const PART_NAMES: readonly PartName[] = ['line', 'leader', 'identity'];

/** How often what is watched is compared with a linearizable listing. */
const COMPARE_MS = 1_000;

/**
 * Follows the election: lists, watches from the listing's revision + 1, and lists again whenever a watch ends or a
 * periodic listing shows what the watch did not. Tells its owner at each change and after each comparison.
 */
export class ElectionObserver {
  readonly #context: StoreContext;
  readonly #ranges: Readonly<Record<PartName, RangeOperation>>;
  readonly #keys: ClusterKeys;
  readonly #listener: ElectionStateListener;
  #state: ElectionState | null = null;
  #watches: { readonly all: Watch[] } | null = null;
  /** Where the last watch stood that was lost or kept silent; the next one is opened elsewhere. */
  #lostAt: StoreEndpoint | null = null;
  #watchedAt: StoreEndpoint | null = null;
  #restarts = 0;
  #listing: AbortController | null = null;
  #listings = 0;
  /** The highest revision seen since the identity was written. */
  #highest = 0n;
  #timer: Timer | null = null;
  #stopped = false;

  constructor(context: StoreContext, keys: ClusterKeys, listener: ElectionStateListener) {
    this.#context = context;
    this.#keys = keys;
    this.#listener = listener;
    this.#ranges = {
      line: { type: 'range', key: keys.election, prefix: true },
      leader: { type: 'range', key: keys.leader },
      identity: { type: 'range', key: keys.identity },
    };
  }

  /** Null until the first listing. */
  get state(): ElectionState | null {
    return this.#state;
  }

  /** Lists and watches anew; also how it is started. A listing under way began too early and is dropped. */
  observe(): void {
    this.#list((listing) => this.#restart(listing));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#listing?.abort();
    this.#closeWatches();
  }

  #list(then: (listing: TransactionResult) => void): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#listing?.abort();
    const listing = new AbortController();
    this.#listing = listing;
    const transaction = listElection(this.#keys);
    // A linearizable answer cannot be older than what was known before it was asked for.
    const known = this.#highest;
    const call = sendUntilAnswered(
      this.#context,
      (endpoint) => endpoint.transact(transaction, this.#context.timing.etcdCallMs),
      { name: 'list election', signal: listing.signal },
    );
    void call.then((outcome) => {
      if (this.#listing !== listing || this.#stopped) return;
      this.#listing = null;
      this.#timer = this.#context.clock.schedule(COMPARE_MS, () => this.#compare());
      if (outcome.kind !== 'answered') return;
      if (outcome.copies > 1) this.#listener.onDoubt?.();
      this.#listings += 1;
      if (outcome.value.revision < known) return this.#fell(outcome.value, known);
      this.#highest = later(this.#highest, outcome.value.revision);
      then(outcome.value);
    });
  }

  #fell(listing: TransactionResult, from: bigint): void {
    const fall = { from, to: listing.revision };
    const before = this.#state;
    if (before?.fall === null) this.#context.logger.log('error', 'the revision of etcd has fallen', fall);
    const [identity] = toState(listing, this.#listings).identity.keyValues;
    const same = identity?.value === before?.identity.keyValues[0]?.value;
    // Another identity says more than any revision, and what comes is counted from there.
    if (!same) this.#highest = listing.revision;
    this.#restart(listing, same || identity === undefined ? fall : null);
  }

  #restart(listing: TransactionResult, fall: ElectionState['fall'] = null): void {
    this.#closeWatches();
    this.#listener.onRestart?.();
    this.#state = { ...toState(listing, this.#listings), fall };
    this.#watch(listing.revision + 1n);
    this.#listener.onState(this.#state);
  }

  #compare(): void {
    const before = this.#state;
    this.#list((listing) => {
      const now = this.#state;
      if (before === null || now === null || this.#watches === null) return this.#restart(listing);
      const newest = PART_NAMES.map((name) => before[name].revision).reduce((a, b) => (a > b ? a : b));
      const listed = toState(listing, this.#listings);
      // Events that came while the listing was on its way may be newer than it.
      const missed = PART_NAMES.filter(
        (name) => listing.revision >= now[name].revision && !sameKeys(listed[name], now[name]),
      );
      if (listing.revision >= newest && missed.length === 0) {
        this.#restarts = 0;
        const storeRevision = later(now.storeRevision, listing.revision);
        this.#state = { ...now, storeRevision, listing: this.#listings, fall: null };
        return this.#listener.onState(this.#state);
      }
      const fields = { parts: missed.join(' '), revision: listing.revision };
      this.#context.logger.log('warn', 'a listing shows what the watch did not', fields);
      this.#lostAt = this.#watchedAt;
      this.#restart(listing);
    });
  }

  #watch(startRevision: bigint): void {
    const endpoint = this.#context.ring.after(this.#lostAt);
    this.#watchedAt = endpoint;
    const watches: { readonly all: Watch[] } = { all: [] };
    this.#watches = watches;
    for (const name of PART_NAMES) {
      const watch = endpoint.watch(this.#ranges[name], startRevision, {
        onCreated: () => {},
        onEvents: (events, revision) => {
          if (this.#watches === watches) this.#apply(name, events, revision);
        },
        onEnd: (end) => {
          if (this.#watches === watches) this.#ended(end, endpoint);
        },
      });
      watches.all.push(watch);
      if (this.#watches === watches) continue;
      watch.cancel();
      return;
    }
  }

  #apply(name: PartName, events: readonly WatchEvent[], revision: bigint): void {
    const state = this.#state;
    if (state === null) return;
    const byKey = new Map(state[name].keyValues.map((keyValue) => [keyValue.key, keyValue]));
    let { headGone } = state;
    for (const event of events) {
      if (event.type === 'put') {
        byKey.set(event.keyValue.key, event.keyValue);
        continue;
      }
      // Of several that go in one revision the first one was the head.
      if (name === 'line' && headGone?.revision !== event.modRevision) {
        const [head] = inLine([...byKey.values()]);
        if (head?.key === event.key) headGone = { epoch: head.createRevision, revision: event.modRevision };
      }
      byKey.delete(event.key);
    }
    const part: Part = { keyValues: inLine([...byKey.values()]), revision };
    this.#highest = name === 'identity' ? revision : later(this.#highest, revision);
    const fall = name === 'identity' ? null : state.fall;
    const storeRevision = later(state.storeRevision, revision);
    this.#state = { ...state, [name]: part, storeRevision, headGone, fall };
    this.#listener.onState(this.#state);
  }

  #ended(end: WatchEnd, endpoint: StoreEndpoint): void {
    this.#closeWatches();
    if (this.#stopped) return;
    this.#context.logger.log('info', 'watch ended', {
      end: end.kind,
      detail: end.detail,
      endpoint: endpoint.name,
    });
    this.#lostAt = endpoint;
    this.#listener.onDoubt?.();
    this.#restarts += 1;
    // The first time at once; a store that goes on refusing is not to be flooded.
    if (this.#restarts === 1) return this.observe();
    this.#timer?.cancel();
    if (this.#listing !== null) return;
    this.#timer = this.#context.clock.schedule(this.#context.timing.etcdResendMs, () => this.observe());
  }

  #closeWatches(): void {
    const watches = this.#watches;
    this.#watches = null;
    for (const watch of watches?.all ?? []) watch.cancel();
  }
}

function later(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function toState({ results, revision }: TransactionResult, listing: number): ElectionState {
  return {
    line: { keyValues: inLine(rangeOf(results, 0)), revision },
    leader: { keyValues: rangeOf(results, 1), revision },
    identity: { keyValues: rangeOf(results, 2), revision },
    storeRevision: revision,
    listing,
    headGone: null,
    fall: null,
  };
}

/** Lowest create revision first. */
export function inLine(keyValues: readonly KeyValue[]): readonly KeyValue[] {
  // Only a foreign hand creates two in one revision; any order will do, so long as it is the same everywhere.
  return [...keyValues].sort((a, b) => {
    if (a.createRevision !== b.createRevision) return a.createRevision < b.createRevision ? -1 : 1;
    return a.key < b.key ? -1 : 1;
  });
}

function sameKeys(a: Part, b: Part): boolean {
  if (a.keyValues.length !== b.keyValues.length) return false;
  return a.keyValues.every(({ key, createRevision, modRevision }, index) => {
    const other = b.keyValues[index];
    return other?.key === key && other.createRevision === createRevision && other.modRevision === modRevision;
  });
}
