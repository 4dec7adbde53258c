import { z } from 'zod';
import { PROBLEM_CODES, type ProblemCode } from '../core/problem.ts';
import { ANSWERS, problemAnswer } from './answers.ts';
import { PROBLEM_MEDIA_TYPE } from './problem-details.ts';
import { defineRoute, sendJson, type Route } from './route.ts';

/** A JSON object of the document. */
export type Json = Record<string, unknown>;

const POINTER = '#/components/schemas/';

/** Who serves the routes, for the head of the document. */
export interface DocumentInfo {
  readonly title: string;
  readonly version: string;
  readonly description: string;
}

/** The routes and `/openapi.json` with them, which describes itself too. */
export function withOpenApiRoute(info: DocumentInfo, routes: readonly Route[]): Route[] {
  const all: Route[] = [
    ...routes,
    defineRoute({
      method: 'get',
      path: '/openapi.json',
      operationId: 'getOpenApi',
      summary: 'This document',
      answer: { status: 200, kind: 'document' },
      handle: ({ response }) => sendJson(response, 200, document),
    }),
  ];
  const document = openApiDocument(info, all);
  return all;
}

/** The OpenAPI 3.1 document of these routes, made of the same schemas that judge what comes in. */
function openApiDocument(info: DocumentInfo, routes: readonly Route[]): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: operation(route) };
  }
  return {
    openapi: '3.1.1',
    info: { ...info, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    paths,
    components: { schemas: componentSchemas() },
  };
}

function operation(route: Route): Json {
  const { operationId, summary, body } = route;
  const parameters = [...parametersIn('path', route.params), ...parametersIn('query', route.query)];
  return {
    operationId,
    summary,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body === null
      ? {}
      : { requestBody: { required: false, content: { 'application/json': { schema: inline(body) } } } }),
    responses: { [String(route.answer.status)]: answerOf(route), ...problemsOf(route) },
  };
}

function parametersIn(place: 'path' | 'query', schema: z.ZodObject): Json[] {
  return Object.entries(schema.shape).map(([name, field]) => ({
    name,
    in: place,
    required: place === 'path',
    schema: inline(field as z.ZodType),
  }));
}

function answerOf({ answer, summary }: Route): Json {
  switch (answer.kind) {
    case 'json':
      return {
        description: ANSWERS.get(answer.schema)?.description ?? summary,
        content: { 'application/json': { schema: reference(answer.schema) } },
      };
    case 'document':
      return { description: summary, content: { 'application/json': { schema: { type: 'object' } } } };
    case 'events': {
      const events = Object.entries(answer.events).map(([name, schema]) => [name, reference(schema)]);
      return {
        description: 'Server-sent events; the data of each is one line of JSON. Comments keep it alive.',
        content: {
          'text/event-stream': { schema: { type: 'string' }, 'x-events': Object.fromEntries(events) as Json },
        },
      };
    }
  }
}

function problemsOf(route: Route): Json {
  const codes: ProblemCode[] = ['INVALID', ...route.problems, 'INTERNAL'];
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of codes) {
    const { status } = PROBLEM_CODES[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const responses: Json = {};
  for (const [status, ofStatus] of [...byStatus].toSorted(([a], [b]) => a - b)) {
    responses[String(status)] = {
      description: ofStatus.map((code) => `\`${code}\`: ${PROBLEM_CODES[code].title}`).join('. '),
      content: { [PROBLEM_MEDIA_TYPE]: { schema: reference(problemAnswer) } },
    };
  }
  return responses;
}

function reference(schema: z.ZodType): Json {
  const id = ANSWERS.get(schema)?.id;
  if (id === undefined) throw new Error('an answer has no name in the document');
  return { $ref: `${POINTER}${id}` };
}

function inline(schema: z.ZodType): Json {
  return withoutHead(z.toJSONSchema(schema, { io: 'input' }) as Json);
}

function componentSchemas(): Json {
  const { schemas } = z.toJSONSchema(ANSWERS, { io: 'input', uri: (id) => `${POINTER}${id}` });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, withoutHead(schema as Json)]));
}

/** The document names dialect and place of a schema once, for all of them. */
function withoutHead(schema: Json): Json {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id'));
}
