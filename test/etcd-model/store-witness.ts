import type {
  KeyRange,
  Operation,
  StoreErrorKind,
  Watch,
  WatchEvent,
} from '../../src/ha/coordination-store.ts';
import { toJson } from '../../src/rpc/wire-format.ts';
import { RecordingWatchListener } from '../contract/store-under-test.ts';
import {
  type ExpiryWindow,
  MOST_SHORT_TTL_SECONDS,
  type StoreOperation,
  type StoreRevisions,
} from './store-operation.ts';
import type { StoreSide } from './store-side.ts';

const CALL_MS = 20_000;
/** A lease that is to stay is kept alive so often in its time. */
const RENEWALS = 2.5;
/** So long before its end a lease counts as doubtful. */
const SLACK_MS = 200;
const POLL_MS = 100;
const MOST_EXPIRY_MS = 30_000;

/** The machine was so slow that a lease may have run out which was to be kept alive: nothing can be said. */
export class MachineStalled extends Error {}

interface OpenWatch {
  readonly watch: Watch;
  readonly range: KeyRange;
  readonly listener: RecordingWatchListener;
}

interface ShortLease {
  readonly ttlMs: number;
  sentMs: number;
}

/** Carries out operations at one side and tells all that it says to them, as text that can be compared. */
export class StoreWitness implements StoreRevisions {
  /** The last revision that was heard of. */
  revision = 1n;
  /** That of the last compaction. */
  compacted = 0n;
  readonly windows: ExpiryWindow[] = [];
  readonly #side: StoreSide;
  readonly #watches = new Map<number, OpenWatch>();
  readonly #shortLeases = new Map<bigint, ShortLease>();
  #fences = 0;

  constructor(side: StoreSide) {
    this.#side = side;
  }

