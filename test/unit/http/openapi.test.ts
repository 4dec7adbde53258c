import { expect } from 'chai';
import type { Express } from 'express';
import { request } from 'undici';
import { PROBLEM_CODES } from '../../../src/core/problem.ts';
import type { ResourceId } from '../../../src/core/ids.ts';
import { createOperatorApp } from '../../../src/http/operator-app.ts';
import { createWorkerApp } from '../../../src/http/worker-app.ts';
import { SILENT_LOGGER } from '../../../src/runtime/logger.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';
import { EventReader } from '../../support/event-reader.ts';
import { eventually } from '../../support/eventually.ts';
import { serveOnLoopback, type TestingServer } from '../../support/http-server.ts';
import { judge, type Json, type OpenApiDocument } from '../../support/openapi-judge.ts';
import {
  populatedView,
  testingLeader,
  type TestingOperatorView,
} from '../../support/testing-operator-view.ts';

/** Every route that express itself knows, as `get /v1/task-executors/{id}`. */
function routesOf(app: Express): string[] {
  return app.router.stack.flatMap(({ route }) => {
    if (route === undefined) return [];
    const methods = new Set(
      route.stack.map((layer) => layer.method).filter((method) => method !== undefined),
    );
    return [...methods].map((method) => `${method} ${route.path.replaceAll(/:(\w+)/g, '{$1}')}`);
  });
}

