import type { Request, Response } from 'express';
import { z } from 'zod';
import type { ProblemCode } from '../core/problem.ts';
import { parse, toJson } from '../rpc/wire-format.ts';

/** What a route answers with when all goes well. */
export type Answer =
  | { readonly status: 200 | 202; readonly kind: 'json'; readonly schema: z.ZodType }
  /** Server-sent events: the name of each with the schema of its data. */
  | { readonly status: 200; readonly kind: 'events'; readonly events: Readonly<Record<string, z.ZodType>> }
  /** JSON of a form that is described elsewhere. */
  | { readonly status: 200; readonly kind: 'document' };

/** One route: how express serves it and what the OpenAPI document says of it. */
export interface Route {
  readonly method: 'get' | 'post' | 'delete';
  /** With parameters in OpenAPI's form: `/v1/task-executors/{id}`. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  /** Null when the route takes no body. */
  readonly body: z.ZodType | null;
  readonly answer: Answer;
  /** What it may answer besides `INVALID` and `INTERNAL`. */
  readonly problems: readonly ProblemCode[];
  readonly serve: (request: Request, response: Response) => void | Promise<void>;
}

/** A route as its author writes it: the handler gets parameters, query and body as its schemas read them. */
export interface RouteDefinition<
  Params extends z.ZodObject,
  Query extends z.ZodObject,
  Body extends z.ZodType,
> extends Partial<Pick<Route, 'problems'>>,
    Pick<Route, 'method' | 'path' | 'operationId' | 'summary' | 'answer'> {
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  readonly handle: (input: {
    readonly params: z.output<Params>;
    readonly query: z.output<Query>;
    readonly body: z.output<Body>;
    readonly request: Request;
    readonly response: Response;
  }) => void | Promise<void>;
}

/** Makes a route that refuses wrong and unknown parameters and a wrong body with `INVALID` before its handler runs. */
export function defineRoute<
  Params extends z.ZodObject = z.ZodObject<Record<never, never>>,
  Query extends z.ZodObject = z.ZodObject<Record<never, never>>,
  Body extends z.ZodType = z.ZodUnknown,
>(definition: RouteDefinition<Params, Query, Body>): Route {
  const { handle, method, path, operationId, summary, answer, problems = [] } = definition;
  const params: z.ZodObject = definition.params ?? z.object({});
  const query: z.ZodObject = definition.query ?? z.object({});
  const strictQuery = query.strict();
  const body: z.ZodType | null = definition.body ?? null;
  return {
    method,
    path,
    operationId,
    summary,
    answer,
    problems,
    params,
    query,
    body,
    serve: (request, response) =>
      handle({
        params: parse(params, request.params, 'The path') as z.output<Params>,
        query: parse(strictQuery, request.query, 'The query') as z.output<Query>,
        body: parse(body ?? z.unknown(), request.body, 'The body') as z.output<Body>,
        request,
        response,
      }),
  };
}

/** Answers with JSON in which bigints are decimal strings. */
export function sendJson(response: Response, status: number, value: unknown): void {
  response.status(status).setHeader('Content-Type', 'application/json; charset=utf-8');
  response.end(toJson(value));
}
