import { expect } from 'chai';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { isFree, freePorts } from '../../../../src/cli/cluster/free-ports.ts';
import { TcpProxy } from '../../../../src/cli/drill/tcp-proxy.ts';
import { WebSocketAcceptor } from '../../../../src/rpc/websocket/web-socket-acceptor.ts';
import { WebSocketDialer } from '../../../../src/rpc/websocket/web-socket-dialer.ts';
import { SystemClock } from '../../../../src/runtime/system-clock.ts';
import { createServer as createHttpServer } from 'node:http';
import { eventually } from '../../../support/eventually.ts';

/** One end of a connection and what it was told. */
class Line {
  readonly socket: Socket;
  heard = '';
  isOver = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (text: Buffer) => (this.heard += text.toString()));
    socket.on('close', () => (this.isOver = true));
    socket.on('error', () => {});
  }
}

describe('a proxy', () => {
  let server: Server;
  let accepted: Line[];
  let proxy: TcpProxy;
  let port: number;
  let lines: Line[];

  beforeEach(async () => {
    accepted = [];
    lines = [];
    const [target = 0, own = 0] = await freePorts(2);
    port = own;
    server = createServer((socket) => {
      const line = new Line(socket);
      accepted.push(line);
      socket.on('data', (text: Buffer) => socket.write(`echo ${text.toString()}`));
    });
    await new Promise<void>((resolve) => server.listen(target, '127.0.0.1', resolve));
    proxy = await TcpProxy.listen(port, target);
  });
  afterEach(async () => {
    for (const { socket } of [...lines, ...accepted]) socket.destroy();
    await proxy.close();
    await new Promise((resolve) => server.close(resolve));
  });

  function dial(): Line {
    const line = new Line(connect({ host: '127.0.0.1', port }));
    lines.push(line);
    return line;
  }

  it('carries what is said both ways, and the end of a connection', async () => {
    const line = dial();
    line.socket.write('a');
    await eventually('the answer comes', () => line.heard === 'echo a');
    accepted[0]?.socket.destroy();
    await eventually('the end comes through', () => line.isOver);
    await eventually('nothing is kept', () => proxy.connections === 0);
  });

  it('carries more than the buffers of both sides hold', async () => {
    const line = dial();
    const text = 'x'.repeat(8_000_000);
    line.socket.write(text);
    await eventually('all of it comes back', () => line.heard.replaceAll('echo ', '').length === text.length);
  });

  it('tells nobody that a connection is cut, and delivers what was sent once it is mended', async () => {
    const line = dial();
    line.socket.write('a');
    await eventually('it stands', () => line.heard === 'echo a');
    proxy.cut('all');
    line.socket.write('b');
    accepted[0]?.socket.write('c');
    const late = dial();
    late.socket.write('d');
    await eventually('both stand', () => proxy.connections === 2);
    // Whatever passed would have come before the answer to this one, which does not go through the proxy.
    await settled(server);
    expect([line.heard, line.isOver, late.heard, late.isOver]).to.deep.equal(['echo a', false, '', false]);
    proxy.cut(null);
    await eventually('what was held comes', () => line.heard.includes('c') && line.heard.includes('echo b'));
    await eventually('also for the late one', () => late.heard === 'echo d');
  });

  it('tells the other side of an end only when the cut is mended', async () => {
    const line = dial();
    line.socket.write('a');
    await eventually('it stands', () => line.heard === 'echo a');
    proxy.cut('all');
    line.socket.destroy();
    await settled(server);
    expect(accepted[0]?.isOver).to.equal(false);
    proxy.cut(null);
    await eventually('now it knows', () => accepted[0]?.isOver === true);
  });

  it('refuses whoever dials while it must, lets those that are connected go on, and listens again', async () => {
    const line = dial();
    line.socket.write('a');
    await eventually('it is through', () => line.heard === 'echo a');
    proxy.refuse();
    const refused = connect({ host: '127.0.0.1', port: proxy.port });
    const code = await new Promise((resolve) =>
      refused.on('error', (error: NodeJS.ErrnoException) => resolve(error.code)),
    );
    expect(code).to.equal('ECONNREFUSED');
    line.socket.write('b');
    await eventually('it goes on', () => line.heard === 'echo aecho b');
    await proxy.accept();
    const next = dial();
    next.socket.write('c');
    await eventually('the next one is through', () => next.heard === 'echo c');
  });

  it('leaves its port free', async () => {
    dial();
    await eventually('somebody is connected', () => proxy.connections === 1);
    const { port: own } = proxy;
    await proxy.close();
    expect(await isFree(own)).to.equal(true);
    proxy = await TcpProxy.listen(own, 1);
  });
});

/** Resolves when the server has served a whole exchange that began now. */
async function settled(server: Server): Promise<void> {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  const line = new Line(connect({ host: '127.0.0.1', port: address.port }));
  line.socket.write('z');
  await eventually('the direct exchange is over', () => line.heard === 'echo z');
  line.socket.destroy();
}

describe('a proxy in front of WebSockets', () => {
  it('cuts those whom it is told to, by who they say they are', async () => {
    const clock = new SystemClock();
    const [target = 0, own = 0] = await freePorts(2);
    const server = createHttpServer();
    const acceptor = new WebSocketAcceptor(clock, (connection) => ({
      onFrame: (frame) => connection.send(frame),
      onClose: () => {},
    }));
    acceptor.attach(server);
    await new Promise<void>((resolve) => server.listen(target, '127.0.0.1', resolve));
    const proxy = await TcpProxy.listen(own, target);
    const dialer = new WebSocketDialer(clock);
    const dial = (name: string) => {
      const heard: string[] = [];
      const hello = JSON.stringify({ messages: [{ type: 'hello', body: { role: name } }] });
      const introduction = JSON.stringify({
        messages: [{ type: 'introduceResourceManager', body: { resourceManagerId: name } }],
      });
      const connection = dialer.dial(`127.0.0.1:${own}`, {
        onOpen: () => connection.send(name === 'task-executor' ? hello : introduction),
        onFrame: (frame) => heard.push(frame),
        onClose: () => {},
      });
      return { connection, heard };
    };
    const [worker, standby, other] = [dial('task-executor'), dial('rm-2'), dial('rm-3')];
    await eventually('all are through', () =>
      [worker, standby, other].every(({ heard }) => heard.length > 0),
    );
    proxy.cut(new Set(['rm-2']));
    for (const { connection } of [standby, worker, other]) connection.send('"again"');
    const late = dial('rm-2');
    await eventually('the others go on', () => [worker, other].every(({ heard }) => heard.length === 2));
    expect([standby.heard.length, late.heard.length]).to.deep.equal([1, 0]);
    proxy.cut(null);
    await eventually('it is mended', () => standby.heard.length === 2 && late.heard.length === 1);
    for (const { connection } of [worker, standby, other, late]) connection.close('the test is over');
    acceptor.close('the test is over');
    await proxy.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});
