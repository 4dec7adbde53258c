import type { Response } from 'express';
import { QuartermasterError, type ProblemCode } from '../core/problem.ts';
import type { ResourceManagerView } from '../resourcemanager/operator-view.ts';
import { probeAnswer } from './answers.ts';
import { defineRoute, sendJson, type Route } from './route.ts';

const answer = { status: 200, kind: 'json', schema: probeAnswer } as const;

/** `/livez`, `/readyz` and `/leaderz` of a resource manager. */
export function probeRoutes(view: ResourceManagerView): Route[] {
  const holds = (response: Response): void => {
    const { resourceManagerId, state } = view.status();
    sendJson(response, 200, { resourceManagerId, state });
  };
  const demand = (held: boolean, response: Response, code: ProblemCode, what: string): void => {
    const { resourceManagerId, state, contradiction } = view.status();
    if (held) return holds(response);
    const why = contradiction === null ? '' : ` ${contradiction}`;
    throw new QuartermasterError({
      code,
      detail: `${resourceManagerId} is ${state === 'standby' ? 'a standby' : state}, not ${what}.${why}`,
    });
  };
  return [
    defineRoute({
      method: 'get',
      path: '/livez',
      operationId: 'livez',
      summary: '200 while the loop of the process turns',
      answer,
      handle: ({ response }) => holds(response),
    }),
    defineRoute({
      method: 'get',
      path: '/readyz',
      operationId: 'readyz',
      summary: '200 on the leader and on a standby that could take over',
      answer,
      problems: ['UNAVAILABLE'],
      handle: ({ response }) => demand(view.status().ready, response, 'UNAVAILABLE', 'ready'),
    }),
    defineRoute({
      method: 'get',
      path: '/leaderz',
      operationId: 'leaderz',
      summary: '200 on the confirmed, serving leader only',
      answer,
      problems: ['UNAVAILABLE', 'SUSPENDED'],
      handle: ({ response }) => {
        const { serving, state } = view.status();
        const code = state === 'suspended' ? 'SUSPENDED' : 'UNAVAILABLE';
        return demand(serving, response, code, 'the serving leader');
      },
    }),
  ];
}
