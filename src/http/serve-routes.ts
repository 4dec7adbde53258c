import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import type { Problem } from '../core/problem.ts';
import type { Logger } from '../runtime/logger.ts';
import { problemOf, sendProblem } from './problem-details.ts';
import type { Route } from './route.ts';

/** A longer body is refused with `TOO_LARGE`: the largest order has a few hundred bytes. */
const MAX_BODY_BYTES = 64 * 1024;

/**
 * An express application of these routes. Whatever comes in, it answers, and every failure leaves as a problem:
 * an unknown route, a method that the route does not take, a body that is no JSON or too large, a foreign web
 * page that gives orders through somebody's browser, and an error of a handler.
 */
export function serveRoutes(routes: readonly Route[], logger: Logger): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('case sensitive routing', true);
  app.use(noStore, refuseForeignOrigin, refuseForeignBody);
  app.use(express.json({ limit: MAX_BODY_BYTES, strict: false, type: 'application/json' }));
  for (const [path, ofPath] of byPath(routes)) {
    const expressRoute = app.route(expressPath(path));
    for (const { method, serve } of ofPath) {
      expressRoute[method]((request, response) => serve(request, response));
    }
    expressRoute.all(wrongMethod(ofPath));
  }
  app.use((request, response) => {
    const detail = `There is no ${request.path.slice(0, 200)} here; /openapi.json lists what there is.`;
    sendProblem(response, { code: 'NOT_FOUND', detail });
  });
  app.use(problemHandler(logger));
  return app;
}

/** `/v1/task-executors/{id}` as express writes it. */
function expressPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

function byPath(routes: readonly Route[]): Map<string, Route[]> {
  const paths = new Map<string, Route[]>();
  for (const route of routes) paths.set(route.path, [...(paths.get(route.path) ?? []), route]);
  return paths;
}

const noStore: RequestHandler = (_request, response, next) => {
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  next();
};

/** An order that a page of another origin gives is not the operator's. */
const refuseForeignOrigin: RequestHandler = (request, response, next) => {
  const { origin, host } = request.headers;
  const safe = request.method === 'GET' || request.method === 'HEAD';
  if (safe || origin === undefined || origin === `http://${host}` || origin === `https://${host}`) {
    return next();
  }
  const detail = 'Orders from web pages of another origin are refused.';
  sendProblem(response, { code: 'FORBIDDEN', detail });
};

const refuseForeignBody: RequestHandler = (request, response, next) => {
  const { 'transfer-encoding': chunked, 'content-length': length = '0' } = request.headers;
  if ((chunked === undefined && length === '0') || request.is('application/json') === 'application/json') {
    return next();
  }
  sendProblem(response, {
    code: 'INVALID',
    detail: 'A body must be application/json.',
    fields: [{ field: 'content-type', detail: 'must be application/json' }],
  });
};

function wrongMethod(routes: readonly Route[]): RequestHandler {
  const methods = routes.flatMap((route) => (route.method === 'get' ? ['GET', 'HEAD'] : [route.method]));
  const allow = methods.map((method) => method.toUpperCase()).join(', ');
  return (request, response) => {
    response.setHeader('Allow', allow);
    const detail = `${request.method} is not taken here; ${allow} is.`;
    sendProblem(response, { code: 'METHOD_NOT_ALLOWED', detail });
  };
}

function problemHandler(logger: Logger): ErrorRequestHandler {
  return (error: unknown, _request, response, _next) => {
    const problem: Problem = problemOf(error, logger);
    sendProblem(response, problem);
  };
}
