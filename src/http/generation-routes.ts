import { z } from 'zod';
import { generationPlanAnswer, newGenerationAnswer } from './answers.ts';
import {
  ORDER_DEADLINE_MS,
  READ_DEADLINE_MS,
  withDeadline,
  type OperatorContext,
} from './operator-context.ts';
import { defineRoute, sendJson, type Route } from './route.ts';

const order = z.strictObject({ generation: z.int().min(1).nullish() }).optional();

/** `/v1/new-generation`, answered by every resource manager: there may be no leader, and need not be one. */
export function generationRoutes({ operations, clock, logger }: OperatorContext): Route[] {
  return [
    defineRoute({
      method: 'get',
      path: '/v1/new-generation',
      operationId: 'planGeneration',
      summary: 'What declaring a new generation would do; changes nothing',
      answer: { status: 200, kind: 'json', schema: generationPlanAnswer },
      problems: ['UNAVAILABLE', 'NO_ANSWER'],
      handle: async ({ response }) => {
        const late = 'etcd did not answer in time.';
        sendJson(
          response,
          200,
          await withDeadline(clock, READ_DEADLINE_MS, late, operations.planGeneration()),
        );
      },
    }),
    defineRoute({
      method: 'post',
      path: '/v1/new-generation',
      operationId: 'declareGeneration',
      summary:
        'Says that etcd was wiped or restored; with the generation of a plan it may be repeated, and is done once',
      body: order,
      answer: { status: 202, kind: 'json', schema: newGenerationAnswer },
      problems: ['CONFLICT', 'UNAVAILABLE', 'STORE_FULL', 'NO_ANSWER', 'FORBIDDEN', 'TOO_LARGE'],
      handle: async ({ body, response }) => {
        const late = 'It is not known whether the new generation was declared.';
        const declared = operations.newGeneration(body?.generation ?? null);
        const { clusterId, generation } = await withDeadline(clock, ORDER_DEADLINE_MS, late, declared);
        logger.log('warn', 'operator-order-carried-out', { operationId: 'declareGeneration', generation });
        sendJson(response, 202, { accepted: true, clusterId, generation });
      },
    }),
  ];
}
