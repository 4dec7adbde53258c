import type { CoordinationStore, StoreEndpoint } from './coordination-store.ts';

const RINGS = new WeakMap<CoordinationStore, EndpointRing>();

/** The endpoints of a store in the order of the settings; remembers which one answered last. */
export class EndpointRing {
  readonly #endpoints: CoordinationStore['endpoints'];
  #preferred: StoreEndpoint;

  constructor(store: CoordinationStore) {
    this.#endpoints = store.endpoints;
    this.#preferred = store.endpoints[0];
  }

  /** The one ring of that store: whoever calls it learns from all the others. */
  static of(store: CoordinationStore): EndpointRing {
    const ring = RINGS.get(store) ?? new EndpointRing(store);
    RINGS.set(store, ring);
    return ring;
  }

  get size(): number {
    return this.#endpoints.length;
  }

  /** Where to turn when this one does not answer; the one that answered last when it is null. */
  after(endpoint: StoreEndpoint | null): StoreEndpoint {
    if (endpoint === null) return this.#preferred;
    const index = this.#endpoints.indexOf(endpoint);
    return this.#endpoints[(index + 1) % this.#endpoints.length] ?? this.#preferred;
  }

  /** It has answered. */
  prefer(endpoint: StoreEndpoint): void {
    this.#preferred = endpoint;
  }
}
