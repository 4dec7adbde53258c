import { slotKey } from '../../src/core/ids.ts';
import type { LogFields } from '../../src/runtime/logger.ts';
import type { SimulatedCluster } from './simulated-cluster.ts';

interface Term {
  readonly generation: number;
  readonly epoch: bigint;
}

/**
 * Task executors and job masters against each other (guarantees G2, G3 and G4): a slot in a hand is claimed by
 * exactly that lease at its task executor at that moment, grant numbers grow over restarts, tokens never fall.
 */
export class LeaseAudit {
  /** What the journals have broken. */
  readonly broken: string[] = [];
  readonly #lastGrant = new Map<string, number>();
  readonly #tokens = new Map<string, Term>();
  readonly #forgetful = new Set<string>();

  /** To be told every line of every journal. `process` names one process, `who` one that remembers over restarts. */
  note(process: string, event: string, fields: LogFields): void {
    if (event === 'grant') this.#granted(fields);
    if (event !== 'token-adopted') return;
    this.#adopted(process, fields);
    const { resourceId } = fields;
    if (typeof resourceId === 'string') this.#adopted(resourceId, fields);
  }

  /** That task executor has lost its state, and with it the tokens that it has seen. */
  forget(resourceId: string): void {
    this.#tokens.delete(resourceId);
    this.#forgetful.add(resourceId);
  }

  /** Throws when a guarantee is broken at this moment, or was broken by a line of a journal. */
  check(cluster: SimulatedCluster): void {
    const [first] = this.broken;
    if (first !== undefined) throw new Error(first);
    for (const [name, { process, endpoint }] of cluster.jobMasters) {
      if (!process.running || endpoint.job === null) continue;
      const allocations = new Map<string, string>();
      for (const slot of endpoint.job.slots) {
        if (!slot.held) continue;
        const key = slotKey(slot.slotId);
        const other = allocations.get(slot.allocationId);
        if (other !== undefined) throw new Error(`G4: ${slot.allocationId} has ${other} and ${key}`);
        allocations.set(slot.allocationId, key);
        const why = this.#contradiction(cluster, slot);
        if (why !== null) throw new Error(`G3: ${name} holds ${key}#${slot.grantNumber}, but ${why}`);
      }
    }
  }

  #contradiction(
    cluster: SimulatedCluster,
    slot: {
      readonly slotId: { readonly resourceId: string; readonly slotNumber: number };
      readonly allocationId: string;
      readonly grantNumber: number;
    },
  ): string | null {
    const { resourceId, slotNumber } = slot.slotId;
    const running = cluster.taskExecutors.get(resourceId);
    if (running === undefined || !running.process.alive) return null;
    const { phase, slots } = running.endpoint.status();
    if (phase !== 'running') return null;
    const status = slots.find((each) => each.slotNumber === slotNumber);
    // One that remembers nothing may have started with fewer slots; then nobody else can get it either.
    if (status === undefined)
      return this.#forgetful.has(resourceId) ? null : 'its task executor has no such slot';
    const { lease, state } = status;
    // A process that remembers nothing keeps its hands off the slot instead.
    if (lease === null) return state === 'quarantined' ? null : `it is ${state} at its task executor`;
    const same = lease.allocationId === slot.allocationId && lease.grantNumber === slot.grantNumber;
    if (same && state === 'claimed') return null;
    return `its task executor has it ${state} by ${lease.allocationId}#${lease.grantNumber}`;
  }

  #granted({ resourceId, slotNumber, grantNumber }: LogFields): void {
    const key = `${String(resourceId)}/${String(slotNumber)}`;
    const number = Number(grantNumber);
    const last = this.#lastGrant.get(key) ?? -1;
    if (number <= last) this.broken.push(`G3: ${key} was granted under ${number} after ${last}`);
    this.#lastGrant.set(key, number);
  }

  #adopted(who: string, fields: LogFields): void {
    const term: Term = { generation: Number(fields['generation']), epoch: BigInt(String(fields['epoch'])) };
    const last = this.#tokens.get(who);
    const grows =
      last === undefined ||
      term.generation > last.generation ||
      (term.generation === last.generation && term.epoch > last.epoch);
    if (!grows) {
      const text = `${term.generation}-${term.epoch} after ${last.generation}-${last.epoch}`;
      this.broken.push(`G2: ${who} adopted ${text}`);
    }
    this.#tokens.set(who, term);
  }
}
