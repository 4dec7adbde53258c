import { expect } from 'chai';
import { request } from 'undici';
import { createOperatorApp } from '../../../src/http/operator-app.ts';
import { SILENT_LOGGER } from '../../../src/runtime/logger.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';
import { serveOnLoopback, type TestingServer } from '../../support/http-server.ts';
import { populatedView, type TestingOperatorView } from '../../support/testing-operator-view.ts';

describe('/v1/new-generation', () => {
  let view: TestingOperatorView;
  let server: TestingServer;

  beforeEach(async () => {
    view = populatedView();
    const options = { view, operations: view, clock: new VirtualClock(), logger: SILENT_LOGGER };
    server = await serveOnLoopback(createOperatorApp(options));
  });

  afterEach(() => server.close());

  async function ask(method: 'GET' | 'POST', body?: string): Promise<{ status: number; json: unknown }> {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await request(`${server.url}/v1/new-generation`, {
      method,
      headers,
      ...(body && { body }),
    });
    return { status: answer.statusCode, json: await answer.body.json() };
  }

  it('tells what would be done, and orders nothing', async () => {
    const { status, json } = await ask('GET');
    expect(status).to.equal(200);
    expect(json).to.deep.include({ informedWorkers: 3, contradictingWorkers: 2 });
    expect(view.orders).to.deep.equal([]);
  });

  it('declares a new generation, the one named if one is, and tells which stands', async () => {
    for (const [body, generation] of [
      [undefined, 2],
      ['{"generation":7}', 7],
    ] as const) {
      const { status, json } = await ask('POST', body);
      expect(status).to.equal(202);
      expect(json).to.deep.equal({ accepted: true, clusterId: 'cluster-id', generation });
    }
    expect(view.orders).to.deep.equal([
      ['newGeneration', null],
      ['newGeneration', 7],
    ]);
  });

  it('refuses what is no generation, and a field that there is not', async () => {
    for (const body of ['{"generation":0}', '{"generation":"2"}', '{"generations":2}']) {
      expect(await ask('POST', body)).to.deep.nested.include({ status: 400, 'json.code': 'INVALID' });
    }
    expect(view.orders).to.deep.equal([]);
  });

  it('passes a refusal on', async () => {
    view.refusal = { code: 'CONFLICT', detail: 'It has to be 6.' };
    expect(await ask('POST', '{"generation":2}')).to.deep.nested.include({
      status: 409,
      'json.code': 'CONFLICT',
    });
  });
});
