import { nobodyLeads } from '../resourcemanager/leader-watch.ts';
import { QuartermasterError, type Problem } from '../core/problem.ts';
import type {
  ResourceManagerOperations,
  ResourceManagerStatus,
  ResourceManagerView,
} from '../resourcemanager/operator-view.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { EventStreams } from './event-stream.ts';
import type { Relay } from './relay.ts';

/** What the operator's routes work with. */
export interface OperatorContext {
  readonly view: ResourceManagerView;
  readonly operations: ResourceManagerOperations;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly streams: EventStreams;
  readonly relay: Relay;
}

/** How long a read may take inside before the caller is answered `NO_ANSWER`, in milliseconds. */
export const READ_DEADLINE_MS = 5_000;
/** As for a read; an order that takes longer may still be carried out, and its answer says so. */
export const ORDER_DEADLINE_MS = 20_000;

/** Whether this process has a confirmed term, serving or being checked. */
export function leads(status: ResourceManagerStatus): boolean {
  return status.state === 'serving' || status.state === 'suspended';
}

/** What a resource manager that does not lead answers, with the leader's place when it is known. */
export function notLeading(view: ResourceManagerView): Problem {
  const leader = view.leader();
  const { resourceManagerId, contradiction, storeFull } = view.status();
  if (leader === null || leader.resourceManagerId === resourceManagerId) {
    return { code: 'NO_LEADER', detail: contradiction ?? nobodyLeads(storeFull) };
  }
  return {
    code: 'NOT_LEADER',
    detail: `${leader.resourceManagerId} leads, at ${leader.address}.`,
    leader: { resourceManagerId: leader.resourceManagerId, address: leader.address },
  };
}

/** The promise, or `NO_ANSWER` with that text once the time is over. */
export function withDeadline<T>(
  clock: Clock,
  deadlineMs: number,
  detail: string,
  promise: Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(deadlineMs, () => {
      reject(new QuartermasterError({ code: 'NO_ANSWER', detail }));
    });
    promise.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error as Error);
      },
    );
  });
}
