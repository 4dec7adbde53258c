import type { ResourceManager } from '../../../src/resourcemanager/resource-manager.ts';
import type { Place, StormWorld } from './storm-world.ts';

const LOOKS_EVERY_MS = 250;

/** The people who run the cluster: after a loss of etcd's data they declare a new generation, when they are told that it needs one. */
export class StormOperator {
  /** Is told each time that an order of theirs was answered with success. */
  onDeclared: () => void = () => {};
  readonly #world: StormWorld;
  #watches = false;
  #patienceMs = 0;
  /** Since when a resource manager says that etcd was wiped or restored; null while none does. */
  #toldMs: number | null = null;
  #orders = 0;

  constructor(world: StormWorld) {
    this.#world = world;
  }

  /** They look after the cluster from now on, and take so long before they act. */
  watch(patienceMs: number): void {
    this.#patienceMs = patienceMs;
    if (this.#watches) return;
    this.#watches = true;
    this.#look();
  }

  #look(): void {
    const world = this.#world;
    world.cluster.clock.schedule(LOOKS_EVERY_MS, () => this.#look());
    const complaining = world.resourceManagers.filter(
      ({ running }) => running.process.running && running.endpoint.view.status().contradiction !== null,
    );
    if (complaining.length === 0) {
      this.#toldMs = null;
      return;
    }
    // Nobody may serve before they have acted.
    world.disturbedMs = world.nowMs;
    this.#toldMs ??= world.nowMs;
    const place = complaining[this.#orders % complaining.length];
    if (place === undefined || world.nowMs - this.#toldMs < this.#patienceMs) return;
    this.#orders += 1;
    void this.#declare(place);
  }

  /** As the command does it: asks what would be done, and orders just that, so that it may be said twice. */
  async #declare({ running }: Place<ResourceManager>): Promise<void> {
    const { view } = running.endpoint;
    try {
      const { identity } = await view.planGeneration();
      await view.newGeneration(identity.generation);
      this.onDeclared();
    } catch {
      // They look again, and order again while it is needed.
    }
  }
}
