import { slotKey } from '../../../src/core/ids.ts';
import type { Interleavings } from './interleavings.ts';
import type { StormWorld } from './storm-world.ts';

/** A request may be kept from a task executor for a lease, and the claim of another one may take as long; no longer. */
const LEASES_WAITED = 2;

/** What must have come right once the faults are over. Each part is asked for again and again, and says what is still wrong. */
export class Ending {
  readonly #world: StormWorld;
  readonly #interleavings: Interleavings;
  /** Since when somebody waits although a slot is free; null while nobody does. */
  #waitingSinceMs: number | null = null;
  /** Whether customers have given back what they had. */
  #closed = false;

  constructor(world: StormWorld, interleavings: Interleavings) {
    this.#world = world;
    this.#interleavings = interleavings;
  }

  /** One leader, every process registered, every task executor with its slots out of quarantine. */
  missing(): string | null {
    const { cluster } = this.#world;
    const leader = cluster.leader();
    if (leader === null) return 'nobody leads';
    if (leader.endpoint.view.status().epoch !== cluster.recordedEpoch())
      return 'etcd names another leader, or none';
    for (const [name, { process, endpoint }] of cluster.taskExecutors) {
      const { registeredWith, slots } = endpoint.status();
      if (!process.alive || registeredWith === null) return `${name} is not registered`;
      if (slots.some(({ state }) => state === 'quarantined')) return `${name} is in quarantine`;
    }
    const served = new Map<string, boolean>();
    for (const [name, { process, endpoint }] of cluster.jobMasters) {
      const jobId = name.split('/')[0] ?? name;
      const lives = process.alive && endpoint.job !== null && !endpoint.job.signal.aborted;
      served.set(jobId, (served.get(jobId) ?? false) || lives);
    }
    for (const [jobId, lives] of served) if (!lives) return `${jobId} is not registered`;
    return null;
  }

  /** All customers give back what they have, and ask for nothing more. */
  close(): void {
    this.#closed = true;
    for (const customer of this.#world.customers.values()) customer.close();
  }

  /** Nothing is held, nothing waited for, no promise is left open, and the books say so. */
  left(): string | null {
    const missing = this.missing();
    if (missing !== null) return missing;
    const waits = this.#waits();
    this.#watchWaiting(waits);
    if (waits !== null) return waits;
    for (const [name, { endpoint }] of this.#world.cluster.taskExecutors) {
      const used = endpoint.status().slots.find(({ lease }) => lease !== null);
      if (used !== undefined)
        return `${name}/${used.slotNumber} is still ${used.state} by ${used.lease?.allocationId}`;
    }
    return null;
  }

  #waits(): string | null {
    for (const [name, { open }] of this.#world.customers)
      for (const { running, what } of open.values())
        if (running.process.alive) return `${name} still waits for ${what}`;
    return null;
  }

  /** All slots are of one profile: whoever waits for one gets the next that is free, and is not left to time out (G7). */
  #watchWaiting(waits: string | null): void {
    const { cluster, nowMs, timing } = this.#world;
    const isFree = [...cluster.taskExecutors.values()].some(({ endpoint }) =>
      endpoint.status().slots.some(({ state }) => state === 'free'),
    );
    if (waits === null || !isFree) {
      this.#waitingSinceMs = null;
      return;
    }
    this.#waitingSinceMs ??= nowMs;
    const limitMs = LEASES_WAITED * timing.slotLeaseMs;
    if (nowMs - this.#waitingSinceMs > limitMs)
      throw new Error(`G7: a slot has been free for ${limitMs} ms, and ${waits}`);
  }

  /** Whether resource manager, task executors and job masters say the same of every slot. */
  async difference(): Promise<string | null> {
    const { cluster } = this.#world;
    const leader = cluster.leader();
    if (leader === null) return 'nobody leads';
    const { view } = leader.endpoint;
    const page = await view.slots({ limit: 1_000, after: null }).catch(() => null);
    const overview = await view.overview().catch(() => null);
    if (page === null || overview === null) return 'the leader does not serve';
    if (this.#closed && overview.pendingRequests > 0)
      return `${overview.pendingRequests} requests are booked as waiting, and nobody has any`;
    const booked = new Map(page.rows.map((row) => [slotKey(row), `${row.state} ${row.allocationId ?? '-'}`]));
    const held = new Map<string, string>();
    for (const { endpoint } of cluster.jobMasters.values())
      for (const slot of endpoint.job?.slots ?? [])
        if (slot.held) held.set(slotKey(slot.slotId), slot.allocationId);
    let count = 0;
    for (const { endpoint } of cluster.taskExecutors.values()) {
      const { slots, resourceId } = endpoint.status();
      for (const slot of slots) {
        count += 1;
        const key = `${resourceId}/${slot.slotNumber}`;
        const actual = `${slot.lease === null ? slot.state : 'allocated'} ${slot.lease?.allocationId ?? '-'}`;
        if (booked.get(key) !== actual)
          return `${key} is ${actual}, booked as ${booked.get(key) ?? 'nothing'}`;
        const inHand = held.get(key) ?? null;
        if (slot.state === 'granted') return `${key} is not claimed yet`;
        if (inHand !== (slot.lease?.allocationId ?? null)) return `${key} is ${actual}, in hand is ${inHand}`;
      }
    }
    return count === page.rows.length ? null : `${page.rows.length} slots are booked, ${count} are there`;
  }

  /** The brake of a leader that misses more than half waits for an operator, who knows which are gone for good. */
  async letGo(): Promise<void> {
    const view = this.#world.cluster.leader()?.endpoint.view;
    const overview = await view?.overview().catch(() => null);
    if (view === undefined || overview?.recovery?.braked !== true) return;
    this.#interleavings.saw('brakes after a take-over');
    for (const resourceId of this.#world.retired) view.forgetTaskExecutor(resourceId).catch(() => {});
  }
}