function routesIn(document: OpenApiDocument): string[] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method} ${path}`),
  );
}

describe('the OpenAPI document', () => {
  let view: TestingOperatorView;
  let app: Express;
  let server: TestingServer;
  let document: OpenApiDocument;

  beforeEach(async () => {
    view = populatedView();
    app = createOperatorApp({
      view,
      operations: view,
      clock: new VirtualClock(),
      logger: SILENT_LOGGER,
    });
    server = await serveOnLoopback(app);
    const { body } = await request(`${server.url}/openapi.json`);
    document = (await body.json()) as OpenApiDocument;
  });

  afterEach(() => server.close());

  it('describes every route that is served, and none that is not', () => {
    expect(document.openapi).to.match(/^3\.1\./);
    expect(routesIn(document)).to.have.members(routesOf(app));
  });

  it('describes exactly the routes of this version', () => {
    expect(routesIn(document)).to.have.members([
      'get /livez',
      'get /readyz',
      'get /leaderz',
      'get /v1/leader',
      'get /v1/leader/watch',
      'get /v1/overview',
      'get /v1/slots',
      'get /v1/task-executors',
      'get /v1/job-masters',
      'get /v1/history',
      'get /v1/events',
      'post /v1/step-down',
      'post /v1/task-executors/{id}/drain',
      'post /v1/task-executors/{id}/undrain',
      'delete /v1/task-executors/{id}',
      'delete /v1/job-masters/{id}',
      'get /v1/new-generation',
      'post /v1/new-generation',
      'get /openapi.json',
    ]);
  });

  it('gives each operation a name of its own and describes its path parameters', () => {
    const operations = Object.entries(document.paths).flatMap(([path, ofPath]) =>
      Object.values(ofPath).map((operation) => ({ path, operation })),
    );
    const names = operations.map(({ operation }) => operation.operationId);
    expect(new Set(names).size).to.equal(names.length);
    for (const { path, operation } of operations) {
      const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect(inPath.map((parameter) => `{${parameter.name}}`)).to.deep.equal(path.match(/\{\w+\}/g) ?? []);
      expect(inPath.every((parameter) => parameter.required)).to.equal(true);
    }
  });

  it('points only to schemas that it holds', () => {
    const references = JSON.stringify(document).match(/#\/components\/schemas\/\w+/g) ?? [];
    expect(references).not.to.be.empty;
    for (const reference of references) {
      expect(document.components.schemas).to.have.property(reference.slice(reference.lastIndexOf('/') + 1));
    }
  });

  it('describes every JSON answer as it is', async () => {
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        const status = Object.keys(operation.responses).find((code) => code.startsWith('2')) ?? '';
        const content = operation.responses[status]?.content['application/json'];
        if (content === undefined) continue;
        const url = `${server.url}${path.replace('{id}', 'te-1')}`;
        const answer = await request(url, { method: method.toUpperCase() as 'GET' });
        expect(String(answer.statusCode), `${method} ${path}`).to.equal(status);
        const value = await answer.body.json();
        if (path !== '/openapi.json') judge(document, content.schema)(value);
      }
    }
  });

  it('describes every event as it is', async () => {
    const events = (path: string): Record<string, Json> =>
      document.paths[path]?.['get']?.responses['200']?.content['text/event-stream']?.['x-events'] ?? {};
    const leaders = await EventReader.open(`${server.url}/v1/leader/watch`);
    view.setLeader(null);
    for (const name of ['leader', 'no-leader']) {
      const sent = await leaders.next();
      expect(sent?.event).to.equal(name);
      judge(document, events('/v1/leader/watch')[name]!)(sent?.data);
    }
    leaders.close();
    const cluster = await EventReader.open(`${server.url}/v1/events`);
    await eventually('the stream stands', () => view.eventListeners.size === 1);
    for (const kind of ['leadership', 'registration', 'allocation', 'failure'] as const) {
      view.emit({ id: 1, at: '2026-01-01T00:00:00Z', kind, event: 'x', fields: { a: 1, b: 2n, c: null } });
      const sent = await cluster.next();
      judge(document, events('/v1/events')[sent!.event]!)(sent?.data);
    }
    cluster.close();
  });

  it('describes the problem of every code as it is', async () => {
    const problemSchema = { $ref: '#/components/schemas/Problem' };
    for (const code of Object.keys(PROBLEM_CODES) as (keyof typeof PROBLEM_CODES)[]) {
      view.refusal = {
        code,
        detail: 'because',
        fields: [{ field: 'a', detail: 'b' }],
        leader: { resourceManagerId: 'rm-2', address: '10.0.0.2:7700' },
        token: testingLeader('rm-2', 7n),
        retryAfterMs: 2_500,
      };
      const { statusCode, body } = await request(`${server.url}/v1/slots`);
      expect(statusCode, code).to.equal(PROBLEM_CODES[code].status);
      const problem = (await body.json()) as Json;
      const { token, ...rest } = problem;
      judge(
        document,
        problemSchema,
      )({
        ...rest,
        token: { generation: 1, epoch: '7', leaderSessionId: (token as Json)['leaderSessionId'] },
      });
    }
  });

  it('names each problem that a route was seen to answer', async () => {
    const seen: [string, string, string][] = [
      ['get', '/readyz', 'UNAVAILABLE'],
      ['get', '/v1/slots', 'NOT_LEADER'],
      ['get', '/v1/slots', 'SUSPENDED'],
      ['get', '/v1/events', 'NO_LEADER'],
      ['post', '/v1/step-down', 'CONFLICT'],
      ['post', '/v1/step-down', 'STORE_FULL'],
      ['post', '/v1/step-down', 'UNSUPPORTED_VERSION'],
      ['post', '/v1/new-generation', 'STORE_FULL'],
      ['post', '/v1/task-executors/{id}/drain', 'UNKNOWN_TASK_EXECUTOR'],
      ['delete', '/v1/job-masters/{id}', 'UNKNOWN_JOB_MASTER'],
    ];
    for (const [method, path, code] of seen) {
      const { status } = PROBLEM_CODES[code as keyof typeof PROBLEM_CODES];
      const response = document.paths[path]?.[method]?.responses[String(status)];
      expect(response?.description, `${method} ${path}`).to.contain(code);
      expect(response?.content).to.have.property('application/problem+json');
    }
  });

  it('of a task executor describes its routes too', async () => {
    const worker = createWorkerApp({
      resourceId: 'te-1' as ResourceId,
      version: '0.1.0',
      state: () => 'ready',
      logger: SILENT_LOGGER,
    });
    const workerServer = await serveOnLoopback(worker);
    const { body } = await request(`${workerServer.url}/openapi.json`);
    const workerDocument = (await body.json()) as OpenApiDocument;
    expect(routesIn(workerDocument)).to.have.members(routesOf(worker));
    expect(routesIn(workerDocument)).to.have.members(['get /livez', 'get /openapi.json']);
    const { body: livez } = await request(`${workerServer.url}/livez`);
    judge(workerDocument, { $ref: '#/components/schemas/Probe' })(await livez.json());
    await workerServer.close();
  });
});
