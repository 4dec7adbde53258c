import { slotKey } from '../../../src/core/ids.ts';
import type { SlotRow } from '../../../src/resourcemanager/operator-view.ts';
import type { ResourceManager } from '../../../src/resourcemanager/resource-manager.ts';
import type { LogFields } from '../../../src/runtime/logger.ts';
import type { Slot } from '../../../src/jobmaster/slot.ts';
import { LeaseAudit } from '../lease-audit.ts';
import type { Running } from '../simulated-cluster.ts';
import { placeOf, type Sightings } from './sightings.ts';
import type { StormWorld } from './storm-world.ts';

/** One slot in the hand of one process. */
interface Holding {
  readonly name: string;
  readonly slot: Slot;
}

const STATES = ['free', 'requested', 'allocated', 'quarantined', 'unknown'] as const;

/**
 * What must hold after every step, whatever strikes (G1 to G9 and the books). Looks only at what can have changed
 * since the step before. Throws an error that begins with the guarantee.
 */
export class Invariants {
  /** Sessions that served. */
  readonly epochs = new Set<string>();
  readonly #world: StormWorld;
  readonly #sightings: Sightings;
  readonly #audit = new LeaseAudit();
  readonly #lastGrant = new Map<string, number>();
  readonly #states = new Map<Running<ResourceManager>, string>();
  readonly #lostSeen = new Map<string, number>();
  #touched = true;
  #fatalSeen = 0;
  #broken: Error | null = null;
  /** Since when nobody serves; null while somebody does. */
  #leaderlessSinceMs: number | null = 0;
  readonly #epochOf = new Map<Running<ResourceManager>, bigint | null>();

  constructor(world: StormWorld, sightings: Sightings) {
    this.#world = world;
    this.#sightings = sightings;
  }

  /** To be told every line of every journal. */
  onJournal(process: string, event: string, fields: LogFields): void {
    this.#touched = true;
    // A second process of one id has a state of its own.
    const own = placeOf(process).endsWith('.b') ? { ...fields, resourceId: placeOf(process) } : fields;
    this.#audit.note(process, event, own);
  }

  /** A task executor starts, or a process goes on after it was stopped. */
  touch(): void {
    this.#touched = true;
  }

  /** That task executor has lost what it knew. */
  forget(resourceId: string): void {
    this.#audit.forget(resourceId);
  }

