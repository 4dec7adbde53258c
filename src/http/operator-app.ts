import type { Express } from 'express';
import type { ResourceManagerOperations, ResourceManagerView } from '../resourcemanager/operator-view.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { eventRoutes } from './event-routes.ts';
import { EventStreams } from './event-stream.ts';
import { leaderRoutes } from './leader-routes.ts';
import { listingRoutes } from './listing-routes.ts';
import { withOpenApiRoute } from './openapi.ts';
import type { OperatorContext } from './operator-context.ts';
import { generationRoutes } from './generation-routes.ts';
import { orderRoutes } from './order-routes.ts';
import { probeRoutes } from './probe-routes.ts';
import { Relay } from './relay.ts';
import type { Route } from './route.ts';
import { serveRoutes } from './serve-routes.ts';

export interface OperatorAppOptions {
  readonly view: ResourceManagerView;
  readonly operations: ResourceManagerOperations;
  readonly clock: Clock;
  readonly logger: Logger;
  /** To end the streams before the server closes, or to set other bounds; one of its own when absent. */
  readonly streams?: EventStreams;
}

/** The operator's HTTP of one resource manager, without a listener: the caller brings the server. */
export function createOperatorApp(options: OperatorAppOptions): Express {
  return serveRoutes(operatorRoutes(options), options.logger);
}

/** Every route of a resource manager, in the order in which they are described. */
export function operatorRoutes(options: OperatorAppOptions): Route[] {
  const { view, operations, clock, logger } = options;
  const streams = options.streams ?? new EventStreams(clock);
  const { resourceManagerId, version } = view.status();
  const relay = new Relay(resourceManagerId, clock, streams);
  const context: OperatorContext = { view, operations, clock, logger, streams, relay };
  const info = {
    title: 'Quartermaster resource manager',
    version,
    description:
      'What an operator may ask and order. Every failure is a problem (RFC 9457) with a stable code.',
  };
  return withOpenApiRoute(info, [
    ...probeRoutes(view),
    ...leaderRoutes(context),
    ...listingRoutes(context),
    ...eventRoutes(context),
    ...orderRoutes(context),
    ...generationRoutes(context),
  ]);
}
