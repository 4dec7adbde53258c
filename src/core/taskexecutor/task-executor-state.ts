import { z } from 'zod';
import * as p from '../messages/primitives.ts';
import type { JobOrder } from './job-orders.ts';
import type { SlotLease } from './slot-lease.ts';

const lease = z.object({
  slotNumber: p.slotNumber,
  allocationId: p.allocationId,
  jobId: p.jobId,
  jobMasterId: p.jobMasterId,
  instanceId: p.instanceId,
  grantNumber: p.grantNumber,
  token: p.fencingToken,
  claimed: z.boolean(),
  durationMs: p.durationMs,
}) satisfies z.ZodType<SlotLease>;

const jobOrder = z.object({
  jobId: p.jobId,
  jobMasterId: p.jobMasterId,
  order: p.registrationOrder,
}) satisfies z.ZodType<JobOrder>;

/**
 * What a task executor must not forget over a restart (guarantees G2 and G3). Ends of leases are not in it:
 * after a restart each lease runs one full duration, which is no earlier than any end promised before, because
 * the promise was made before the restart. So a renewal changes nothing here and need not be written.
 */
export const taskExecutorState = z.object({
  cluster: z.string(),
  resourceId: p.resourceId,
  clusterId: p.clusterId.nullable(),
  highestToken: p.fencingToken.nullable(),
  lastSeen: p.commandNumber.nullable(),
  /** False while slots may still be in use under leases of a former process that are not in `slots`. */
  settled: z.boolean(),
  /** An operator's order; it holds until it is taken back. */
  drainOrdered: z.boolean(),
  slots: p.list(
    z.object({
      slotNumber: p.slotNumber,
      /** Of the last lease of the slot; the next one gets a higher number. */
      grantNumber: p.grantNumber,
      profile: p.resourceProfile,
      lease: lease.nullable(),
    }),
    65_536,
  ),
  jobOrders: p.list(jobOrder, 200_000),
});
export type TaskExecutorState = z.infer<typeof taskExecutorState>;
