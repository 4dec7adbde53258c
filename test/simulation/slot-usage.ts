import { slotKey } from '../../src/core/ids.ts';
import type { SimulatedCluster } from './simulated-cluster.ts';

/**
 * Guarantee G3 as the users of slots see it: at no moment do two live job masters hold the same slot, and the
 * grant number with which a slot is used never falls.
 */
export class SlotUsage {
  readonly #cluster: SimulatedCluster;
  readonly #lastGrant = new Map<string, number>();

  constructor(cluster: SimulatedCluster) {
    this.#cluster = cluster;
  }

  /** Throws when the guarantee is broken at this moment. */
  check(): void {
    const users = new Map<string, string>();
    for (const [jobId, running] of this.#cluster.jobMasters) {
      // A stopped process does nothing with what it has.
      if (!running.process.running || running.endpoint.job === null) continue;
      for (const slot of running.endpoint.job.slots) {
        if (!slot.held) continue;
        const key = slotKey(slot.slotId);
        const other = users.get(key);
        if (other !== undefined) throw new Error(`G3: ${key} is held by ${other} and by ${jobId}`);
        users.set(key, `${jobId} (${slot.allocationId})`);
        const before = this.#lastGrant.get(key) ?? -1;
        if (slot.grantNumber < before)
          throw new Error(`G3: grant number of ${key} fell from ${before} to ${slot.grantNumber}`);
        this.#lastGrant.set(key, slot.grantNumber);
      }
    }
  }
}