  check(): void {
    const { broken } = this.#sightings;
    if (broken !== null) throw new Error(broken);
    if (this.#broken !== null) throw this.#broken;
    const [journal] = this.#audit.broken;
    if (journal !== undefined) throw new Error(journal);
    this.#ended();
    this.#leaders();
    this.#holdings();
    this.#losses();
    if (this.#sightings.booksTouched) this.#books();
  }

  /** A process may end itself only when a newer one of its name was started, or as a job for which nobody led for long. */
  #ended(): void {
    const { cluster, struck } = this.#world;
    for (; this.#fatalSeen < cluster.fatal.length; this.#fatalSeen++) {
      const sentence = cluster.fatal[this.#fatalSeen] ?? '';
      const name = sentence.slice(0, sentence.indexOf(': '));
      if (this.#waitedInVain(name, sentence)) continue;
      const running = cluster.taskExecutors.get(name);
      const superseded =
        sentence.includes('SUPERSEDED') && struck.doubled.has(this.#world.resourceIdAt(name));
      if (running === undefined || !superseded) throw new Error(`G8: a process ended itself: ${sentence}`);
      this.#sightings.interleavings.saw('superseded task executors');
      cluster.crash(running);
      cluster.taskExecutors.delete(name);
    }
  }

  /** A job that found no leader in the midst of faults is started again, as by its supervisor. */
  #waitedInVain(name: string, sentence: string): boolean {
    const world = this.#world;
    const running = world.cluster.jobMasters.get(name);
    const calmMs = world.nowMs - world.disturbedMs;
    if (running === undefined || !sentence.includes('NO_LEADER')) return false;
    if (calmMs > world.timing.slotRequestTimeoutMs) return false;
    this.#sightings.interleavings.saw('jobs that found no leader in time');
    world.cluster.crash(running);
    world.startJobMaster(name);
    return true;
  }

  /** Two serve at once only when leadership was taken away from outside; nobody for long only while something is broken. */
  #leaders(): void {
    const world = this.#world;
    const { interleavings } = this.#sightings;
    let serving: Running<ResourceManager> | null = null;
    for (const running of world.cluster.resourceManagers.values()) {
      if (!running.process.running) continue;
      const { state } = running.endpoint;
      const before = this.#states.get(running);
      if (before !== state) {
        this.#states.set(running, state);
        if (before === 'serving' && state === 'suspended') interleavings.saw('suspensions');
        if (before === 'suspended' && state === 'serving')
          interleavings.saw('suspensions that ended without a change of leader');
        const { epoch } = running.endpoint.view.status();
        this.#epochOf.set(running, epoch);
        if (state === 'serving')
          this.epochs.add(`${running.endpoint.view.leader()?.generation ?? 0}-${epoch}`);
      }
      if (state !== 'serving') continue;
      if (serving !== null && !this.#mayOverlap(serving, running))
        throw new Error(`G6: two serve at once: ${serving.process.name} and ${running.process.name}`);
      serving = running;
    }
    this.#liveness(serving !== null);
  }

  /** The older one of the two was wronged from outside, and may not know yet that it leads no more. */
  #mayOverlap(...two: readonly Running<ResourceManager>[]): boolean {
    const { overlaps, nowMs } = this.#world;
    const epochOf = ({ endpoint }: Running<ResourceManager>): bigint => endpoint.view.status().epoch ?? 0n;
    const [older] = two.toSorted((a, b) => (epochOf(a) < epochOf(b) ? -1 : 1));
    return older !== undefined && overlaps.covers(epochOf(older), nowMs);
  }

  #liveness(served: boolean): void {
    const world = this.#world;
    if (served) {
      this.#leaderlessSinceMs = null;
      return;
    }
    this.#leaderlessSinceMs ??= world.nowMs;
    if (world.underWay > 0) return;
    const sinceMs = Math.max(this.#leaderlessSinceMs, world.disturbedMs);
    if (world.nowMs - sinceMs > leaderWithinMs(world))
      throw new Error(`G8: nobody leads ${leaderWithinMs(world)} ms after the last fault`);
  }

  /** Whoever holds a slot holds it alone, by the lease that its task executor knows. */
  #holdings(): void {
    // A lease begins, goes on or ends with a line in somebody's journal; deadlines only make hands emptier.
    if (!this.#touched) return;
    this.#touched = false;
    const held: Holding[] = [];
    for (const [name, { process, endpoint }] of this.#world.cluster.jobMasters) {
      if (!process.running || endpoint.job === null) continue;
      for (const slot of endpoint.job.slots) if (slot.held) held.push({ name, slot });
    }
    const users = new Map<string, string>();
    const executors = this.#executors();
    this.#claims();
    const allocations = new Map<string, string>();
    for (const { name, slot } of held) {
      const key = slotKey(slot.slotId);
      const elsewhere = allocations.get(slot.allocationId);
      if (elsewhere !== undefined) throw new Error(`G4: ${slot.allocationId} has ${elsewhere} and ${key}`);
      allocations.set(slot.allocationId, key);
      // Leases of one id on two machines are unique for each instance only.
      if (this.#world.struck.doubled.has(slot.slotId.resourceId)) continue;
      const other = users.get(key);
      if (other !== undefined) throw new Error(`G3: ${key} is held by ${other} and by ${name}`);
      users.set(key, `${name} (${slot.allocationId})`);
      const before = this.#lastGrant.get(key) ?? -1;
      if (slot.grantNumber < before)
        throw new Error(`G3: grant number of ${key} fell from ${before} to ${slot.grantNumber}`);
      this.#lastGrant.set(key, slot.grantNumber);
      const why = executors.get(slot.slotId.resourceId)?.contradiction(slot) ?? null;
      if (why !== null) throw new Error(`G3: ${name} holds ${key}#${slot.grantNumber}, but ${why}`);
    }
  }

  /**
   * No allocation has two claimed leases, whatever its job makes of them. A task executor that was struck may hold one for
   * longer than its job can know, as a suspended machine does.
   */
  #claims(): void {
    const { cluster, struck } = this.#world;
    const claimed = new Map<string, string>();
    for (const [name, { process, endpoint }] of cluster.taskExecutors) {
      if (!process.running || struck.workers.has(name)) continue;
      const { phase, slots, resourceId } = endpoint.status();
      if (phase !== 'running' || struck.doubled.has(resourceId)) continue;
      for (const { state, lease, slotNumber } of slots) {
        if (state !== 'claimed' || lease === null) continue;
        const [here, there] = [`${resourceId}/${slotNumber}`, claimed.get(lease.allocationId)];
        if (there !== undefined)
          throw new Error(`G4: ${lease.allocationId} is claimed at ${there} and ${here}`);
        claimed.set(lease.allocationId, here);
      }
    }
  }

  #executors(): Map<string, ExecutorView> {
    const views = new Map<string, ExecutorView>();
    for (const [name, { process, endpoint }] of this.#world.cluster.taskExecutors)
      if (process.alive && !name.endsWith('.b')) {
        const status = endpoint.status();
        if (status.phase === 'running') views.set(status.resourceId, new ExecutorView(status.slots));
      }
    return views;
  }

  /** A lease that no fault of its two processes or of the link between them touched goes on (G7, G9). */
  #losses(): void {
    const { customers, struck } = this.#world;
    for (const [name, { lost }] of customers) {
      const seen = this.#lostSeen.get(name) ?? 0;
      if (seen === lost.length) continue;
      this.#lostSeen.set(name, lost.length);
      for (const { resourceId, sentence } of lost.slice(seen)) {
        this.#sightings.interleavings.saw('leases lost by their job');
        const executor = this.#world.placeOfExecutor(resourceId);
        const excused =
          struck.workers.has(name) ||
          executor === null ||
          // Of two processes of one id one is put out, with its leases, when a leader hears of both.
          struck.doubled.has(resourceId) ||
          struck.workers.has(executor) ||
          struck.links.has(`${name}>${executor}`);
        if (!excused) throw new Error(`G9: ${sentence}`);
      }
    }
  }

  /** The leader's books name each slot once, in one state, and their counts agree. */
  #books(): void {
    this.#sightings.booksTouched = false;
    const leader = this.#world.cluster.leader();
    if (leader === null) return;
    const { view } = leader.endpoint;
    Promise.all([view.slots({ limit: 1_000, after: null }), view.overview()]).then(
      ([{ rows }, { slots }]) => {
        const why = booksProblem(rows, slots);
        if (why !== null) this.#broken ??= new Error(`books: of ${placeOf(leader.process.name)}: ${why}`);
      },
      () => {},
    );
  }
}

