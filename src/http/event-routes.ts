import type { Request, Response } from 'express';
import { QuartermasterError } from '../core/problem.ts';
import type { ClusterEvent, Subscription } from '../resourcemanager/operator-view.ts';
import { eventData } from './answers.ts';
import type { EventStream } from './event-stream.ts';
import { relayQuery } from './listing-routes.ts';
import { leads, notLeading, type OperatorContext } from './operator-context.ts';
import { defineRoute, type Route } from './route.ts';

/** `/v1/events`: what happens in the cluster, told by the leader for as long as it leads. */
export function eventRoutes(context: OperatorContext): Route[] {
  const { view, relay } = context;
  return [
    defineRoute({
      method: 'get',
      path: '/v1/events',
      operationId: 'watchEvents',
      summary: 'Leadership, registrations, allocations and failures, each as it happens',
      query: relayQuery,
      answer: {
        status: 200,
        kind: 'events',
        events: {
          leadership: eventData,
          registration: eventData,
          allocation: eventData,
          failure: eventData,
        },
      },
      problems: ['NOT_LEADER', 'NO_LEADER', 'OVERLOADED', 'NO_ANSWER'],
      handle: async ({ request, response }) => {
        if (leads(view.status())) return streamEvents(context, request, response);
        const problem = notLeading(view);
        if (problem.leader === null || problem.leader === undefined || !relay.wanted(request)) {
          throw new QuartermasterError(problem);
        }
        await relay.pass(request, response, problem.leader);
      },
    }),
  ];
}

/** Ends once this process leads no more, so that the client asks again and finds who does. */
function streamEvents({ view, streams, clock }: OperatorContext, request: Request, response: Response): void {
  const { resourceManagerId } = view.status();
  const subscriptions: Subscription[] = [];
  let ended = false;
  const stream: EventStream = streams.open(response, () => {
    ended = true;
    for (const subscription of subscriptions) subscription.cancel();
  });
  const keep = (subscription: Subscription): void => {
    if (ended) subscription.cancel();
    else subscriptions.push(subscription);
  };
  const onEvent = (event: ClusterEvent): void => {
    const { id, at, kind, event: name, fields } = event;
    stream.send(kind, { id, at, kind, event: name, fields }, `${resourceManagerId}/${id}`);
  };
  keep(view.watchEvents(resumeAfter(request, resourceManagerId), onEvent));
  keep(
    view.watchLeader(() => {
      clock.schedule(0, () => {
        if (!leads(view.status())) stream.end();
      });
    }),
  );
}

/** The event after which a client goes on that comes back to the same process; whatever else it says means "from now on". */
function resumeAfter(request: Request, resourceManagerId: string): number | null {
  const last = request.headers['last-event-id'];
  if (typeof last !== 'string' || !last.startsWith(`${resourceManagerId}/`)) return null;
  const id = last.slice(resourceManagerId.length + 1);
  return /^\d{1,15}$/.test(id) ? Number(id) : null;
}
