import type { Clock } from '../../runtime/clock.ts';
import type { WatchEnd } from '../coordination-store.ts';
import { InMemoryCoordinationStore } from './in-memory-store.ts';
import type { InMemoryWatch } from './in-memory-watch.ts';
import { type MemberBehaviour, promptMember } from './member-behaviour.ts';
import { StoreState } from './store-state.ts';

export interface InMemoryEtcdOptions {
  readonly clock: Clock;
  /** Least time to live that is granted; 1 s at first. */
  readonly minTtlSeconds?: number;
  /** One entry for each member; a single one without faults at first. */
  readonly members?: Readonly<Record<string, MemberBehaviour>>;
}

/** etcd looks for expired leases this often. */
const EXPIRY_SCAN_MS = 500;

/**
 * An etcd in this process: one agreed state and any number of members, over which clients reach it. Nothing of it
 * happens but through the clock, so that a run in virtual time repeats itself exactly.
 */
export class InMemoryEtcd {
  readonly clock: Clock;
  /** While false no lease runs out, as in an etcd that has lost its quorum. */
  leasesRunOut = true;
  readonly #members: Readonly<Record<string, MemberBehaviour>>;
  readonly #watches = new Set<InMemoryWatch>();
  readonly #minTtlSeconds: number;
  #state: StoreState;
  #scanning = false;

  constructor(options: InMemoryEtcdOptions) {
    this.clock = options.clock;
    this.#minTtlSeconds = options.minTtlSeconds ?? 1;
    this.#members = options.members ?? { memory: promptMember(options.clock) };
    this.#state = this.#adopt(new StoreState(this.#minTtlSeconds));
  }

  get state(): StoreState {
    return this.#state;
  }

  /**
   * Goes on with that snapshot, or with nothing when it is null: for members that have been stopped, whose watches
   * have ended. Each lease in it has its full time again.
   */
  restore(snapshot: StoreState | null): void {
    this.#state = this.#adopt(snapshot?.copy() ?? new StoreState(this.#minTtlSeconds));
    this.#state.extendLeases(this.clock.monotonicMs());
    this.afterRequest();
  }

  #adopt(state: StoreState): StoreState {
    state.mvcc.onCommit = (commit) => {
      for (const watch of this.#watches) watch.notify(commit);
    };
    return state;
  }

  /** A store over all members, or over those named, in that order; the name shows up in `MemberCall.client`. */
  connect(client: string, memberNames = Object.keys(this.#members)): InMemoryCoordinationStore {
    const members = memberNames.map((name) => {
      const behaviour = this.#members[name];
      if (behaviour === undefined) throw new RangeError(`There is no member ${name}.`);
      return { name, behaviour };
    });
    return new InMemoryCoordinationStore(this, client, members);
  }

  /** Ends all watches at this member, or only those of one client, in a later turn. */
  dropWatches(member: string, reason: WatchEnd, client?: string): void {
    for (const watch of this.#watches) {
      if (watch.member !== member || (client !== undefined && watch.client !== client)) continue;
      this.clock.schedule(0, () => watch.finish(reason));
    }
  }

  addWatch(watch: InMemoryWatch): void {
    this.#watches.add(watch);
  }

  removeWatch(watch: InMemoryWatch): void {
    this.#watches.delete(watch);
  }

  /** To be called when a request has been applied: sees to it that leases run out while there are any. */
  afterRequest(): void {
    if (this.#scanning || this.state.leaseIds.length === 0) return;
    this.#scanning = true;
    this.clock.schedule(EXPIRY_SCAN_MS, () => {
      this.#scanning = false;
      if (this.leasesRunOut) this.state.expireLeases(this.clock.monotonicMs());
      this.afterRequest();
    });
  }
}