/** G8: with etcd writable and a resource manager that reaches it, somebody leads within so long. */
export function leaderWithinMs({ ttlMs }: StormWorld): number {
  return 2 * ttlMs + 3_000;
}

class ExecutorView {
  readonly #slots: ReturnType<typeof slotsByNumber>;

  constructor(slots: Parameters<typeof slotsByNumber>[0]) {
    this.#slots = slotsByNumber(slots);
  }

  contradiction(slot: Slot): string | null {
    const status = this.#slots.get(slot.slotId.slotNumber);
    // One that started with fewer slots, or remembers nothing, keeps its hands off the slot instead.
    if (status === undefined) return null;
    const { lease, state } = status;
    if (lease === null) return state === 'quarantined' ? null : `it is ${state} at its task executor`;
    const same = lease.allocationId === slot.allocationId && lease.grantNumber === slot.grantNumber;
    if (same && state === 'claimed') return null;
    return `its task executor has it ${state} by ${lease.allocationId}#${lease.grantNumber}`;
  }
}

type SlotStatus = {
  readonly slotNumber: number;
  readonly state: string;
  readonly lease: { readonly allocationId: string; readonly grantNumber: number } | null;
};

function slotsByNumber(slots: readonly SlotStatus[]): Map<number, SlotStatus> {
  return new Map(slots.map((slot) => [slot.slotNumber, slot]));
}

function booksProblem(
  rows: readonly SlotRow[],
  counts: Readonly<Record<(typeof STATES)[number] | 'total', number>>,
): string | null {
  const keys = new Set<string>();
  const actual = new Map<string, number>();
  for (const row of rows) {
    const key = slotKey(row);
    if (keys.has(key)) return `${key} is there twice`;
    keys.add(key);
    actual.set(row.state, (actual.get(row.state) ?? 0) + 1);
    if (row.state === 'free' && row.allocationId !== null)
      return `${key} is free and has ${row.allocationId}`;
    if ((row.state === 'allocated' || row.state === 'requested') && row.allocationId === null)
      return `${key} is ${row.state} by nobody`;
  }
  for (const state of STATES)
    if (counts[state] !== (actual.get(state) ?? 0))
      return `${counts[state]} slots are counted as ${state}, not ${actual.get(state) ?? 0}`;
  return counts.total === rows.length ? null : `${counts.total} slots are counted, not ${rows.length}`;
}
