import { expect } from 'chai';
import type { ServerResponse } from 'node:http';
import { SILENCE_MS, watchLeader, type Leader } from '../../../../src/cli/client/leader-watch.ts';
import { VirtualClock } from '../../../simulation/virtual-clock.ts';
import { eventually } from '../../../support/eventually.ts';
import { TestingHttpServer } from '../../../support/testing-http-server.ts';

function leader(resourceManagerId: string, epoch: string): Leader {
  return { resourceManagerId, address: 'h:1', leaderSessionId: `session-${epoch}`, generation: 1, epoch };
}

function send(response: ServerResponse, value: Leader | null): void {
  response.write(`event: ${value === null ? 'no-leader' : 'leader'}\ndata: ${JSON.stringify(value)}\n\n`);
}

describe('watching the leader', () => {
  let one: TestingHttpServer;
  let two: TestingHttpServer;
  let streams: ServerResponse[];
  let told: (string | null)[];
  let stop: AbortController;
  let done: Promise<void>;
  let clock: VirtualClock;

  beforeEach(async () => {
    [one, two] = await Promise.all([TestingHttpServer.start(), TestingHttpServer.start()]);
    streams = [];
    clock = new VirtualClock();
    told = [];
    stop = new AbortController();
    for (const server of [one, two]) {
      server.handler = (_request, response) => {
        response.flushHeaders();
        streams.push(response);
      };
    }
    done = watchLeader({
      resourceManagers: [one.address, two.address],
      clock,
      signal: stop.signal,
      onLeader: (each) => told.push(each?.resourceManagerId ?? null),
    });
    await eventually('one is followed', () => streams.length === 1);
  });
  afterEach(async () => {
    stop.abort();
    await done;
    await Promise.all([one.stop(), two.stop()]);
  });

  it('tells each change once', async () => {
    for (const each of [leader('a', '9'), leader('a', '9'), null, null, leader('b', '10')])
      send(streams[0]!, each);
    await eventually('all was told', () => told.length === 3);
    expect(told).to.deep.equal(['a', null, 'b']);
  });

  it('goes on with the next one when the first is lost, without repeating or going back', async () => {
    send(streams[0]!, leader('a', '10'));
    await eventually('the first was told', () => told.length === 1);
    await one.stop();
    await eventually('the other is followed', () => streams.length === 2);
    send(streams[1]!, leader('old', '9'));
    send(streams[1]!, leader('a', '10'));
    send(streams[1]!, leader('b', '11'));
    await eventually('the change was told', () => told.length === 2);
    expect(told).to.deep.equal(['a', 'b']);
  });

  it('tells that there is no leader when nobody answers', async () => {
    send(streams[0]!, leader('a', '10'));
    await Promise.all([one.stop(), two.stop()]);
    await eventually('it was told', () => told.at(-1) === null);
  });

  it('leaves a stream that has fallen silent for another one, and stays where comments come', async () => {
    send(streams[0]!, leader('a', '10'));
    await eventually('the first was told', () => told.length === 1);
    await clock.advance(SILENCE_MS - 1);
    streams[0]!.write(': still here\n\n');
    send(streams[0]!, leader('b', '11'));
    await eventually('the comment and what follows was read', () => told.length === 2);
    await clock.advance(SILENCE_MS - 1);
    expect(streams).to.have.length(1);
    await clock.advance(1);
    await eventually('the other is followed', () => streams.length === 2);
    send(streams[1]!, leader('c', '12'));
    await eventually('the change was told', () => told.length === 3);
    expect(told).to.deep.equal(['a', 'b', 'c']);
  });

  it('tells that there is no leader when all are silent from the beginning', async () => {
    await clock.advance(SILENCE_MS);
    await eventually('the other was asked', () => streams.length === 2);
    await clock.advance(SILENCE_MS);
    await eventually('it was told', () => told.at(-1) === null);
  });
});
