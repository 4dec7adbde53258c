import { expect } from 'chai';
import { request } from 'undici';
import { createOperatorApp } from '../../../src/http/operator-app.ts';
import { RELAYED_BY_HEADER } from '../../../src/http/relay.ts';
import { SILENT_LOGGER } from '../../../src/runtime/logger.ts';
import { SystemClock } from '../../../src/runtime/system-clock.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';
import { EventReader } from '../../support/event-reader.ts';
import { eventually } from '../../support/eventually.ts';
import { serveOnLoopback, type TestingServer } from '../../support/http-server.ts';
import { TestingOperatorView, populatedView, testingLeader } from '../../support/testing-operator-view.ts';

describe('a read that a standby passes on to the leader', () => {
  let leader: TestingOperatorView;
  let standby: TestingOperatorView;
  let leaderServer: TestingServer;
  let standbyServer: TestingServer;
  let standbyClock: VirtualClock;

  beforeEach(async () => {
    leader = populatedView('rm-1');
    standby = new TestingOperatorView('rm-2');
    standbyClock = new VirtualClock();
    const clock = new SystemClock();
    leaderServer = await serveOnLoopback(
      createOperatorApp({ view: leader, operations: leader, clock, logger: SILENT_LOGGER }),
    );
    standbyServer = await serveOnLoopback(
      createOperatorApp({
        view: standby,
        operations: standby,
        clock: standbyClock,
        logger: SILENT_LOGGER,
      }),
    );
    standby.stepBehind(testingLeader('rm-1', 42n, leaderServer.address));
  });

  afterEach(async () => {
    await standbyServer.close();
    await leaderServer.close();
  });

  it('is answered by the leader, page and all', async () => {
    const { statusCode, headers, body } = await request(`${standbyServer.url}/v1/slots?limit=3&relay=true`);
    expect(statusCode).to.equal(200);
    expect(headers['content-type']).to.contain('application/json');
    const { slots, next } = (await body.json()) as { slots: unknown[]; next: string };
    expect(slots).to.have.length(3);
    expect(next).to.equal('3');
    expect(leader.pages).to.deep.equal([{ limit: 3, after: null }]);
    expect(standby.pages).to.have.length(1);
  });

  it('works for the overview, which then speaks of the leader', async () => {
    const { body } = await request(`${standbyServer.url}/v1/overview?relay=true`);
    expect(await body.json()).to.include({ role: 'leader' });
  });

  it('brings the problem of the leader back unchanged', async () => {
    leader.refusal = { code: 'SUSPENDED', detail: 'Leadership is being checked.' };
    const { statusCode, headers, body } = await request(`${standbyServer.url}/v1/slots?relay=true`);
    expect(statusCode).to.equal(503);
    expect(headers['content-type']).to.equal('application/problem+json');
    expect(headers['retry-after']).to.equal('1');
    expect(await body.json()).to.include({ code: 'SUSPENDED' });
  });

  it('is not passed on without relay=true, nor with relay=false', async () => {
    for (const query of ['', '?relay=false']) {
      const { statusCode, body } = await request(`${standbyServer.url}/v1/slots${query}`);
      expect(statusCode).to.equal(421);
      await body.dump();
    }
    expect(leader.pages).to.deep.equal([]);
  });

  it('goes no further than one step, even when two standbys take each other for the leader', async () => {
    leader.stepBehind(testingLeader('rm-2', 43n, standbyServer.address));
    const { statusCode, body } = await request(`${standbyServer.url}/v1/slots?relay=true`);
    expect(statusCode).to.equal(421);
    expect(await body.json()).to.deep.include({
      code: 'NOT_LEADER',
      leader: { resourceManagerId: 'rm-2', address: standbyServer.address },
    });
    expect(leader.pages).to.have.length(1);
    expect(standby.pages).to.have.length(1);
  });

  it('is not passed on a second time, whoever passed it on first', async () => {
    const headers = { [RELAYED_BY_HEADER]: 'rm-3' };
    const { statusCode, body } = await request(`${standbyServer.url}/v1/slots?relay=true`, { headers });
    expect(statusCode).to.equal(421);
    await body.dump();
  });

  it('is answered NO_ANSWER when nobody listens at the address of the leader', async () => {
    await leaderServer.close();
    const { statusCode, body } = await request(`${standbyServer.url}/v1/slots?relay=true`);
    expect(statusCode).to.equal(504);
    expect(await body.json()).to.deep.include({
      code: 'NO_ANSWER',
      leader: { resourceManagerId: 'rm-1', address: leaderServer.address },
    });
  });

  it('is answered NO_ANSWER when the leader hangs', async () => {
    leader.held = new Promise(() => {});
    const answer = request(`${standbyServer.url}/v1/slots?relay=true`);
    await eventually('the leader is asked', () => leader.pages.length === 1);
    await standbyClock.advance(3_000);
    const { statusCode, body } = await answer;
    expect(statusCode).to.equal(504);
    expect(await body.json()).to.include({ code: 'NO_ANSWER' });
  });

  it('streams the events of the leader and ends with either side', async () => {
    const reader = await EventReader.open(`${standbyServer.url}/v1/events?relay=true`);
    await eventually('the leader streams', () => leader.eventListeners.size === 1);
    leader.emit({ id: 1, at: '', kind: 'registration', event: 'registered', fields: {} });
    expect(await reader.next()).to.deep.include({ event: 'registration', id: 'rm-1/1' });
    reader.close();
    await eventually('the leader is let go', () => leader.eventListeners.size === 0);

    const second = await EventReader.open(`${standbyServer.url}/v1/events?relay=true`);
    await eventually('the leader streams', () => leader.eventListeners.size === 1);
    leader.stepBehind(null);
    expect(await second.next()).to.equal(null);
  });

  it('never passes on an order', async () => {
    const { statusCode, body } = await request(`${standbyServer.url}/v1/step-down?relay=true`, {
      method: 'POST',
    });
    expect(statusCode).to.equal(400);
    await body.dump();
    const plain = await request(`${standbyServer.url}/v1/step-down`, { method: 'POST' });
    expect(plain.statusCode).to.equal(421);
    await plain.body.dump();
    expect(leader.orders).to.deep.equal([]);
  });
});
