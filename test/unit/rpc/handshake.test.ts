import { expect } from 'chai';
import { secretProver, NO_SECRET, type Prover } from '../../../src/runtime/prover.ts';
import type { CloseReason } from '../../../src/rpc/connection.ts';
import { acceptChannels, dialChannel, type HandshakeContext } from '../../../src/rpc/handshake.ts';
import { InMemoryNetwork } from '../../../src/rpc/in-memory-network.ts';
import type { InboundRequest } from '../../../src/rpc/message-channel.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';
import { SeededRandomness } from '../../support/testing-randomness.ts';

interface Attempt {
  ready: boolean;
  closed: CloseReason | null;
  served: number;
  served2: InboundRequest[];
}

const clock = new VirtualClock();

function context(
  role: 'task-executor' | 'resource-manager',
  cluster: string,
  prover: Prover,
): HandshakeContext {
  return {
    clock,
    randomness: new SeededRandomness(role.length, role),
    prover,
    identity: { role, cluster, id: `the-${role}`, instance: 'i' },
  };
}

async function attempt(client: HandshakeContext, server: HandshakeContext): Promise<Attempt> {
  const network = new InMemoryNetwork(clock);
  const result: Attempt = { ready: false, closed: null, served: 0, served2: [] };
  const acceptor = acceptChannels(server, () => {
    result.served += 1;
    return { onRequest: (r) => result.served2.push(r), onNotification: () => {}, onClose: () => {} };
  });
  network.listen('s:1', acceptor);
  dialChannel(client, network.dialer('c:1'), 's:1', 'resource-manager', {
    onReady: () => (result.ready = true),
    onRequest: () => {},
    onNotification: () => {},
    onClose: (reason) => (result.closed = reason),
  });
  await clock.until(() => result.ready || result.closed !== null);
  return result;
}

describe('the handshake', () => {
  it('lets through a worker and a resource manager of one cluster', async () => {
    const result = await attempt(
      context('task-executor', 'c', NO_SECRET),
      context('resource-manager', 'c', NO_SECRET),
    );
    expect(result).to.include({ ready: true, served: 1, closed: null });
  });

  it('refuses a caller of another cluster with WRONG_CLUSTER', async () => {
    const result = await attempt(
      context('task-executor', 'other', NO_SECRET),
      context('resource-manager', 'c', NO_SECRET),
    );
    expect(result).to.include({ ready: false, served: 0 });
    expect(result.closed!.detail).to.include('WRONG_CLUSTER').and.include('other');
  });

  it('hangs up on a server of another role, before it shows anything', async () => {
    const result = await attempt(
      context('task-executor', 'c', NO_SECRET),
      context('task-executor', 'c', NO_SECRET),
    );
    expect(result.ready).to.equal(false);
    expect(result.closed!.detail).to.include('UNAUTHORIZED');
  });

  it('hangs up on a server that does not know the secret', async () => {
    for (const prover of [NO_SECRET, secretProver('wrong')]) {
      const result = await attempt(
        context('task-executor', 'c', secretProver('right')),
        context('resource-manager', 'c', prover),
      );
      expect(result.ready).to.equal(false);
      expect(result.closed!.detail).to.include('UNAUTHORIZED');
    }
    const proved = await attempt(
      context('task-executor', 'c', secretProver('right')),
      context('resource-manager', 'c', secretProver('right')),
    );
    expect(proved.ready).to.equal(true);
  });

  it('serves nothing before hello, and gives up on a silent caller', async () => {
    const network = new InMemoryNetwork(clock);
    let served = 0;
    const frames: string[] = [];
    let closed: CloseReason | null = null;
    network.listen(
      's:1',
      acceptChannels(context('resource-manager', 'c', NO_SECRET), () => {
        served += 1;
        return { onRequest: () => {}, onNotification: () => {}, onClose: () => {} };
      }),
    );
    const raw = network.dialer('c:1').dial('s:1', {
      onOpen: () => raw.send('{"messages":[{"type":"ping","id":1,"body":{}},{"type":"fenced","body":{}}]}'),
      onFrame: (frame) => frames.push(frame),
      onClose: (reason) => (closed = reason),
    });
    await clock.until(() => closed !== null);
    expect(served).to.equal(0);
    expect(frames[0]).to.include('UNAUTHORIZED');
    expect(frames.at(-1)).to.include('NO_ANSWER');
  });

  it('refuses a long frame before hello with TOO_LARGE, unread', async () => {
    const network = new InMemoryNetwork(clock);
    network.listen(
      's:1',
      acceptChannels(context('resource-manager', 'c', NO_SECRET), () => {
        throw new Error('nobody is served');
      }),
    );
    const frames: string[] = [];
    let closed = false;
    const connection = network.dialer('c:1').dial('s:1', {
      onOpen: () => connection.send(`{"messages":[${'1,'.repeat(10_000)}1]}`),
      onFrame: (frame) => frames.push(frame),
      onClose: () => (closed = true),
    });
    await clock.until(() => closed);
    expect(frames).to.have.length(1);
    expect(frames[0]).to.include('"TOO_LARGE"');
  });
});
