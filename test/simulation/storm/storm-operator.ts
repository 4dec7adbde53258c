import type { ResourceManager } from '../../../src/resourcemanager/resource-manager.ts';
import type { Place, StormWorld } from './storm-world.ts';

const LOOKS_EVERY_MS = 250;
/** A worker that has found itself in another cluster is restarted after so long without a complaint about etcd. */
const STRAYS_RESTARTED_AFTER_MS = 1_000;
/** So long a term has workers ahead of it before they act; until then it may be that etcd is not believed any more. */
const OUTRUN_FOR_MS = 1_000;

/**
 * The people who run the cluster: after a loss of etcd's data they declare a new generation when they are told that it
 * needs one, and once more when workers are ahead of the leader that follows: theirs had been declared before, unknown to
 * whom the order went to.
 */
export class StormOperator {
  /** Is told each time that an order of theirs was answered with success. */
  onDeclared: () => void = () => {};
  readonly #world: StormWorld;
  #watches = false;
  #patienceMs = 0;
  /** Since when a resource manager says that etcd was wiped or restored; null while none does. */
  #toldMs: number | null = null;
  #orders = 0;
  /** Workers that belong to a cluster which somebody founded by mistake, and since when that is known. */
  readonly #strays = new Map<string, number>();
  /** Epoch of the last term that a worker was ahead of, whose it was, and since when that is known. */
  #outrun: { readonly who: string; readonly epoch: string; readonly sinceMs: number } | null = null;

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

  /** To be told that a worker met a resource manager of another cluster than its own. */
  met(name: string): void {
    if (this.#watches && !this.#strays.has(name)) this.#strays.set(name, this.#world.nowMs);
  }

  /** To be told of the alarm that a worker is ahead of the term of a resource manager. */
  ahead(who: string, token: string): void {
    const epoch = token.split('-')[1] ?? token;
    if (!this.#watches || (this.#outrun?.who === who && this.#outrun.epoch === epoch)) return;
    this.#outrun = { who, epoch, sinceMs: this.#world.nowMs };
  }

  #look(): void {
    const world = this.#world;
    world.cluster.clock.schedule(LOOKS_EVERY_MS, () => this.#look());
    const complaining = world.resourceManagers.filter(
      ({ running }) => running.process.running && running.endpoint.view.status().contradiction !== null,
    );
    if (complaining.length === 0) {
      this.#toldMs = null;
      this.#restartStrays();
      return this.#outdoWhatWorkersKnow();
    }
    // By now it may be the resource managers who are mistaken.
    this.#strays.clear();
    // Nobody may serve before they have acted.
    world.disturbedMs = world.nowMs;
    this.#toldMs ??= world.nowMs;
    const place = complaining[this.#orders % complaining.length];
    if (place === undefined || world.nowMs - this.#toldMs < this.#patienceMs) return;
    this.#orders += 1;
    void this.#declare(place);
  }

  #restartStrays(): void {
    const world = this.#world;
    for (const [name, sinceMs] of this.#strays) {
      if (world.nowMs - sinceMs < STRAYS_RESTARTED_AFTER_MS) continue;
      this.#strays.delete(name);
      world.restartWithoutState(name);
    }
  }

  #outdoWhatWorkersKnow(): void {
    const world = this.#world;
    const outrun = this.#outrun;
    if (outrun === null || world.nowMs - outrun.sinceMs < OUTRUN_FOR_MS) return;
    this.#outrun = null;
    const place = world.resourceManagers.find(({ name }) => name === outrun.who);
    if (place?.running.endpoint.view.status().epoch?.toString() !== outrun.epoch) return;
    world.disturbedMs = world.nowMs;
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
