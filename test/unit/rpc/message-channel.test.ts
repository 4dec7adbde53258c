import { expect } from 'chai';
import type { FencingToken } from '../../../src/core/fencing-token.ts';
import type { ClusterId, LeaderSessionId, ResourceManagerId } from '../../../src/core/ids.ts';
import type { CloseReason, Connection } from '../../../src/rpc/connection.ts';
import { InMemoryNetwork } from '../../../src/rpc/in-memory-network.ts';
import {
  MessageChannel,
  type InboundNotification,
  type InboundRequest,
} from '../../../src/rpc/message-channel.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';

interface Side {
  channel: MessageChannel;
  requests: InboundRequest[];
  notifications: InboundNotification[];
  closed: CloseReason[];
}

function side(connection: Connection, clock: VirtualClock): Side {
  const requests: InboundRequest[] = [];
  const notifications: InboundNotification[] = [];
  const closed: CloseReason[] = [];
  const channel = new MessageChannel(connection, clock, {
    onRequest: (request) => requests.push(request),
    onNotification: (notification) => notifications.push(notification),
    onClose: (reason) => closed.push(reason),
  });
  return { channel, requests, notifications, closed };
}

/** Two ends of one connection; `raw` sends frames past the channel of the dialling side. */
async function connect(
  clock: VirtualClock,
): Promise<{ near: Side; far: Side; raw: Connection; network: InMemoryNetwork }> {
  const network = new InMemoryNetwork(clock);
  let far: Side | undefined;
  network.listen('server:1', (connection) => {
    far = side(connection, clock);
    return far.channel;
  });
  const raw: Connection = network.dialer('client:1').dial('server:1', {
    onOpen: () => {},
    onFrame: (frame) => near.channel.onFrame(frame),
    onClose: (reason) => near.channel.onClose(reason),
  });
  const near = side(raw, clock);
  await clock.until(() => far !== undefined);
  return { near, far: far!, raw, network };
}

const token: FencingToken = {
  generation: 1,
  epoch: 9_007_199_254_740_993n,
  leaderSessionId: 's' as LeaderSessionId,
};

