import type { DrillLeader, StoreEvent } from '../../core/drill/drill-evidence.ts';
import type { CoordinationStore, StoreEndpoint, Watch, WatchEvent } from '../../ha/coordination-store.ts';
import { type HistoryRow, parseHistoryRow, parseLeaderRecord } from '../../ha/election-records.ts';
import { DEPOSED } from '../../ha/history.ts';
import type { ClusterKeys } from '../../ha/keys.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { preciseWallMs } from './drill-clock.ts';

const WATCH_AGAIN_MS = 100;

/** A leader as the confirm in the store tells of it. */
export interface SeenConfirm {
  readonly leader: DrillLeader;
  readonly atWallMs: number;
}

/**
 * Writes down every event of a cluster's keys from the first revision on. It watches at every member, so that the loss
 * of one neither loses an event nor delays it.
 */
export class StoreRecorder {
  readonly events: StoreEvent[] = [];
  /** Each leader that was confirmed, in order. */
  readonly confirms: SeenConfirm[] = [];
  /** When each deposition was seen, in order. */
  readonly depositions: number[] = [];
  /** The row of history of each term as it was written last, by its key. */
  readonly history = new Map<string, HistoryRow>();
  readonly #keys: ClusterKeys;
  readonly #clock: Clock;
  readonly #onConfirm: (confirm: SeenConfirm) => void;
  readonly #watches = new Map<StoreEndpoint, Watch>();
  readonly #timers = new Set<Timer>();
  /** All events up to this revision are known. */
  #revision = 0n;
  #stopped = false;

  constructor(
    store: CoordinationStore,
    keys: ClusterKeys,
    clock: Clock,
    onConfirm: (confirm: SeenConfirm) => void,
  ) {
    this.#keys = keys;
    this.#clock = clock;
    this.#onConfirm = onConfirm;
    for (const endpoint of store.endpoints) this.#watch(endpoint);
  }

  /** The leader of now: the one confirmed last. */
  get leader(): DrillLeader | null {
    return this.confirms.at(-1)?.leader ?? null;
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    for (const watch of this.#watches.values()) watch.cancel();
  }

  #watch(endpoint: StoreEndpoint): void {
    if (this.#stopped) return;
    const watch = endpoint.watch({ key: this.#keys.root, prefix: true }, this.#revision + 1n, {
      onCreated: () => {},
      onEvents: (events, revision) => this.#take(events, revision),
      onEnd: () => {
        const timer = this.#clock.schedule(WATCH_AGAIN_MS, () => {
          this.#timers.delete(timer);
          this.#watch(endpoint);
        });
        this.#timers.add(timer);
      },
    });
    this.#watches.set(endpoint, watch);
  }

  #take(events: readonly WatchEvent[], revision: bigint): void {
    const receivedWallMs = preciseWallMs(this.#clock);
    for (const event of events) {
      const found = storeEvent(event, receivedWallMs);
      if (found.revision > this.#revision) this.#record(found);
    }
    if (revision > this.#revision) this.#revision = revision;
  }

  #record(event: StoreEvent): void {
    this.events.push(event);
    if (event.kind === 'delete') return;
    if (event.key.startsWith(this.#keys.history)) {
      const row = parseHistoryRow(event.value);
      if (row === null) return;
      if (row.ended?.reason === DEPOSED) this.depositions.push(event.receivedWallMs);
      this.history.set(event.key, row);
    } else if (event.key === this.#keys.leader) {
      const record = parseLeaderRecord(event.value);
      if (record === null) return;
      const { generation, epoch, leaderSessionId } = record.token;
      const leader = { resourceManagerId: record.resourceManagerId, generation, epoch, leaderSessionId };
      const confirm = { leader, atWallMs: event.receivedWallMs };
      this.confirms.push(confirm);
      this.#onConfirm(confirm);
    }
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
  const nothing = { value: '', createRevision: 0n, lease: 0n };
  return { revision: modRevision, kind: 'delete', key, modRevision, ...nothing, receivedWallMs };
}
