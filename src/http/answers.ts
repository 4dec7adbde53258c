import { z } from 'zod';
import { PROBLEM_CODES, type ProblemCode } from '../core/problem.ts';

/**
 * The JSON that leaves over HTTP, schema by schema: the one source of the OpenAPI document, and what the tests
 * hold real answers against. Fields may be added to an answer, never taken away.
 */
export const ANSWERS = z.registry<{ id: string; description: string }>();

function named<Schema extends z.ZodType>(id: string, description: string, schema: Schema): Schema {
  ANSWERS.add(schema, { id, description });
  return schema;
}

const decimal = z.string().regex(/^\d{1,19}$/);
const count = z.int().min(0);
const name = z.string().min(1);
const codes = Object.keys(PROBLEM_CODES) as [ProblemCode, ...ProblemCode[]];
const state = z.enum(['starting', 'standby', 'confirming', 'serving', 'suspended', 'stopping']);

export const problemAnswer = named(
  'Problem',
  'What went wrong (RFC 9457). Programs look at `code`.',
  z.object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.enum(codes),
    detail: z.string(),
    fields: z.array(z.object({ field: z.string(), detail: z.string() })).optional(),
    leader: z.object({ resourceManagerId: name, address: name }).nullable().optional(),
    token: z.object({ generation: count, epoch: decimal, leaderSessionId: name }).optional(),
    retryAfterMs: z.number().optional(),
  }),
);

export const probeAnswer = named(
  'Probe',
  'The probe holds.',
  z.object({ resourceManagerId: name.optional(), resourceId: name.optional(), state: z.string() }),
);

export const acceptedAnswer = named(
  'Accepted',
  'The order was carried out or will be.',
  z.object({ accepted: z.literal(true) }),
);

const identity = named(
  'Identity',
  'What tells one cluster from another, and one wipe of etcd from the next.',
  z.object({ clusterId: name, generation: count }),
);

export const generationPlanAnswer = named(
  'GenerationPlan',
  'What declaring a new generation would do, as this resource manager sees etcd and its workers.',
  z.object({
    present: identity.nullable(),
    identity,
    informedWorkers: count,
    contradictingWorkers: count,
    contradiction: z.string().nullable(),
  }),
);

export const newGenerationAnswer = named(
  'NewGeneration',
  'The generation stands in etcd.',
  z.object({ accepted: z.literal(true), clusterId: name, generation: count }),
);

export const leaderAnswer = named(
  'Leader',
  'The confirmed leader and the token under which it commands.',
  z.object({
    resourceManagerId: name,
    address: name,
    leaderSessionId: name,
    generation: count,
    epoch: decimal,
  }),
);

const profile = named(
  'ResourceProfile',
  'What a slot offers: processor cores, memory, and named amounts.',
  z.object({
    cpuCores: z.number(),
    memoryMB: count,
    extended: z.record(z.string(), z.number()),
  }),
);

const standby = named(
  'Standby',
  'Another candidate, as the leader sees it.',
  z.object({
    resourceManagerId: name,
    address: name,
    version: z.string(),
    connected: z.boolean(),
    ready: z.boolean(),
  }),
);

export const overviewAnswer = named(
  'Overview',
  'The cluster in numbers.',
  z.object({
    role: z.enum(['leader', 'standby']),
    state,
    leader: leaderAnswer,
    standbys: z.array(standby),
    taskExecutors: count,
    slots: z.object({
      total: count,
      free: count,
      requested: count,
      allocated: count,
      quarantined: count,
      unknown: count,
    }),
    pendingRequests: count,
    jobMasters: count,
    storeFull: z.boolean().default(false),
    recovery: z
      .object({
        silentTaskExecutors: count,
        expectedTaskExecutors: count,
        braked: z.boolean(),
        remainingMs: z.number(),
      })
      .nullable(),
  }),
);

const slot = named(
  'Slot',
  'One slot in the books of the leader.',
  z.object({
    resourceId: name,
    slotNumber: count,
    state: z.enum(['free', 'requested', 'allocated', 'quarantined', 'unknown']),
    allocationId: name.nullable(),
    jobId: name.nullable(),
    jobMasterId: name.nullable(),
    grantNumber: count.nullable(),
    profile,
    beingFreed: z.boolean(),
  }),
);

const taskExecutor = named(
  'TaskExecutor',
  'One task executor in the books of the leader.',
  z.object({
    resourceId: name,
    instanceId: name.nullable(),
    address: name.nullable(),
    state: z.enum(['expected', 'registered', 'unreachable', 'ahead']),
    connected: z.boolean(),
    draining: z.boolean(),
    provider: z.string().nullable(),
    slots: count,
    freeSlots: count,
    silentForMs: z.number().nullable(),
  }),
);

const jobMaster = named(
  'JobMaster',
  'One job master in the books of the leader.',
  z.object({
    jobId: name,
    jobMasterId: name,
    state: z.enum(['expected', 'registered', 'unreachable']),
    connected: z.boolean(),
    allocatedSlots: count,
    silentForMs: z.number().nullable(),
  }),
);

const historyRow = named(
  'HistoryRow',
  'One term of office with what etcd holds of it: `resourceManagerId`, `leaderSessionId`, `confirmedAt`, ' +
    '`neverConfirmed` and `ended` (`at`, `reason`, `evidence`, `by`, and of one that was deposed `lastServingAt`; null while it is not known to have ended).',
  z.looseObject({
    generation: count,
    epoch: decimal,
    createRevision: decimal,
    modRevision: decimal,
  }),
);

const next = z.string().nullable();
export const slotsAnswer = named('Slots', 'One page of slots.', z.object({ slots: z.array(slot), next }));
export const taskExecutorsAnswer = named(
  'TaskExecutors',
  'One page of task executors.',
  z.object({ taskExecutors: z.array(taskExecutor), next }),
);
export const jobMastersAnswer = named(
  'JobMasters',
  'One page of job masters.',
  z.object({ jobMasters: z.array(jobMaster), next }),
);
export const historyAnswer = named(
  'History',
  'One page of terms, the newest first.',
  z.object({ history: z.array(historyRow), next }),
);

export const eventData = named(
  'ClusterEvent',
  'Something that happened, as the resource manager that tells it saw it.',
  z.object({
    id: count,
    at: z.string(),
    kind: z.enum(['leadership', 'registration', 'allocation', 'failure']),
    event: z.string(),
    fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  }),
);

export const noLeaderData = named('NoLeader', 'Nobody leads.', z.null());
