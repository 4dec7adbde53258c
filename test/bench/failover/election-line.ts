import type { KeyValue, StoreEndpoint, Watch, WatchEvent } from '../../../src/ha/coordination-store.ts';
import { machineMs } from './machine-time.ts';

/** Who is first in the line of an election, as etcd shows it. */
export interface Head {
  readonly keyValue: KeyValue;
  /** When etcd's event, or the listing, that made it the head was received. */
  readonly sinceMs: number;
}

const CALL_TIMEOUT_MS = 5_000;

/** Follows the candidates' keys under one prefix: the lowest create revision leads. */
export class ElectionLine {
  readonly #endpoint: StoreEndpoint;
  readonly #prefix: string;
  readonly #byKey = new Map<string, KeyValue>();
  #head: Head | null = null;
  #watch: Watch | null = null;
  #broken: string | null = null;

  constructor(endpoint: StoreEndpoint, prefix: string) {
    this.#endpoint = endpoint;
    this.#prefix = prefix;
  }

  /** Null while nobody is in line. Throws once the watch is lost: then nothing can be measured any more. */
  get head(): Head | null {
    if (this.#broken !== null) throw new Error(`the watch on ${this.#prefix} was lost: ${this.#broken}`);
    return this.#head;
  }

  /** Values of all candidates' keys. */
  get values(): string[] {
    return [...this.#byKey.values()].map(({ value }) => value);
  }

  /** Resolves when the line is known and watched. */
  async follow(): Promise<void> {
    const listing = await this.#endpoint.range(
      { type: 'range', key: this.#prefix, prefix: true },
      CALL_TIMEOUT_MS,
    );
    this.#apply(listing.keyValues.map((keyValue) => ({ type: 'put', keyValue })));
    this.#watch = this.#endpoint.watch({ key: this.#prefix, prefix: true }, listing.revision + 1n, {
      onCreated: () => {},
      onEvents: (events) => this.#apply(events),
      onEnd: ({ kind, detail }) => {
        if (kind !== 'cancelled') this.#broken = detail;
      },
    });
  }

  stop(): void {
    this.#watch?.cancel();
  }

  #apply(events: readonly WatchEvent[]): void {
    const sinceMs = machineMs();
    for (const event of events) {
      if (event.type === 'put') this.#byKey.set(event.keyValue.key, event.keyValue);
      else this.#byKey.delete(event.key);
    }
    let first: KeyValue | null = null;
    for (const each of this.#byKey.values()) {
      if (first === null || each.createRevision < first.createRevision) first = each;
    }
    if (first?.createRevision === this.#head?.keyValue.createRevision) return;
    this.#head = first === null ? null : { keyValue: first, sinceMs };
  }
}
