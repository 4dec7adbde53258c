import type { Request, Response } from 'express';
import { z } from 'zod';
import { QuartermasterError } from '../core/problem.ts';
import type { HistoryRow, Page, PageRequest } from '../resourcemanager/operator-view.ts';
import {
  historyAnswer,
  jobMastersAnswer,
  overviewAnswer,
  slotsAnswer,
  taskExecutorsAnswer,
} from './answers.ts';
import { READ_DEADLINE_MS, withDeadline, type OperatorContext } from './operator-context.ts';
import { defineRoute, sendJson, type Route } from './route.ts';

const DEFAULT_LIMIT = 100;
const MOST_ROWS = 1_000;

/** `relay=true`: a standby passes the read on to the leader instead of answering `NOT_LEADER`. */
export const relayQuery = z.object({ relay: z.enum(['true', 'false']).optional() });

const pageQuery = relayQuery.extend({
  limit: z
    .string()
    .regex(/^[1-9]\d{0,3}$/, `must be 1 to ${MOST_ROWS}`)
    .transform(Number)
    .refine((limit) => limit <= MOST_ROWS, `must be 1 to ${MOST_ROWS}`)
    .optional(),
  after: z.string().min(1).max(300).optional(),
});

const readProblems = ['NOT_LEADER', 'NO_LEADER', 'SUSPENDED', 'UNAVAILABLE', 'NO_ANSWER'] as const;

/** `/v1/overview` and the paged listings: the leader's books, which a standby can only pass on. */
export function listingRoutes(context: OperatorContext): Route[] {
  const { view } = context;
  const listing = <Row>(
    path: string,
    operationId: string,
    summary: string,
    schema: z.ZodType,
    read: (page: PageRequest) => Promise<Page<Row>>,
    answerOf: (rows: readonly Row[]) => Record<string, unknown>,
  ): Route =>
    defineRoute({
      method: 'get',
      path,
      operationId,
      summary,
      problems: readProblems,
      query: pageQuery,
      answer: { status: 200, kind: 'json', schema },
      handle: ({ query, request, response }) =>
        readOrRelay(context, request, response, async () => {
          const page = await read({ limit: query.limit ?? DEFAULT_LIMIT, after: query.after ?? null });
          return { ...answerOf(page.rows), next: page.next };
        }),
    });
  return [
    defineRoute({
      method: 'get',
      path: '/v1/overview',
      operationId: 'getOverview',
      summary: 'The cluster in numbers',
      query: relayQuery,
      answer: { status: 200, kind: 'json', schema: overviewAnswer },
      problems: readProblems,
      handle: ({ request, response }) => readOrRelay(context, request, response, () => view.overview()),
    }),
    listing(
      '/v1/slots',
      'listSlots',
      'Every slot and what it holds',
      slotsAnswer,
      (page) => view.slots(page),
      (slots) => ({ slots }),
    ),
    listing(
      '/v1/task-executors',
      'listTaskExecutors',
      'Every task executor',
      taskExecutorsAnswer,
      (page) => view.taskExecutors(page),
      (taskExecutors) => ({ taskExecutors }),
    ),
    listing(
      '/v1/job-masters',
      'listJobMasters',
      'Every job master',
      jobMastersAnswer,
      (page) => view.jobMasters(page),
      (jobMasters) => ({ jobMasters }),
    ),
    listing(
      '/v1/history',
      'listHistory',
      'The terms of office, the newest first; a standby answers it too while nobody leads',
      historyAnswer,
      (page) => view.history(page),
      (rows) => ({ history: rows.map(historyFields) }),
    ),
  ];
}

/** The row's own numbers stand above whatever the record in etcd says under the same names. */
function historyFields({ record, generation, epoch, createRevision, modRevision }: HistoryRow): unknown {
  return { ...record, generation, epoch, createRevision, modRevision };
}

/** Answers with what `read` resolves to, or lets the leader answer when the caller allows it. */
async function readOrRelay(
  { clock, relay }: OperatorContext,
  request: Request,
  response: Response,
  read: () => Promise<unknown>,
): Promise<void> {
  let value: unknown;
  try {
    value = await withDeadline(clock, READ_DEADLINE_MS, 'The read took too long.', read());
  } catch (error) {
    const leader = error instanceof QuartermasterError ? error.problem.leader : null;
    const elsewhere = error instanceof QuartermasterError && error.code === 'NOT_LEADER';
    if (!elsewhere || leader === null || leader === undefined || !relay.wanted(request)) throw error;
    return relay.pass(request, response, leader);
  }
  sendJson(response, 200, value);
}
