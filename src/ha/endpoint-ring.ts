import type { CoordinationStore, StoreEndpoint } from './coordination-store.ts';

/** The endpoints of a store, beginning with the one that answered last. */
export class EndpointRing {
  readonly #endpoints: CoordinationStore['endpoints'];
  #preferred = 0;

  constructor(store: CoordinationStore) {
    this.#endpoints = store.endpoints;
  }

  get size(): number {
    return this.#endpoints.length;
  }

  /** The preferred endpoint for attempt 0, the one after it for attempt 1, and so on around. */
  at(attempt: number): StoreEndpoint {
    return this.#endpoints[(this.#preferred + attempt) % this.#endpoints.length] ?? this.#endpoints[0];
  }

  /** It has answered. */
  prefer(endpoint: StoreEndpoint): void {
    this.#preferred = Math.max(0, this.#endpoints.indexOf(endpoint));
  }

  /** It has not answered; the next one is tried first from now on. */
  avoid(endpoint: StoreEndpoint): void {
    if (this.#endpoints[this.#preferred] !== endpoint) return;
    this.#preferred = (this.#preferred + 1) % this.#endpoints.length;
  }
}
