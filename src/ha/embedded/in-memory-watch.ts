import type { Clock, Timer } from '../../runtime/clock.ts';
import type { KeyRange, Watch, WatchEnd, WatchEvent, WatchListener } from '../coordination-store.ts';
import type { MemberBehaviour } from './member-behaviour.ts';
import { type Commit, eventsIn, type MvccState } from './mvcc-state.ts';

const OPENING_TIMEOUT_MS = 2_000;

/** One watch at one member: what the state commits goes into a queue that the member carries to the listener. */
export class InMemoryWatch implements Watch {
  readonly member: string;
  readonly client: string;
  readonly #behaviour: MemberBehaviour;
  readonly #range: KeyRange;
  readonly #listener: WatchListener;
  readonly #onClosed: (watch: InMemoryWatch) => void;
  readonly #openingTimer: Timer;
  #standing = false;
  #startRevision = 0n;
  #created = false;
  #queue: Commit[] = [];
  #end: WatchEnd | null = null;
  #carrying = false;
  #ended = false;

  constructor(
    place: { readonly member: string; readonly client: string; readonly behaviour: MemberBehaviour },
    clock: Clock,
    range: KeyRange,
    listener: WatchListener,
    onClosed: (watch: InMemoryWatch) => void,
  ) {
    this.member = place.member;
    this.client = place.client;
    this.#behaviour = place.behaviour;
    this.#range = range;
    this.#listener = listener;
    this.#onClosed = onClosed;
    this.#openingTimer = clock.schedule(OPENING_TIMEOUT_MS, () =>
      this.finish({ kind: 'lost', detail: `the watch did not stand after ${OPENING_TIMEOUT_MS} ms` }),
    );
  }

  /** Asks the member for the watch, from that revision on. */
  open(state: MvccState, startRevision: bigint): void {
    this.#behaviour.carry(this.client, () => {
      if (this.#ended) return;
      const past = state.eventsSince(this.#range, startRevision);
      this.#standing = past !== undefined;
      if (past === undefined) {
        const { compactedRevision } = state;
        const detail = `compacted up to revision ${compactedRevision}`;
        this.#end = { kind: 'compacted', detail, compactedRevision };
      }
      this.#queue.push(...(past ?? []));
      this.#startRevision = startRevision;
      this.#carry();
    });
  }

  /** Takes note of what was committed just now. */
  notify(commit: Commit): void {
    if (!this.#standing || commit.revision < this.#startRevision) return;
    const events = eventsIn(this.#range, commit);
    if (events.length === 0) return;
    this.#queue.push({ revision: commit.revision, events });
    this.#carry();
  }

  cancel(): void {
    this.finish({ kind: 'cancelled', detail: 'cancelled by its owner' });
  }

  /** Ends the watch at once; what was on its way is lost. */
  finish(reason: WatchEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#openingTimer.cancel();
    this.#onClosed(this);
    this.#listener.onEnd(reason);
  }

  #carry(): void {
    if (this.#carrying || this.#ended) return;
    this.#carrying = true;
    this.#behaviour.carry(this.client, () => {
      this.#carrying = false;
      if (!this.#ended) this.#deliver();
    });
  }

  #deliver(): void {
    if (!this.#created) {
      this.#created = true;
      this.#openingTimer.cancel();
      this.#listener.onCreated();
    } else {
      const commits = this.#queue;
      this.#queue = [];
      const events: WatchEvent[] = commits.flatMap((commit) => commit.events);
      const last = commits.at(-1);
      if (last !== undefined) this.#listener.onEvents(events, last.revision);
      if (this.#end !== null) this.finish(this.#end);
    }
    if (this.#queue.length > 0 || this.#end !== null) this.#carry();
  }
}
