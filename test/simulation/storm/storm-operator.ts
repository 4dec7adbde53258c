import type { ResourceManager } from '../../../src/resourcemanager/resource-manager.ts';
import type { Place, StormWorld } from './storm-world.ts';

const LOOKS_EVERY_MS = 250;
/** A worker of another cluster than the one in etcd is restarted after so long without a complaint, or after an order. */
const STRAYS_RESTARTED_AFTER_MS = 1_000;
/** So long after an order they look what has become of it, before they give another one. */
const ORDER_SHOWS_WITHIN_MS = 2_500;
/** Whoever has not told within that what it would declare is not asked any more; it may have ended. */
const PLAN_AWAITED_MS = 1_000;
/** So long a term has workers ahead of it before they act; until then it may be that etcd is not believed any more. */
const OUTRUN_FOR_MS = 1_000;

/**
 * The people who run the cluster: after a loss of etcd's data they declare a new generation when they are told that it
 * needs one, with whom they please at first, and as the command does it when that was not enough. They restart workers
 * that know another cluster id than the one declared. They declare once more when workers are ahead of the leader that
 * follows: theirs had been declared before, unknown to whom the order went to.
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
  /** When an order of theirs was answered with success; null while none was since they are told. */
  #declaredMs: number | null = null;
  /** Workers that met the leader of another cluster, the cluster id that they know, and since when that is known. */
  readonly #strays = new Map<string, { readonly known: string; readonly sinceMs: number }>();
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

  /** To be told that a worker, which knows that cluster id, met the leader of another cluster. */
  met(name: string, known: string): void {
    if (!this.#watches || this.#strays.get(name)?.known === known) return;
    this.#strays.set(name, { known, sinceMs: this.#world.nowMs });
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
      this.#declaredMs = null;
      this.#restartStrays(-Infinity);
      return this.#outdoWhatWorkersKnow();
    }
    // Nobody may serve before they have acted.
    world.disturbedMs = world.nowMs;
    this.#toldMs ??= world.nowMs;
    if (this.#declaredMs !== null) return this.#seeToOrder(this.#declaredMs);
    const place = complaining[this.#orders % complaining.length];
    if (place === undefined || world.nowMs - this.#toldMs < this.#patienceMs) return;
    this.#orders += 1;
    void this.#declare(place);
  }

  /** Some still complain after an order: of workers that know another cluster, or of a loss since then. */
  #seeToOrder(declaredMs: number): void {
    this.#restartStrays(declaredMs);
    if (this.#world.nowMs - declaredMs < ORDER_SHOWS_WITHIN_MS) return;
    this.#declaredMs = this.#world.nowMs;
    void this.#declareAsBestKnown();
  }

  /** Before anybody has declared which cluster this is, it may be the one in etcd that was founded by mistake. */
  #restartStrays(notBeforeMs: number): void {
    const world = this.#world;
    const standing = world.identity?.clusterId;
    for (const [name, { known, sinceMs }] of this.#strays) {
      const waitedMs = world.nowMs - Math.max(sinceMs, notBeforeMs);
      if (known === standing || waitedMs < STRAYS_RESTARTED_AFTER_MS) continue;
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

  /** Of all whom they can ask, the one that hears most workers knows best which cluster this is. */
  async #declareAsBestKnown(): Promise<void> {
    const { cluster, resourceManagers } = this.#world;
    const plans = resourceManagers
      .filter(({ running }) => running.process.running)
      .map(async (place) => {
        const late = new Promise<never>((_, reject) => {
          cluster.clock.schedule(PLAN_AWAITED_MS, () => reject(new Error(`${place.name} told no plan`)));
        });
        const { informedWorkers } = await Promise.race([place.running.endpoint.view.planGeneration(), late]);
        return { place, informedWorkers };
      });
    const told = (await Promise.allSettled(plans)).flatMap((plan) =>
      plan.status === 'fulfilled' ? [plan.value] : [],
    );
    const [best] = told.toSorted((a, b) => b.informedWorkers - a.informedWorkers);
    if (best !== undefined) await this.#declare(best.place);
  }

  /** Asks what would be done, and orders just that, so that it may be said twice. */
  async #declare({ running }: Place<ResourceManager>): Promise<void> {
    const { view } = running.endpoint;
    try {
      const { identity } = await view.planGeneration();
      await view.newGeneration(identity.generation);
      this.#declaredMs = this.#world.nowMs;
      this.onDeclared();
    } catch {
      // They look again, and order again while it is needed.
    }
  }
}
