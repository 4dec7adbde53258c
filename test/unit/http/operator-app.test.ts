import { connect } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { request } from 'undici';
import type { ResourceId } from '../../../src/core/ids.ts';
import { createOperatorApp } from '../../../src/http/operator-app.ts';
import { createWorkerApp } from '../../../src/http/worker-app.ts';
import { SILENT_LOGGER, type LogFields, type Logger } from '../../../src/runtime/logger.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';
import { eventually } from '../../support/eventually.ts';
import { serveOnLoopback, type TestingServer } from '../../support/http-server.ts';
import {
  populatedView,
  testingLeader,
  type TestingOperatorView,
} from '../../support/testing-operator-view.ts';

type Json = Record<string, unknown>;

describe('the operator HTTP of a resource manager', () => {
  let view: TestingOperatorView;
  let clock: VirtualClock;
  let server: TestingServer;
  let logged: LogFields[];

  beforeEach(async () => {
    view = populatedView();
    clock = new VirtualClock();
    logged = [];
    const logger: Logger = {
      log: (_level, event, fields) => logged.push({ event, ...fields }),
      child: () => logger,
    };
    server = await serveOnLoopback(createOperatorApp({ view, operations: view, clock, logger }));
  });

  afterEach(() => server.close());

  async function ask(
    path: string,
    options: { method?: string; body?: string; headers?: Record<string, string> } = {},
  ): Promise<{ status: number; type: string; headers: Json; json: Json }> {
    const { method = 'GET', body, headers = {} } = options;
    const json = body === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await request(`${server.url}${path}`, {
      method: method as 'GET',
      headers: { ...json, ...headers },
      ...(body === undefined ? {} : { body }),
    });
    const text = await answer.body.text();
    return {
      status: answer.statusCode,
      type: String(answer.headers['content-type']),
      headers: answer.headers,
      json: text === '' ? {} : (JSON.parse(text) as Json),
    };
  }

  async function refused(
    status: number,
    code: string,
    path: string,
    options: Parameters<typeof ask>[1] = {},
  ): Promise<{ headers: Json; json: Json }> {
    const answer = await ask(path, options);
    expect(answer.status, JSON.stringify(answer.json)).to.equal(status);
    expect(answer.type).to.equal('application/problem+json');
    expect(answer.json).to.include({ status, code, type: `urn:quartermaster:problem:${code}` });
    expect(answer.json['title']).to.be.a('string').that.is.not.empty;
    expect(answer.json['detail']).to.be.a('string').that.is.not.empty;
    return answer;
  }

  describe('probes', () => {
    it('says that the leader lives, is ready and leads', async () => {
      for (const path of ['/livez', '/readyz', '/leaderz']) {
        const { status, json } = await ask(path);
        expect(status, path).to.equal(200);
        expect(json).to.deep.equal({ resourceManagerId: 'rm-1', state: 'serving' });
      }
    });

    it('says that a warm standby lives and is ready, but does not lead', async () => {
      view.stepBehind(testingLeader('rm-2', 43n));
      expect((await ask('/livez')).status).to.equal(200);
      expect((await ask('/readyz')).status).to.equal(200);
      await refused(503, 'UNAVAILABLE', '/leaderz');
    });

    it('says that a suspended leader does not lead for the moment', async () => {
      view.state = 'suspended';
      await refused(503, 'SUSPENDED', '/leaderz');
    });

    it('says that a resource manager that has not joined the line is not ready', async () => {
      view.state = 'starting';
      view.ready = false;
      expect((await ask('/livez')).status).to.equal(200);
      await refused(503, 'UNAVAILABLE', '/readyz');
    });
  });

  describe('the leader', () => {
    it('is shown with its token, the epoch as a decimal string', async () => {
      view.setLeader(testingLeader('rm-3', 9_007_199_254_740_993n, '10.0.0.3:7700'));
      const { status, json } = await ask('/v1/leader');
      expect(status).to.equal(200);
      expect(json).to.deep.equal({
        resourceManagerId: 'rm-3',
        address: '10.0.0.3:7700',
        leaderSessionId: 'session-9007199254740993',
        generation: 1,
        epoch: '9007199254740993',
      });
    });

    it('is answered NO_LEADER with a Retry-After when there is none', async () => {
      view.setLeader(null);
      const { headers } = await refused(503, 'NO_LEADER', '/v1/leader');
      expect(headers['retry-after']).to.equal('1');
    });
  });

  describe('listings', () => {
    it('show the books of the leader under their names', async () => {
      const slots = (await ask('/v1/slots')).json;
      expect(slots['next']).to.equal(null);
      expect(slots['slots']).to.have.length(4);
      expect((await ask('/v1/task-executors')).json['taskExecutors']).to.have.length(1);
      expect((await ask('/v1/job-masters')).json['jobMasters']).to.have.length(1);
      expect((await ask('/v1/overview')).json).to.deep.include({ role: 'leader', jobMasters: 1 });
    });

    it('give one page after the other', async () => {
      const first = (await ask('/v1/slots?limit=3')).json;
      expect(first['slots']).to.have.length(3);
      expect(first['next']).to.equal('3');
      const second = (await ask('/v1/slots?limit=3&after=3')).json;
      expect(second['slots']).to.have.length(1);
      expect(second['next']).to.equal(null);
      expect((await ask('/v1/slots')).status).to.equal(200);
      expect(view.pages.map((page) => page.limit)).to.deep.equal([3, 3, 100]);
    });

    it("put a history row's own numbers above what its record says", async () => {
      const rows = (await ask('/v1/history')).json['history'] as Json[];
      expect(rows).to.deep.equal([
        {
          resourceManagerId: 'rm-1',
          reason: null,
          generation: 1,
          epoch: '42',
          createRevision: '43',
          modRevision: '43',
        },
      ]);
    });

    for (const query of [
      'limit=0',
      'limit=1001',
      'limit=-1',
      'limit=ten',
      'limit=1&limit=2',
      'limit[]=1',
      'after=',
      'relay=yes',
      'colour=red',
    ]) {
      it(`refuse ?${query} as INVALID and name the parameter`, async () => {
        const { json } = await refused(400, 'INVALID', `/v1/slots?${query}`);
        expect(json['fields']).to.be.an('array').with.length.at.least(1);
        expect(view.pages).to.deep.equal([]);
      });
    }

    it('are refused by a standby, with the place of the leader', async () => {
      view.stepBehind(testingLeader('rm-2', 43n, '10.0.0.2:7700'));
      for (const path of [
        '/v1/overview',
        '/v1/slots',
        '/v1/task-executors',
        '/v1/job-masters',
        '/v1/events',
      ]) {
        const { json } = await refused(421, 'NOT_LEADER', path);
        expect(json['leader'], path).to.deep.equal({ resourceManagerId: 'rm-2', address: '10.0.0.2:7700' });
      }
    });

    it('are refused with NO_LEADER when nobody leads', async () => {
      view.stepBehind(null);
      for (const path of ['/v1/overview', '/v1/slots', '/v1/events']) await refused(503, 'NO_LEADER', path);
    });

    it('are refused by a suspended leader, to be tried again', async () => {
      view.refusal = { code: 'SUSPENDED', detail: 'Leadership is being checked.' };
      const { headers } = await refused(503, 'SUSPENDED', '/v1/slots');
      expect(headers['retry-after']).to.equal('1');
    });

    it('are answered NO_ANSWER when the read hangs inside', async () => {
      view.held = new Promise(() => {});
      const answer = refused(504, 'NO_ANSWER', '/v1/slots');
      await eventually('the read is under way', () => clock.nextDueMs() !== null);
      await clock.advance(5_000);
      await answer;
    });
  });

  describe('orders', () => {
    it('are passed on and answered 202', async () => {
      const orders: [string, string, string?][] = [
        ['POST', '/v1/step-down'],
        ['POST', '/v1/step-down', '{"to":"rm-2","reason":"kernel update"}'],
        ['POST', '/v1/task-executors/te-1/drain'],
        ['POST', '/v1/task-executors/te-1/undrain', '{}'],
        ['DELETE', '/v1/task-executors/te-1'],
        ['DELETE', '/v1/job-masters/job-1'],
      ];
      for (const [method, path, body] of orders) {
        const { status, json } = await ask(path, { method, ...(body === undefined ? {} : { body }) });
        expect(status, path).to.equal(202);
        expect(json).to.deep.equal({ accepted: true });
      }
      expect(view.orders).to.deep.equal([
        ['stepDown', { to: null, reason: 'asked by an operator' }],
        ['stepDown', { to: 'rm-2', reason: 'kernel update' }],
        ['drain', 'te-1', true],
        ['drain', 'te-1', false],
        ['forgetTaskExecutor', 'te-1'],
        ['forgetJobMaster', 'job-1'],
      ]);
    });

    it('are answered with the problem of whoever refuses them', async () => {
      view.refusal = { code: 'UNKNOWN_TASK_EXECUTOR', detail: 'There is no te-9.' };
      await refused(404, 'UNKNOWN_TASK_EXECUTOR', '/v1/task-executors/te-9/drain', { method: 'POST' });
      view.refusal = { code: 'CONFLICT', detail: 'rm-2 is not connected.' };
      await refused(409, 'CONFLICT', '/v1/step-down', { method: 'POST', body: '{"to":"rm-2"}' });
    });

    it('say that they may still be carried out when they take too long', async () => {
      view.held = new Promise(() => {});
      const answer = refused(504, 'NO_ANSWER', '/v1/step-down', { method: 'POST' });
      await eventually('the read is under way', () => clock.nextDueMs() !== null);
      await clock.advance(20_000);
      expect((await answer).json['detail']).to.contain('may still be carried out');
    });

    for (const [what, body] of [
      ['a body that is no JSON', '{"to":'],
      ['a body that is no object', '"rm-2"'],
      ['a wrong type', '{"to":7}'],
      ['a name that is no name', '{"to":"../rm"}'],
      ['an unknown field', '{"whom":"rm-2"}'],
    ] as const) {
      it(`refuse ${what} as INVALID and do nothing`, async () => {
        const { json } = await refused(400, 'INVALID', '/v1/step-down', { method: 'POST', body });
        expect(json['fields']).to.be.an('array').with.length.at.least(1);
        expect(view.orders).to.deep.equal([]);
      });
    }

    it('refuse a body that is too large', async () => {
      const body = JSON.stringify({ reason: 'x'.repeat(100_000) });
      await refused(413, 'TOO_LARGE', '/v1/step-down', { method: 'POST', body });
    });

    it('refuse a body of another type', async () => {
      const headers = { 'content-type': 'text/plain' };
      await refused(400, 'INVALID', '/v1/step-down', { method: 'POST', body: '{}', headers });
    });

    it('refuse a name in the path that is no name', async () => {
      await refused(400, 'INVALID', '/v1/task-executors/a%20b', { method: 'DELETE' });
      await refused(400, 'INVALID', '/v1/task-executors/%E0%A4%A', { method: 'DELETE' });
      expect(view.orders).to.deep.equal([]);
    });

    const undecodable = [
      ['path', '/v1/task-executors/%', { method: 'DELETE' }],
      ['content-type', '/v1/step-down', { headers: { 'content-type': 'application/json; charset=zoo' } }],
      ['content-encoding', '/v1/step-down', { headers: { 'content-encoding': 'zoo' } }],
    ] as const;
    for (const [part, path, options] of undecodable) {
      it(`name the ${part} of a request when it cannot be decoded`, async () => {
        const { json } = await refused(400, 'INVALID', path, { method: 'POST', body: '{}', ...options });
        expect(json['fields']).to.have.nested.property('[0].field', part);
      });
    }

    it('refuse what a page of another origin sends through a browser', async () => {
      const path = '/v1/task-executors/te-1/drain';
      const headers = { origin: 'https://elsewhere.example' };
      await refused(403, 'FORBIDDEN', path, { method: 'POST', headers });
      expect(view.orders).to.deep.equal([]);
      const own = { origin: server.url };
      expect((await ask(path, { method: 'POST', headers: own })).status).to.equal(202);
    });
  });

  describe('whatever else comes', () => {
    it('answers an unknown route NOT_FOUND', async () => {
      await refused(404, 'NOT_FOUND', '/v1/nothing');
      await refused(404, 'NOT_FOUND', '/v1/Slots');
      await refused(404, 'NOT_FOUND', '/', { method: 'POST', body: '{}' });
    });

    it('answers a wrong method METHOD_NOT_ALLOWED and says which are taken', async () => {
      const { headers } = await refused(405, 'METHOD_NOT_ALLOWED', '/v1/slots', { method: 'PUT' });
      expect(headers['allow']).to.equal('GET, HEAD');
      const order = await refused(405, 'METHOD_NOT_ALLOWED', '/v1/step-down');
      expect(order.headers['allow']).to.equal('POST');
    });

    it('answers HEAD like GET, without the body', async () => {
      const { status, json } = await ask('/livez', { method: 'HEAD' });
      expect(status).to.equal(200);
      expect(json).to.deep.equal({});
    });

    it('hides an unforeseen error from the caller and writes it to the log', async () => {
      view.failure = new Error('secret path /var/lib/thing');
      const { json } = await refused(500, 'INTERNAL', '/v1/slots');
      expect(JSON.stringify(json)).not.to.contain('secret');
      expect(logged.map((line) => line['event'])).to.deep.equal(['http-request-failed']);
      expect(String(logged[0]?.['error'])).to.contain('secret path');
    });

    it('answers what is not even HTTP with a problem', async () => {
      const text = await new Promise<string>((resolve, reject) => {
        const socket = connect(Number(server.address.split(':')[1]), '127.0.0.1');
        let received = '';
        socket.on('data', (chunk) => (received += chunk.toString()));
        socket.on('error', reject);
        socket.on('close', () => resolve(received));
        socket.write('GET\r\n\r\n');
      });
      expect(text).to.match(/^HTTP\/1\.1 400 /);
      expect(text).to.contain('application/problem+json');
      expect((await ask('/livez')).status).to.equal(200);
    });

    it('answers any path, query and body with JSON or a problem, never with a stack', async () => {
      const method = fc.constantFrom('GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS');
      const start = fc.constantFrom(
        '/v1/slots',
        '/v1/step-down',
        '/v1/task-executors',
        '/v1/job-masters',
        '/',
      );
      const rest = fc.webPath({ size: 'small' });
      const body = fc.oneof(fc.json(), fc.string());
      await fc.assert(
        fc.asyncProperty(
          method,
          start,
          rest,
          fc.webQueryParameters(),
          body,
          async (verb, path, more, query, text) => {
            const withBody = verb === 'GET' ? {} : { body: text };
            const answer = await ask(`${path}${more}?${query}`, { method: verb, ...withBody });
            expect(answer.type).to.match(/^application\/(problem\+)?json/);
            expect(answer.status).to.be.lessThan(500);
            expect(JSON.stringify(answer.json)).not.to.match(/node_modules|\.js:\d/);
          },
        ),
        { numRuns: 150 },
      );
    });
  });
});

describe('the HTTP of a task executor', () => {
  it('says that it lives and in what state, and refuses the rest', async () => {
    const app = createWorkerApp({
      resourceId: 'te-1' as ResourceId,
      version: '0.1.0',
      state: () => 'draining',
      logger: SILENT_LOGGER,
    });
    const server = await serveOnLoopback(app);
    try {
      const { statusCode, body } = await request(`${server.url}/livez`);
      expect(statusCode).to.equal(200);
      expect(await body.json()).to.deep.equal({ resourceId: 'te-1', state: 'draining' });
      const missing = await request(`${server.url}/v1/slots`);
      expect(missing.statusCode).to.equal(404);
      expect(await missing.body.json()).to.include({ code: 'NOT_FOUND' });
    } finally {
      await server.close();
    }
  });
});
