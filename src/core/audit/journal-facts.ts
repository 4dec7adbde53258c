import { z } from 'zod';
import type { FencingToken } from '../fencing-token.ts';
import * as p from '../messages/primitives.ts';

const written = { atMs: z.number() };
const tokenFields = { generation: p.generation, epoch: p.revision, leaderSessionId: p.leaderSessionId };
const place = {
  slotNumber: p.slotNumber,
  allocationId: p.allocationId,
  instanceId: p.instanceId,
  grantNumber: p.grantNumber,
};
const executor = { ...written, resourceId: p.resourceId, process: p.instanceId };
const lease = { ...place, jobId: p.jobId, jobMasterId: p.jobMasterId, durationMs: p.durationMs };
const master = { ...written, jobId: p.jobId, jobMasterId: p.jobMasterId };
const holding = { ...master, ...place, resourceId: p.resourceId };

const executorLine = z.discriminatedUnion('event', [
  z.object({
    event: z.literal('started'),
    ...executor,
    remembers: z.boolean(),
    slotsDieWithProcess: z.boolean(),
    generation: p.generation.nullable(),
    epoch: p.revision.nullable(),
    leaderSessionId: p.leaderSessionId.nullable(),
  }),
  z.object({ event: z.literal('token-adopted'), ...executor, ...tokenFields }),
  z.object({ event: z.enum(['grant', 'claim', 'renew', 'restore']), ...executor, ...lease, ...tokenFields }),
  z.object({ event: z.literal('end'), ...executor, ...lease, reason: z.string() }),
]);

const masterLine = z.discriminatedUnion('event', [
  z.object({ event: z.literal('token-adopted'), ...master, ...tokenFields }),
  z.object({ event: z.literal('slot-claimed'), ...holding, deadlineMs: z.number() }),
  z.object({ event: z.literal('lease-renewed'), ...holding, deadlineMs: z.number() }),
  z.object({ event: z.literal('lease-ended'), ...holding, reason: z.string() }),
]);

/** Events that are in journals for people, and that no rule needs. */
const executorOther = z.object({ event: z.literal('command-refused'), ...executor });
const executorAny = z.object({ event: z.string(), process: z.string() });
const masterOther = z.object({ event: z.string(), ...master });

/** Where a line stands. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** Where a line stands, and when it was written. */
export interface Written extends Place {
  /** Time of day of the write, in ms since 1970, by the clock of the writer's machine. */
  readonly wallMs: number;
}

/** A line of a task executor that rules look at. */
export type ExecutorFacts = Written & z.output<typeof executorLine>;
/** A line of a job master that rules look at. */
export type MasterFacts = Written & z.output<typeof masterLine>;

/** One line of a journal: of a task executor, of a job master, of no rule's interest, or of no known shape. */
export type JournalFacts =
  | { readonly of: 'executor'; readonly facts: ExecutorFacts }
  | { readonly of: 'master'; readonly facts: MasterFacts }
  | { readonly of: 'nobody' }
  | { readonly of: 'unknown' };

/** Tells what a line says; `value` is its JSON. */
export function journalFacts(value: unknown, where: Written): JournalFacts {
  // A line of a task executor names the job master of its lease, too.
  if (executorAny.safeParse(value).success) {
    const ofExecutor = executorLine.safeParse(value);
    if (ofExecutor.success) return { of: 'executor', facts: { ...ofExecutor.data, ...where } };
    return { of: executorOther.safeParse(value).success ? 'nobody' : 'unknown' };
  }
  const ofMaster = masterLine.safeParse(value);
  if (ofMaster.success) return { of: 'master', facts: { ...ofMaster.data, ...where } };
  const other = masterOther.safeParse(value);
  return { of: other.success && !RULED.has(other.data.event) ? 'nobody' : 'unknown' };
}

/** Events of job masters with rules: one of these that does not have the fields is damaged, not new. */
const RULED = new Set<string>(masterLine.options.map(({ shape: { event } }) => event.value));

/** The token that a line names. */
export function tokenOf({ generation, epoch, leaderSessionId }: FencingToken): FencingToken {
  return { generation, epoch, leaderSessionId };
}

/** The token that a process knew when it started; null for none. */
export function rememberedToken(line: Extract<ExecutorFacts, { event: 'started' }>): FencingToken | null {
  const { generation, epoch, leaderSessionId } = line;
  if (generation === null || epoch === null || leaderSessionId === null) return null;
  return { generation, epoch, leaderSessionId };
}

/** `file:line`. */
export function formatPlace({ file, line }: Place): string {
  return `${file}:${line}`;
}
