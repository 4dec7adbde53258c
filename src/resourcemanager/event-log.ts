import type { Clock } from '../runtime/clock.ts';
import type { Logger, LogLevel } from '../runtime/logger.ts';
import type { ClusterEvent, ClusterEventKind, Subscription } from './operator-view.ts';

const MOST_KEPT = 1_000;

/** The last events of this process, for `/v1/events`, and whoever follows them. */
export class EventLog {
  readonly #clock: Clock;
  readonly #kept: ClusterEvent[] = [];
  readonly #subscribers = new Set<(event: ClusterEvent) => void>();
  #nextId = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Keeps it, tells the subscribers, and writes one line to the log. */
  note(
    logger: Logger,
    level: LogLevel,
    kind: ClusterEventKind,
    event: string,
    fields: ClusterEvent['fields'] = {},
  ): void {
    logger.log(level, event, fields);
    const at = new Date(this.#clock.wallMs()).toISOString();
    const entry: ClusterEvent = { id: this.#nextId++, at, kind, event, fields };
    this.#kept.push(entry);
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
    for (const subscriber of this.#subscribers) subscriber(entry);
  }

  /** As `ResourceManagerView.watchEvents`. */
  watch(afterId: number | null, onEvent: (event: ClusterEvent) => void): Subscription {
    if (afterId !== null) {
      for (const entry of this.#kept.filter((kept) => kept.id > afterId)) onEvent(entry);
    }
    this.#subscribers.add(onEvent);
    return { cancel: () => this.#subscribers.delete(onEvent) };
  }
}
