import type { Express } from 'express';
import type { ResourceId } from '../core/ids.ts';
import type { Logger } from '../runtime/logger.ts';
import { probeAnswer } from './answers.ts';
import { withOpenApiRoute } from './openapi.ts';
import { defineRoute, sendJson, type Route } from './route.ts';
import { serveRoutes } from './serve-routes.ts';

export interface WorkerAppOptions {
  readonly resourceId: ResourceId;
  readonly version: string;
  /** What the task executor says of itself, in a word. */
  readonly state: () => string;
  readonly logger: Logger;
}

/** The HTTP of one task executor, without a listener. */
export function createWorkerApp(options: WorkerAppOptions): Express {
  return serveRoutes(workerRoutes(options), options.logger);
}

/** Every route of a task executor. */
function workerRoutes({ resourceId, version, state }: WorkerAppOptions): Route[] {
  const info = {
    title: 'Quartermaster task executor',
    version,
    description: 'What a supervisor may ask of a task executor.',
  };
  return withOpenApiRoute(info, [
    defineRoute({
      method: 'get',
      path: '/livez',
      operationId: 'livez',
      summary: '200 while the loop of the process turns',
      answer: { status: 200, kind: 'json', schema: probeAnswer },
      handle: ({ response }) => sendJson(response, 200, { resourceId, state: state() }),
    }),
  ]);
}
