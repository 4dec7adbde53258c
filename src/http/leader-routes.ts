import { QuartermasterError } from '../core/problem.ts';
import { nobodyLeads } from '../resourcemanager/leader-watch.ts';
import type { LeaderView, Subscription } from '../resourcemanager/operator-view.ts';
import { leaderAnswer, noLeaderData } from './answers.ts';
import type { OperatorContext } from './operator-context.ts';
import { defineRoute, sendJson, type Route } from './route.ts';

/** `/v1/leader` and `/v1/leader/watch`, answered by every resource manager from what it knows itself. */
export function leaderRoutes({ view, streams }: OperatorContext): Route[] {
  return [
    defineRoute({
      method: 'get',
      path: '/v1/leader',
      operationId: 'getLeader',
      summary: 'The confirmed leader, as this resource manager knows it',
      answer: { status: 200, kind: 'json', schema: leaderAnswer },
      problems: ['NO_LEADER'],
      handle: ({ response }) => {
        const leader = view.leader();
        if (leader === null) {
          const { contradiction, storeFull } = view.status();
          throw new QuartermasterError({
            code: 'NO_LEADER',
            detail: contradiction ?? nobodyLeads(storeFull),
          });
        }
        sendJson(response, 200, leaderFields(leader));
      },
    }),
    defineRoute({
      method: 'get',
      path: '/v1/leader/watch',
      operationId: 'watchLeader',
      summary: 'The present leader first, then one event for each change; `no-leader` when there is none',
      answer: {
        status: 200,
        kind: 'events',
        events: { leader: leaderAnswer, 'no-leader': noLeaderData },
      },
      problems: ['OVERLOADED'],
      handle: ({ response }) => {
        let subscription: Subscription | null = null;
        const stream = streams.open(response, () => subscription?.cancel());
        subscription = view.watchLeader((leader) => {
          if (leader === null) stream.send('no-leader', null);
          else stream.send('leader', leaderFields(leader));
        });
      },
    }),
  ];
}

/** Just the contract's fields, whatever else the view's object may carry. */
function leaderFields(leader: LeaderView): LeaderView {
  const { resourceManagerId, address, leaderSessionId, generation, epoch } = leader;
  return { resourceManagerId, address, leaderSessionId, generation, epoch };
}
