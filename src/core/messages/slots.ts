import { z } from 'zod';
import * as p from './primitives.ts';
import { problem } from './problem-schema.ts';

/**
 * One slot as its task executor sees it. `granted` waits for the claim, `claimed` is in a job master's hand,
 * `quarantined` may still be used by a process that a former instance granted it to.
 */
const slotStatus = z
  .object({
    slotNumber: p.slotNumber,
    profile: p.resourceProfile,
    /** A state of a newer version is not free. */
    state: p.wordOf(['free', 'granted', 'claimed', 'quarantined'], 'quarantined'),
    lease: z
      .object({
        allocationId: p.allocationId,
        jobId: p.jobId,
        jobMasterId: p.jobMasterId,
        /** Instance under which it was granted; a lease read from the state file keeps its old one. */
        instanceId: p.instanceId,
        grantNumber: p.grantNumber,
      })
      .nullable(),
  })
  .refine(({ state, lease }) => state === 'quarantined' || (lease === null) === (state === 'free'), {
    path: ['lease'],
    message: 'must be there when the slot is granted or claimed, and not when it is free',
  });
export type SlotStatus = z.infer<typeof slotStatus>;

/**
 * What a task executor says of its slots. A full report names every slot; a delta only those that changed
 * since the report before, whose number is one lower. It says nothing about a slot whose last command is
 * above `lastSeen`.
 */
export const slotReport = z.object({
  reportNumber: z.int().min(0),
  full: z.boolean(),
  lastSeen: p.commandNumber.nullable(),
  draining: z.boolean(),
  slots: p
    .list(slotStatus, 65_536)
    .refine(
      (slots) => new Set(slots.map((slot) => slot.slotNumber)).size === slots.length,
      'must name each slot once',
    ),
});
export type SlotReport = z.infer<typeof slotReport>;

/** One command within a numbered call of the leader to a task executor. */
export const slotCommand = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('requestSlot'),
    slotNumber: p.slotNumber,
    allocationId: p.allocationId,
    jobId: p.jobId,
    jobMasterId: p.jobMasterId,
    order: p.registrationOrder,
    profile: p.resourceProfile,
    /** How long the grant may stay unclaimed. */
    unclaimedMs: p.durationMs,
  }),
  /**
   * Withdraws the allocation's unclaimed grant; done as well when it does not hold the slot. Refused when it
   * has claimed the slot: only its job master's release or the end of the lease makes that free.
   */
  z.object({ kind: z.literal('freeSlot'), slotNumber: p.slotNumber, allocationId: p.allocationId }),
  /** Kills every lower command still on its way. */
  z.object({ kind: z.literal('noOperation') }),
  z.object({ kind: z.literal('drain'), draining: z.boolean() }),
  /** Ends a worker that a provider has started: drain, goodbye, exit. */
  z.object({ kind: z.literal('stop') }),
]);
export type SlotCommand = z.infer<typeof slotCommand>;

/** What became of one command; grant number and duration belong to a granted `requestSlot`. */
export const slotCommandResult = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('done'), grantNumber: p.grantNumber.nullable() }),
  z.object({ outcome: z.literal('refused'), problem }),
]);
export type SlotCommandResult = z.infer<typeof slotCommandResult>;

/** One request for one slot. Idempotent per `allocationId`; durations travel, not times of day. */
export const slotRequest = z.object({
  allocationId: p.allocationId,
  profile: p.resourceProfile,
  /** How much longer the job master waits. */
  remainingMs: p.durationMs,
  /** Task executors that the job master could not reach. */
  excluded: p.list(p.resourceId, 1_000),
});
export type SlotRequest = z.infer<typeof slotRequest>;

/** Where a granted slot is, and the number with which its user can fence an outside system. */
export const slotGrant = z.object({
  allocationId: p.allocationId,
  slotId: p.slotId,
  instanceId: p.instanceId,
  address: p.address,
  grantNumber: p.grantNumber,
  profile: p.resourceProfile,
});
export type SlotGrant = z.infer<typeof slotGrant>;

/** A task executor at the address at which a job master looks for it. */
export const whereabouts = z.object({ resourceId: p.resourceId, address: p.address });
export type Whereabouts = z.infer<typeof whereabouts>;

/** One lease as its job master names it towards the task executor. */
export const leaseKey = z.object({
  allocationId: p.allocationId,
  instanceId: p.instanceId,
  slotNumber: p.slotNumber,
  grantNumber: p.grantNumber,
});
export type LeaseKey = z.infer<typeof leaseKey>;
