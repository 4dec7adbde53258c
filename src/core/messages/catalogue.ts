import { z } from 'zod';
import * as h from './handshake.ts';
import * as p from './primitives.ts';
import { problem } from './problem-schema.ts';
import * as s from './slots.ts';

const empty = z.object({});
const jobMaster = { jobId: p.jobId, jobMasterId: p.jobMasterId };
const fenced = { token: p.fencingToken };
const perAllocation = p.list(z.object({ allocationId: p.allocationId, problem: problem.nullable() }), 65_536);

/** Calls that are answered by their reply or by a problem. The comment says who calls whom. */
export const REQUESTS = {
  // whoever dialled -> server
  hello: { request: h.hello, reply: h.welcome },
  // task executor -> every resource manager
  introduceTaskExecutor: { request: h.introduceTaskExecutor, reply: h.clusterView },
  // job master -> every resource manager
  introduceJobMaster: { request: h.introduceJobMaster, reply: h.clusterView },
  // resource manager -> every other one
  introduceResourceManager: { request: h.introduceResourceManager, reply: h.clusterView },

  // task executor -> leader; acknowledged after the record in etcd is known to be written
  registerTaskExecutor: {
    request: z.object({
      ...fenced,
      resourceId: p.resourceId,
      instanceId: p.instanceId,
      address: p.address,
      /** Name of the worker provider that started it; null when started by hand. */
      provider: z.string().max(64).nullable(),
      report: s.slotReport,
    }),
    /**
     * `knownBefore`: when this instance first registered, etcd held a record of this resource id, written for
     * another instance, or may have lost one, as in every generation above the first; a repeated registration is
     * answered the same, by whichever leader.
     */
    reply: z.object({ knownBefore: z.boolean() }),
  },
  // task executor -> leader, at its end
  disconnectTaskExecutor: {
    request: z.object({ ...fenced, resourceId: p.resourceId, instanceId: p.instanceId, reason: p.reason }),
    reply: empty,
  },
  // leader -> task executor; one under way at a time
  executeSlotCommands: {
    request: z.object({
      ...fenced,
      instanceId: p.instanceId,
      number: p.commandNumber,
      commands: p.list(s.slotCommand, 65_536),
    }),
    /** One result for each command, in order; nothing of the call is executed when it is answered by a problem. */
    reply: z.object({ results: p.list(s.slotCommandResult, 65_536) }),
  },

  // job master -> leader; acknowledged after the record in etcd is known to be written
  registerJobMaster: {
    /** `order`: what this process was answered last, by whichever leader; left out before that. */
    request: z.object({ ...fenced, ...jobMaster, order: p.registrationOrder.nullish() }),
    reply: z.object({ order: p.registrationOrder }),
  },
  // job master -> leader, at its end
  disconnectJobMaster: {
    request: z.object({ ...fenced, ...jobMaster, reason: p.reason }),
    reply: empty,
  },
  // job master -> leader
  requestSlots: {
    request: z.object({ ...fenced, ...jobMaster, requests: p.list(s.slotRequest, 10_000) }),
    reply: z.object({ results: perAllocation }),
  },
  // job master -> leader; unknown ids are answered as done
  cancelSlotRequests: {
    request: z.object({ ...fenced, ...jobMaster, allocationIds: p.list(p.allocationId, 10_000) }),
    reply: empty,
  },
  // job master -> leader: a grant it does not take, because it has one already or cannot reach the task executor
  rejectSlot: {
    request: z.object({
      ...fenced,
      ...jobMaster,
      allocationId: p.allocationId,
      slotId: p.slotId,
      grantNumber: p.grantNumber,
      reason: p.wordOf(['not-wanted', 'unreachable'], 'not-wanted'),
    }),
    reply: empty,
  },
  // job master -> leader, at the heartbeat interval; the answer names the requests to send again
  heartbeatJobMaster: {
    request: z.object({
      ...fenced,
      ...jobMaster,
      unfinished: p.list(p.allocationId, 65_536),
      held: p.list(p.allocationId, 65_536),
      /**
       * Where it holds leases but cannot reach the task executor; those that are elsewhere now are told of by
       * notifySlotsAllocated. Left out by whoever does not say.
       */
      unreachable: p.list(s.whereabouts, 1_000).nullish(),
    }),
    reply: z.object({ unknown: p.list(p.allocationId, 65_536) }),
  },
  // task executor -> leader, at the heartbeat interval; a gap is answered by requestSlotReport
  heartbeatTaskExecutor: {
    request: z.object({
      ...fenced,
      resourceId: p.resourceId,
      instanceId: p.instanceId,
      reportNumber: z.int().min(0),
    }),
    reply: empty,
  },
  // anyone -> anyone on a connection: is your loop alive? `serving` only from the confirmed, serving leader.
  ping: {
    /** From a worker: what it knows by now, as in its introduction. */
    request: z.object({ clusterId: p.clusterId.nullish(), highestToken: p.fencingToken.nullish() }),
    reply: z.object({
      /** A state of a newer version is not serving. */
      state: p.wordOf(['serving', 'suspended', 'standby', 'worker'], 'standby'),
      epoch: p.revision.nullable(),
    }),
  },

  // job master -> task executor: takes the slot into its hand; repeated with the same numbers it is answered the same
  claimSlot: {
    request: z.object({ ...jobMaster, order: p.registrationOrder, lease: s.leaseKey }),
    reply: z.object({ durationMs: p.durationMs }),
  },
  // job master -> task executor
  renewLeases: {
    request: z.object({ ...jobMaster, order: p.registrationOrder, leases: p.list(s.leaseKey, 65_536) }),
    reply: z.object({ durationMs: p.durationMs, results: perAllocation }),
  },
  // job master -> task executor; a lease that is not there (any more) is answered as released
  releaseLeases: {
    request: z.object({ ...jobMaster, leases: p.list(s.leaseKey, 65_536) }),
    reply: empty,
  },
} as const;

