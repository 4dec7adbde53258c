import type { JobId, JobMasterId } from '../ids.ts';
import type { RegistrationOrder } from '../messages/primitives.ts';
import type { LeaseHolder } from './slot-lease.ts';

/** The newest job master of one job that is known, and where its registration stands in the order. */
export interface JobOrder {
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;
  readonly order: RegistrationOrder;
}

/** Negative, zero or positive as `a` was registered before, with or after `b`. */
export function compareOrders(a: RegistrationOrder, b: RegistrationOrder): number {
  if (a.generation !== b.generation) return a.generation - b.generation;
  return a.revision < b.revision ? -1 : a.revision > b.revision ? 1 : 0;
}

/** How many jobs without a lease are remembered. */
const MOST_IDLE_JOBS = 1_024;

/**
 * Remembers the newest job master of each job, so that an older process of the same job is told `SUPERSEDED`.
 * Bounded: jobs without a lease are forgotten, the one heard of longest ago first; there is nothing that an
 * older process could claim or renew then.
 */
export class JobOrders {
  readonly #orders = new Map<JobId, JobOrder>();

  constructor(known: readonly JobOrder[] = []) {
    for (const order of known) this.#orders.set(order.jobId, order);
  }

  /** Whether a newer process of the job is known. A process is never superseded by itself. */
  supersedes(holder: LeaseHolder, order: RegistrationOrder): boolean {
    const known = this.#orders.get(holder.jobId);
    if (known === undefined || known.jobMasterId === holder.jobMasterId) return false;
    return compareOrders(order, known.order) <= 0;
  }

  /** Remembers a process that is not superseded; true when that is news. */
  learn(holder: LeaseHolder, order: RegistrationOrder): boolean {
    const known = this.#orders.get(holder.jobId);
    if (known !== undefined && compareOrders(order, known.order) <= 0) return false;
    this.#orders.delete(holder.jobId);
    this.#orders.set(holder.jobId, { jobId: holder.jobId, jobMasterId: holder.jobMasterId, order });
    return true;
  }

  /** Forgets what is beyond the bound. */
  prune(jobsWithLeases: () => ReadonlySet<JobId>): void {
    if (this.#orders.size <= MOST_IDLE_JOBS) return;
    const kept = jobsWithLeases();
    const idle = [...this.#orders.keys()].filter((jobId) => !kept.has(jobId));
    for (const jobId of idle.slice(0, Math.max(0, idle.length - MOST_IDLE_JOBS))) this.#orders.delete(jobId);
  }

  /** All that is remembered, oldest news first. */
  known(): JobOrder[] {
    return [...this.#orders.values()];
  }
}