describe('the message channel', () => {
  let clock: VirtualClock;

  beforeEach(() => {
    clock = new VirtualClock();
  });

  it('answers a request with its reply', async () => {
    const { near, far } = await connect(clock);
    const answer = near.channel.call('ping', {}, 1_000);
    await clock.until(() => far.requests.length === 1);
    const [request] = far.requests;
    if (request?.type !== 'ping') throw new Error('expected a ping');
    request.respond({ state: 'serving', epoch: token.epoch });
    await clock.advance(1);
    expect(await answer).to.deep.equal({ state: 'serving', epoch: token.epoch });
  });

  it('carries 64 bit revisions unharmed', async () => {
    const { near, far } = await connect(clock);
    near.channel.notify('notifyOfNewResourceManagerLeader', {
      token,
      resourceManagerId: 'rm' as ResourceManagerId,
      address: 'h:1',
      clusterId: 'c' as ClusterId,
    });
    await clock.advance(1);
    expect(far.notifications[0]).to.have.nested.property('body.token.epoch', token.epoch);
  });

  it('puts what is sent in one turn into one frame', async () => {
    const { near, far } = await connect(clock);
    let frames = 0;
    const receive = far.channel.onFrame.bind(far.channel);
    far.channel.onFrame = (frame) => {
      frames += 1;
      receive(frame);
    };
    near.channel.notify('fenced', { token });
    near.channel.notify('fenced', { token });
    await clock.advance(1);
    expect(far.notifications).to.have.length(2);
    expect(frames).to.equal(1);
  });

  it('answers NO_ANSWER after the time limit and ignores the late reply', async () => {
    const { near, far } = await connect(clock);
    const codes: string[] = [];
    near.channel.request('ping', {}, 100, (outcome) => codes.push(outcome.ok ? 'ok' : outcome.problem.code));
    await clock.advance(99);
    expect(codes).to.deep.equal([]);
    await clock.advance(1);
    expect(codes).to.deep.equal(['NO_ANSWER']);
    const [request] = far.requests;
    if (request?.type !== 'ping') throw new Error('expected a ping');
    request.respond({ state: 'standby', epoch: null });
    await clock.advance(10);
    expect(codes).to.deep.equal(['NO_ANSWER']);
  });

  it('answers NO_ANSWER to every request under way when the connection ends, and to later ones', async () => {
    const { near, network } = await connect(clock);
    const codes: string[] = [];
    const note = (outcome: { ok: boolean; problem?: { code: string } }): unknown =>
      codes.push(outcome.problem?.code ?? 'ok');
    near.channel.request('ping', {}, 1_000, note);
    network.crash('server:1');
    await clock.until(() => near.closed.length === 1);
    near.channel.request('ping', {}, 1_000, note);
    await clock.advance(1);
    expect(codes).to.deep.equal(['NO_ANSWER', 'NO_ANSWER']);
    expect(near.closed.map((reason) => reason.kind)).to.deep.equal(['reset']);
  });

  it('answers a request of a wrong shape with INVALID, naming each wrong field, and tells its owner nothing', async () => {
    const { near, far, raw } = await connect(clock);
    const frames: string[] = [];
    near.channel.onFrame = (frame) => frames.push(frame);
    raw.send(
      '{"messages":[{"type":"requestSlots","id":7,"body":{"jobId":"","requests":[{"profile":{"cpuCores":-1}}]}}]}',
    );
    await clock.advance(1);
    expect(far.requests).to.have.length(0);
    const reply = JSON.parse(frames[0]!) as {
      messages: { reply: number; problem: { code: string; fields: { field: string }[] } }[];
    };
    expect(reply.messages[0]!.reply).to.equal(7);
    expect(reply.messages[0]!.problem.code).to.equal('INVALID');
    const fields = reply.messages[0]!.problem.fields.map((entry) => entry.field);
    expect(fields).to.include('jobId').and.include('requests.0.profile.cpuCores').and.include('token');
  });

  it('answers an unknown request with INVALID and ignores an unknown notification', async () => {
    const { near, far, raw } = await connect(clock);
    const frames: string[] = [];
    near.channel.onFrame = (frame) => frames.push(frame);
    raw.send('{"messages":[{"type":"toString","id":1,"body":{}},{"type":"whatever","body":{}}]}');
    await clock.advance(1);
    expect(frames).to.have.length(1);
    expect(frames[0]).to.include('"INVALID"').and.include('toString');
    expect(far.closed).to.have.length(0);
  });

  for (const frame of ['', 'nonsense', '[]', '{"messages":[17]}', 'null', '{"messages":{"length":1}}']) {
    it(`ends the connection with INVALID at a frame that is no frame: ${JSON.stringify(frame)}`, async () => {
      const { near, far, raw } = await connect(clock);
      raw.send(frame);
      await clock.until(() => near.closed.length === 1);
      expect(near.notifications).to.have.length(1);
      expect(near.notifications[0]).to.have.nested.property('body.code', 'INVALID');
      expect(far.requests).to.have.length(0);
    });
  }

  for (const message of [
    '{"type":"ping","id":"1","body":{}}',
    '{"type":"ping","id":1e300}',
    '{"reply":{}}',
  ]) {
    it(`names the message that is none: ${message}`, async () => {
      const { near, far, raw } = await connect(clock);
      raw.send(`{"messages":[{"type":"whatever","body":{}},${message}]}`);
      await clock.until(() => near.closed.length === 1);
      expect(near.notifications[0])
        .to.have.nested.property('body.detail')
        .that.includes('Message 1 of the frame');
      expect(far.requests).to.have.length(0);
    });
  }

  it('ignores fields that it does not know', async () => {
    const { far, raw } = await connect(clock);
    raw.send('{"messages":[{"type":"ping","id":1,"body":{"extra":true},"more":1}],"version":9}');
    await clock.advance(1);
    expect(far.requests).to.have.length(1);
    expect(far.requests[0]!.body).to.deep.equal({});
  });

  it('says why before it ends a connection', async () => {
    const { near, far } = await connect(clock);
    near.channel.close({ code: 'SUPERSEDED', detail: 'a newer one is there' });
    await clock.until(() => far.closed.length === 1);
    expect(far.notifications[0]).to.have.nested.property('body.code', 'SUPERSEDED');
    expect(far.closed[0]!.kind).to.equal('closed');
    expect(near.closed[0]!.kind).to.equal('local');
  });
});
