import type { Response } from 'express';
import { z } from 'zod';
import { jobId, resourceId, resourceManagerId } from '../core/messages/primitives.ts';
import type { ProblemCode } from '../core/problem.ts';
import { acceptedAnswer } from './answers.ts';
import { ORDER_DEADLINE_MS, withDeadline, type OperatorContext } from './operator-context.ts';
import { defineRoute, sendJson, type Route } from './route.ts';

const answer = { status: 202, kind: 'json', schema: acceptedAnswer } as const;
const problems = ['NOT_LEADER', 'NO_LEADER', 'SUSPENDED', 'UNAVAILABLE', 'NO_ANSWER', 'FORBIDDEN'] as const;

const stepDownOrder = z
  .strictObject({
    to: resourceManagerId.nullish(),
    reason: z.string().min(1).max(300).optional(),
  })
  .optional();

const taskExecutor = z.object({ id: resourceId });
const jobMaster = z.object({ id: jobId });

/** An order about one task executor or job master, named in the path. */
interface NamedOrder<Named extends z.ZodObject>
  extends Pick<Route, 'method' | 'path' | 'operationId' | 'summary'> {
  readonly params: Named;
  readonly unknown: ProblemCode;
  readonly order: (named: z.output<Named>) => Promise<void>;
}

/** What an operator may order of the leader; a standby passes no order on, it says who leads. */
export function orderRoutes(context: OperatorContext): Route[] {
  const { operations } = context;
  return [
    stepDownRoute(context),
    namedOrderRoute(context, {
      method: 'post',
      path: '/v1/task-executors/{id}/drain',
      operationId: 'drainTaskExecutor',
      summary: 'No new slots from this task executor',
      params: taskExecutor,
      unknown: 'UNKNOWN_TASK_EXECUTOR',
      order: ({ id }) => operations.drain(id, true),
    }),
    namedOrderRoute(context, {
      method: 'post',
      path: '/v1/task-executors/{id}/undrain',
      operationId: 'undrainTaskExecutor',
      summary: 'New slots from this task executor again',
      params: taskExecutor,
      unknown: 'UNKNOWN_TASK_EXECUTOR',
      order: ({ id }) => operations.drain(id, false),
    }),
    namedOrderRoute(context, {
      method: 'delete',
      path: '/v1/task-executors/{id}',
      operationId: 'forgetTaskExecutor',
      summary: 'Removes a task executor from the books; one that lives registers again',
      params: taskExecutor,
      unknown: 'UNKNOWN_TASK_EXECUTOR',
      order: ({ id }) => operations.forgetTaskExecutor(id),
    }),
    namedOrderRoute(context, {
      method: 'delete',
      path: '/v1/job-masters/{id}',
      operationId: 'forgetJobMaster',
      summary: 'Removes a job master from the books; one that lives registers again',
      params: jobMaster,
      unknown: 'UNKNOWN_JOB_MASTER',
      order: ({ id }) => operations.forgetJobMaster(id),
    }),
  ];
}

function stepDownRoute(context: OperatorContext): Route {
  return defineRoute({
    method: 'post',
    path: '/v1/step-down',
    operationId: 'stepDown',
    summary: 'The leader hands leadership over, to the candidate named if one is',
    body: stepDownOrder,
    answer,
    problems: [...problems, 'CONFLICT', 'STORE_FULL', 'UNSUPPORTED_VERSION', 'TOO_LARGE'],
    handle: ({ body, response }) => {
      const to = body?.to ?? null;
      const reason = body?.reason ?? 'asked by an operator';
      return carryOut(context, response, 'stepDown', context.operations.stepDown({ to, reason }));
    },
  });
}

function namedOrderRoute<Named extends z.ZodObject>(
  context: OperatorContext,
  named: NamedOrder<Named>,
): Route {
  const { method, path, operationId, summary, params, unknown, order } = named;
  return defineRoute({
    method,
    path,
    operationId,
    summary,
    answer,
    problems: [...problems, unknown],
    params,
    handle: (input) => carryOut(context, input.response, operationId, order(input.params)),
  });
}

async function carryOut(
  { clock, logger }: OperatorContext,
  response: Response,
  operationId: string,
  order: Promise<void>,
): Promise<void> {
  const late = 'The order took too long; it may still be carried out.';
  await withDeadline(clock, ORDER_DEADLINE_MS, late, order);
  logger.log('info', 'operator-order-carried-out', { operationId, path: response.req.path });
  sendJson(response, 202, { accepted: true });
}