  async perform(operation: StoreOperation): Promise<string> {
    await this.#renew();
    let said: unknown;
    try {
      said = await this.#say(operation);
    } catch (error) {
      const kind = kindOf(error);
      if (kind === null || kind === 'unknown-outcome' || kind === 'not-sent') throw error;
      said = kind;
    }
    const isLate = ({ ttlMs, sentMs }: ShortLease): boolean => this.#side.nowMs() > sentMs + ttlMs - SLACK_MS;
    if ([...this.#shortLeases.values()].some(isLate)) {
      throw new MachineStalled(`A lease was not kept alive in time at ${operation.type}.`);
    }
    return toJson(said ?? null);
  }

  #say(operation: StoreOperation): Promise<unknown> {
    const { endpoint } = this.#side;
    switch (operation.type) {
      case 'transact':
        return this.#heard(endpoint.transact(operation, CALL_MS));
      case 'range':
        return this.#heard(endpoint.range(operation, CALL_MS));
      case 'grant':
        return this.#grant(operation.lease, operation.ttlSeconds);
      case 'keepAlive':
        return this.#keepAlive(operation.lease);
      case 'revoke':
        return this.#revoke(operation.lease);
      case 'watch':
        return this.#watch(operation.watch, operation.range, operation.revision);
      case 'unwatch':
        return this.#unwatch(operation.watch);
      case 'compact':
        return this.#side.compact(operation.revision).then(() => {
          this.compacted = operation.revision;
        });
      case 'expire':
        return this.#expire(operation.kept);
    }
  }

  async #heard<T extends { readonly revision: bigint }>(call: Promise<T>): Promise<T> {
    const answer = await this.#side.answer(call);
    this.revision = answer.revision;
    return answer;
  }

  async #grant(lease: bigint, ttlSeconds: number): Promise<unknown> {
    const sentMs = this.#side.nowMs();
    const answer = await this.#side.answer(this.#side.endpoint.grantLease(lease, ttlSeconds, CALL_MS));
    const ttlMs = answer.ttlSeconds * 1_000;
    if (answer.ttlSeconds <= MOST_SHORT_TTL_SECONDS) this.#shortLeases.set(lease, { ttlMs, sentMs });
    return answer;
  }

  async #keepAlive(lease: bigint): Promise<unknown> {
    const sentMs = this.#side.nowMs();
    const answer = await this.#side.answer(this.#side.endpoint.keepAlive(lease, CALL_MS));
    const short = this.#shortLeases.get(lease);
    if (short !== undefined) short.sentMs = sentMs;
    return answer;
  }

  async #revoke(lease: bigint): Promise<unknown> {
    await this.#side.answer(this.#side.endpoint.revokeLease(lease, CALL_MS));
    this.#shortLeases.delete(lease);
    return { revision: await this.#present() };
  }

  /** Opens it and waits until it has said all there is: what is compacted afterwards does not concern it. */
  async #watch(number: number, range: KeyRange, startRevision: bigint): Promise<unknown> {
    const before = await this.#unwatch(number);
    const listener = new RecordingWatchListener();
    const watch = this.#side.endpoint.watch(range, startRevision, listener);
    await this.#side.until('the watch stands', () => listener.created > 0 || listener.ends.length > 0);
    const open = { watch, range, listener };
    if (listener.ends[0]?.kind !== 'refused') {
      while (this.revision < startRevision - 1n) await this.#fence(range);
      // A compaction is told after the watch was created.
      await this.#caughtUp(open);
    }
    const [end] = listener.ends;
    if (end === undefined) this.#watches.set(number, open);
    return {
      before,
      ended: end === undefined ? null : { kind: end.kind, compactedRevision: end.compactedRevision },
    };
  }

  async #unwatch(number: number): Promise<unknown> {
    const open = this.#watches.get(number);
    if (open === undefined) return null;
    this.#watches.delete(number);
    await this.#caughtUp(open);
    open.watch.cancel();
    const { created, events, ends } = open.listener;
    const isAscending = ascends(events);
    return { created, isAscending, events: this.#inOrder(events), ends: ends.map(({ kind }) => kind) };
  }

  /** Writes something that the watch must tell, and waits for it: what came before it has been told then. */
  async #caughtUp({ range, listener }: OpenWatch): Promise<void> {
    const revision = await this.#fence(range);
    await this.#side.until(
      `the watch over ${JSON.stringify(range)} tells of revision ${revision}`,
      () => listener.ends.length > 0 || (listener.batches.at(-1)?.revision ?? 0n) >= revision,
    );
  }

  async #fence(range: KeyRange): Promise<bigint> {
    this.#fences += 1;
    const key = range.prefix === true ? `${range.key}~` : range.key;
    const put: Operation = { type: 'put', key, value: `fence ${this.#fences}` };
    return (
      await this.#heard(this.#side.endpoint.transact({ compare: [], success: [put], failure: [] }, CALL_MS))
    ).revision;
  }

  async #present(): Promise<bigint> {
    return (await this.#heard(this.#side.endpoint.range({ type: 'range', key: 'present' }, CALL_MS)))
      .revision;
  }

  async #expire(kept: readonly bigint[]): Promise<unknown> {
    const before = await this.#present();
    const doomed = new Map([...this.#shortLeases].filter(([lease]) => !kept.includes(lease)));
    for (const lease of doomed.keys()) this.#shortLeases.delete(lease);
    const waiting = new Map(doomed);
    const early: bigint[] = [];
    const untilMs = this.#side.nowMs() + MOST_EXPIRY_MS;
    for (;;) {
      const standing = new Set(await this.#side.leases());
      const nowMs = this.#side.nowMs();
      for (const [lease, { sentMs, ttlMs }] of waiting) {
        if (standing.has(lease)) continue;
        waiting.delete(lease);
        if (nowMs < sentMs + ttlMs) early.push(lease);
      }
      if (waiting.size === 0) break;
      if (nowMs > untilMs) throw new Error(`leases ${[...waiting.keys()].join()} have not run out`);
      await this.#renew();
      await this.#side.pass(POLL_MS);
    }
    const revision = await this.#present();
    if (revision > before + 1n) this.windows.push({ first: before + 1n, last: revision });
    return {
      doomed: [...doomed.keys()].toSorted(byNumber),
      early,
      standing: (await this.#side.leases()).toSorted(byNumber),
      revision,
    };
  }

  async #renew(): Promise<void> {
    const nowMs = this.#side.nowMs();
    const due = [...this.#shortLeases].filter(
      ([, { sentMs, ttlMs }]) => (nowMs - sentMs) * RENEWALS >= ttlMs,
    );
    await Promise.all(
      due.map(async ([lease, before]) => {
        const endMs = before.sentMs + before.ttlMs - SLACK_MS;
        await this.#keepAlive(lease).catch((error: unknown) => {
          if (this.#side.nowMs() <= endMs)
            throw new Error(`lease ${lease} ran out before its time`, { cause: error });
          throw new MachineStalled(`A keepalive of lease ${lease} came too late.`, { cause: error });
        });
      }),
    );
  }

  /** The events, those of an expiry window in an order that does not depend on chance. */
  #inOrder(events: readonly WatchEvent[]): unknown[] {
    const said = events.map((event) => {
      const revision = revisionOf(event);
      const window = this.windows.find(({ first, last }) => first <= revision && revision <= last);
      return window === undefined
        ? { revision, event }
        : { revision: window.last, event: { ...event, modRevision: window.last } };
    });
    const text = ({ event }: { readonly event: unknown }): string => toJson(event);
    const isLoose = (revision: bigint): boolean => this.windows.some(({ last }) => last === revision);
    return said
      .toSorted((a, b) => {
        if (a.revision !== b.revision) return a.revision < b.revision ? -1 : 1;
        return isLoose(a.revision) ? Number(text(a) > text(b)) - Number(text(a) < text(b)) : 0;
      })
      .map(({ event }) => event);
  }
}

function revisionOf(event: WatchEvent): bigint {
  return event.type === 'put' ? event.keyValue.modRevision : event.modRevision;
}

/** Whether no event of a watch was told after one of a later revision. */
function ascends(events: readonly WatchEvent[]): boolean {
  const revisions = events.map(revisionOf);
  return revisions.every((revision, index) => revision >= (revisions[index - 1] ?? 0n));
}

/** By its shape: a patched copy of the model has an error class of its own. */
function kindOf(error: unknown): StoreErrorKind | null {
  return error instanceof Error && 'kind' in error ? (error.kind as StoreErrorKind) : null;
}

function byNumber(a: bigint, b: bigint): number {
  return a < b ? -1 : 1;
}