/** Messages without an answer; each may be lost with its connection. */
export const NOTIFICATIONS = {
  // resource manager -> every connection, at each change
  clusterViewChanged: h.clusterView,
  // new leader -> every task executor and job master; answered by registering, or by `fenced`
  notifyOfNewResourceManagerLeader: z.object({
    token: p.fencingToken,
    resourceManagerId: p.resourceManagerId,
    address: p.address,
    clusterId: p.clusterId,
  }),
  // task executor or job master -> resource manager that told it a token lower than its own
  fenced: z.object({ token: p.fencingToken }),
  // task executor -> leader, at each change
  reportSlots: z.object({
    ...fenced,
    resourceId: p.resourceId,
    instanceId: p.instanceId,
    report: s.slotReport,
  }),
  // leader -> task executor: a delta is missing, send a full one
  requestSlotReport: z.object({ ...fenced, instanceId: p.instanceId }),
  // leader -> job master: where its slots are; sent again while unclaimed
  notifySlotsAllocated: z.object({
    ...fenced,
    jobMasterId: p.jobMasterId,
    grants: p.list(s.slotGrant, 65_536),
  }),
  // leader -> job master: these will not be fulfilled
  failSlotRequests: z.object({
    ...fenced,
    jobMasterId: p.jobMasterId,
    failures: p.list(z.object({ allocationId: p.allocationId, problem }), 65_536),
  }),
  // leader -> job master: a hint to ask the task executor at once
  checkAllocations: z.object({
    ...fenced,
    jobMasterId: p.jobMasterId,
    allocationIds: p.list(p.allocationId, 65_536),
  }),
  // anyone: why the connection is about to be closed, or `SUPERSEDED`
  problem,
} as const;

export type RequestType = keyof typeof REQUESTS;
export type RequestBody<T extends RequestType> = z.infer<(typeof REQUESTS)[T]['request']>;
export type ReplyBody<T extends RequestType> = z.infer<(typeof REQUESTS)[T]['reply']>;
export type NotificationType = keyof typeof NOTIFICATIONS;
export type NotificationBody<T extends NotificationType> = z.infer<(typeof NOTIFICATIONS)[T]>;
