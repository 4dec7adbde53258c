import { expect } from 'chai';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { WebSocket } from 'ws';
import type { Acceptor } from '../../../../src/rpc/connection.ts';
import { WebSocketAcceptor } from '../../../../src/rpc/websocket/web-socket-acceptor.ts';
import { WebSocketDialer } from '../../../../src/rpc/websocket/web-socket-dialer.ts';
import { SystemClock } from '../../../../src/runtime/system-clock.ts';
import { describeTransport } from '../../../contract/transport.contract.ts';
import { eventually } from '../../../support/eventually.ts';
import { TestingConnectionListener } from '../../../support/testing-connection-listener.ts';

interface Listening {
  readonly server: Server;
  readonly acceptor: WebSocketAcceptor;
  readonly address: string;
  stop(): Promise<void>;
}

async function listen(accept: Acceptor, maxFrameBytes?: number): Promise<Listening> {
  const server = createHttpServer((_request, response) => response.end('plain'));
  const options = maxFrameBytes === undefined ? {} : { maxFrameBytes };
  const acceptor = new WebSocketAcceptor(new SystemClock(), accept, options);
  acceptor.attach(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const stop = async (): Promise<void> => {
    acceptor.terminate();
    server.closeAllConnections();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  return { server, acceptor, address: `127.0.0.1:${port}`, stop };
}

async function freeAddress(): Promise<string> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return `127.0.0.1:${port}`;
}

describeTransport('over WebSockets', async (accept) => {
  const listening = await listen(accept);
  return {
    dialer: new WebSocketDialer(new SystemClock()),
    address: listening.address,
    deadAddress: await freeAddress(),
    crash: () => {
      listening.acceptor.terminate();
      listening.server.close();
    },
    stop: () => listening.stop(),
  };
});

describe('the WebSocket transport', () => {
  let listening: Listening;
  let accepted: TestingConnectionListener[];

  beforeEach(async () => {
    accepted = [];
    listening = await listen((connection) => {
      const listener = new TestingConnectionListener();
      listener.connection = connection;
      accepted.push(listener);
      return listener;
    }, 1_000);
  });
  afterEach(() => listening.stop());

  function dial(address: string, connectTimeoutMs = 5_000): TestingConnectionListener {
    const listener = new TestingConnectionListener();
    const dialer = new WebSocketDialer(new SystemClock(), { connectTimeoutMs });
    listener.connection = dialer.dial(address, listener);
    return listener;
  }

  it('shares its port with plain HTTP', async () => {
    const answer = await fetch(`http://${listening.address}/anything`);
    expect(await answer.text()).to.equal('plain');
  });

  it('ends a connection with a frame above the limit and goes on serving the others', async () => {
    const big = dial(listening.address);
    await eventually('it stands', () => big.opened);
    big.connection!.send('x'.repeat(1_001));
    await eventually('it was ended', () => big.closes.length > 0);
    expect(big.closes[0]).to.deep.equal({ kind: 'closed', detail: 'TOO_LARGE: the frame was too large' });
    const other = dial(listening.address);
    await eventually('another stands', () => other.opened);
  });

  it('counts the bytes that the network has not taken yet', async () => {
    const near = dial(listening.address);
    await eventually('both stand', () => near.opened && accepted.length === 1);
    const far = accepted[0]!.connection!;
    for (let n = 0; n < 100; n += 1) far.send('x'.repeat(1_000_000));
    expect(far.bufferedBytes).to.be.greaterThan(1_000_000);
  });

  it('refuses an upgrade at another path, and one that a web page asks for', async () => {
    for (const [path, origin, status] of [
      ['/elsewhere', undefined, 404],
      ['/v1/connect', 'http://page.example', 403],
    ] as const) {
      const socket = new WebSocket(
        `ws://${listening.address}${path}`,
        origin === undefined ? {} : { origin },
      );
      const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
      expect(error.message).to.contain(String(status));
    }
    expect(accepted).to.deep.equal([]);
  });

  it('ends with `timeout` when the other side takes the connection and says nothing', async () => {
    const mute = createServer();
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const near = dial(`127.0.0.1:${(mute.address() as AddressInfo).port}`, 50);
    await eventually('the end is told', () => near.closes.length > 0);
    expect(near.closes[0]!.kind).to.equal('timeout');
    mute.close();
  });

  it('ends with `unreachable` at an address that names no place', async () => {
    const near = dial('127.0.0.1:70000');
    await eventually('the end is told', () => near.closes.length > 0);
    expect(near.closes.map((reason) => reason.kind)).to.deep.equal(['unreachable']);
  });

  it('ends a connection in good order when the acceptor closes, and takes no more', async () => {
    const near = dial(listening.address);
    await eventually('both stand', () => near.opened && accepted.length === 1);
    listening.acceptor.close('the process ends');
    await eventually('both are told', () => near.closes.length > 0 && accepted[0]!.closes.length > 0);
    expect(near.closes[0]).to.deep.equal({ kind: 'closed', detail: 'the process ends' });
    const late = dial(listening.address);
    await eventually('the late one is ended', () => late.closes.length > 0);
    expect(late.opened).to.equal(false);
  });
});
