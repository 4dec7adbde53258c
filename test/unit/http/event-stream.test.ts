import { connect } from 'node:net';
import { expect } from 'chai';
import { request } from 'undici';
import { DEFAULT_EVENT_STREAM_BOUNDS, EventStreams } from '../../../src/http/event-stream.ts';
import { createOperatorApp } from '../../../src/http/operator-app.ts';
import type { ClusterEvent } from '../../../src/resourcemanager/operator-view.ts';
import { SILENT_LOGGER } from '../../../src/runtime/logger.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';
import { EventReader } from '../../support/event-reader.ts';
import { eventually } from '../../support/eventually.ts';
import { serveOnLoopback, type TestingServer } from '../../support/http-server.ts';
import { TestingOperatorView, testingLeader } from '../../support/testing-operator-view.ts';

function clusterEvent(id: number, fields: ClusterEvent['fields'] = {}): ClusterEvent {
  return { id, at: '2026-01-01T00:00:00.000Z', kind: 'allocation', event: 'slot-allocated', fields };
}

describe('server-sent events', () => {
  let view: TestingOperatorView;
  let clock: VirtualClock;
  let streams: EventStreams;
  let server: TestingServer;
  let readers: EventReader[];

  beforeEach(async () => {
    view = new TestingOperatorView();
    clock = new VirtualClock();
    readers = [];
    streams = new EventStreams(clock, { ...DEFAULT_EVENT_STREAM_BOUNDS, mostClients: 2 });
    const app = createOperatorApp({ view, operations: view, clock, logger: SILENT_LOGGER, streams });
    server = await serveOnLoopback(app);
  });

  afterEach(async () => {
    for (const reader of readers) reader.close();
    await server.close();
  });

  async function open(path: string, headers: Record<string, string> = {}): Promise<EventReader> {
    const reader = await EventReader.open(`${server.url}${path}`, headers);
    readers.push(reader);
    return reader;
  }

  describe('of the leader', () => {
    it('tell the present leader first, then each change, no leader among them', async () => {
      const reader = await open('/v1/leader/watch');
      expect(await reader.next()).to.deep.equal({
        event: 'leader',
        data: {
          resourceManagerId: 'rm-1',
          address: '127.0.0.1:1',
          leaderSessionId: 'session-42',
          generation: 1,
          epoch: '42',
        },
      });
      view.setLeader(null);
      expect(await reader.next()).to.deep.equal({ event: 'no-leader', data: null });
      view.setLeader(testingLeader('rm-2', 77n));
      expect((await reader.next())?.data).to.include({ resourceManagerId: 'rm-2', epoch: '77' });
    });

    it('are served by a standby too, whatever Last-Event-ID says', async () => {
      view.stepBehind(testingLeader('rm-2', 77n));
      const reader = await open('/v1/leader/watch', { 'last-event-id': '../../\u00e4;drop' });
      expect((await reader.next())?.data).to.include({ resourceManagerId: 'rm-2' });
    });

    it('carry a comment where nothing happens', async () => {
      const reader = await open('/v1/leader/watch');
      await reader.next();
      await clock.advance(DEFAULT_EVENT_STREAM_BOUNDS.keepAliveMs);
      expect(await reader.nextBlock()).to.match(/^:/);
      await clock.advance(DEFAULT_EVENT_STREAM_BOUNDS.keepAliveMs);
      expect(await reader.nextBlock()).to.match(/^:/);
    });

    it('leave no subscription and no timer behind when the client goes', async () => {
      const reader = await open('/v1/leader/watch');
      await reader.next();
      expect(view.leaderListeners.size).to.equal(1);
      reader.close();
      await eventually('the subscription ends', () => view.leaderListeners.size === 0);
      expect(clock.nextDueMs()).to.equal(null);
      expect(streams.size).to.equal(0);
    });

    it('are answered to HEAD with the head alone', async () => {
      const { statusCode, headers, body } = await request(`${server.url}/v1/leader/watch`, {
        method: 'HEAD',
      });
      expect(statusCode).to.equal(200);
      expect(headers['content-type']).to.contain('text/event-stream');
      expect(await body.text()).to.equal('');
      await eventually('the place is free', () => streams.size === 0 && view.leaderListeners.size === 0);
    });
  });

  describe('of the cluster', () => {
    it('come in order, under their kind, with bigints as decimal strings', async () => {
      const reader = await open('/v1/events');
      await eventually('the subscription stands', () => view.eventListeners.size === 1);
      view.emit(clusterEvent(1, { epoch: 9_007_199_254_740_993n }));
      view.emit({ ...clusterEvent(2), kind: 'failure', event: 'task-executor-lost' });
      expect(await reader.next()).to.deep.equal({
        event: 'allocation',
        id: 'rm-1/1',
        data: { ...clusterEvent(1), fields: { epoch: '9007199254740993' } },
      });
      expect(await reader.next()).to.deep.include({ event: 'failure', id: 'rm-1/2' });
    });

    it('go on after the last one that a client has seen of the same resource manager', async () => {
      view.keptEvents = [clusterEvent(1), clusterEvent(2), clusterEvent(3)];
      const reader = await open('/v1/events', { 'last-event-id': 'rm-1/1' });
      expect((await reader.next())?.id).to.equal('rm-1/2');
      expect((await reader.next())?.id).to.equal('rm-1/3');
    });

    for (const lastEventId of ['rm-2/1', 'rm-1/', 'rm-1/-1', 'rm-1/1e9', '', '999']) {
      it(`begin now when Last-Event-ID is ${JSON.stringify(lastEventId)}`, async () => {
        view.keptEvents = [clusterEvent(1), clusterEvent(2)];
        const reader = await open('/v1/events', { 'last-event-id': lastEventId });
        await eventually('the subscription stands', () => view.eventListeners.size === 1);
        view.emit(clusterEvent(3));
        expect((await reader.next())?.id).to.equal('rm-1/3');
      });
    }

    it('end when the resource manager leads no more, after the event that says so', async () => {
      const reader = await open('/v1/events');
      await eventually('the subscription stands', () => view.leaderListeners.size === 1);
      view.stepBehind(testingLeader('rm-2', 77n));
      view.emit({ ...clusterEvent(9), kind: 'leadership', event: 'leadership-lost' });
      await clock.advance(0);
      expect((await reader.next())?.id).to.equal('rm-1/9');
      expect(await reader.next()).to.equal(null);
      await eventually(
        'the subscriptions end',
        () => view.eventListeners.size + view.leaderListeners.size === 0,
      );
    });

    it('go on while the leader is merely suspended', async () => {
      const reader = await open('/v1/events');
      await eventually('the subscription stands', () => view.leaderListeners.size === 1);
      view.state = 'suspended';
      view.setLeader(view.leader());
      await clock.advance(0);
      view.emit(clusterEvent(1));
      expect((await reader.next())?.id).to.equal('rm-1/1');
    });
  });

  it('are refused OVERLOADED beyond the bound, and again served once a client has gone', async () => {
    const first = await open('/v1/leader/watch');
    await open('/v1/events');
    const third = await request(`${server.url}/v1/leader/watch`);
    expect(third.statusCode).to.equal(429);
    expect(third.headers['retry-after']).to.equal('10');
    expect(await third.body.json()).to.include({ code: 'OVERLOADED' });
    first.close();
    await eventually('the place is free', () => streams.size === 1);
    expect(await (await open('/v1/leader/watch')).next()).to.include({ event: 'leader' });
  });

  it('are cut off from a client that does not read', async () => {
    const socket = connect(Number(server.address.split(':')[1]), '127.0.0.1');
    socket.pause();
    socket.write(`GET /v1/events HTTP/1.1\r\nHost: ${server.address}\r\n\r\n`);
    await eventually('the subscription stands', () => view.eventListeners.size === 1);
    const padding = 'x'.repeat(100_000);
    let sent = 0;
    while (view.eventListeners.size === 1 && sent < 1_000) {
      view.emit(clusterEvent(++sent, { padding }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(view.eventListeners.size).to.equal(0);
    expect(streams.size).to.equal(0);
    socket.destroy();
  });

  it('end for everybody when the server is about to close', async () => {
    const reader = await open('/v1/leader/watch');
    await reader.next();
    streams.close();
    view.setLeader(null);
    expect(await reader.next()).to.equal(null);
  });
});
