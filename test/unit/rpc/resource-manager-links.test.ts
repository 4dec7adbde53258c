import { expect } from 'chai';
import type { InstanceId, ResourceId, ResourceManagerId } from '../../../src/core/ids.ts';
import type { ClusterView } from '../../../src/core/messages/handshake.ts';
import { SILENT_LOGGER, type Logger } from '../../../src/runtime/logger.ts';
import { NO_SECRET } from '../../../src/runtime/prover.ts';
import { acceptChannels } from '../../../src/rpc/handshake.ts';
import { InMemoryNetwork } from '../../../src/rpc/in-memory-network.ts';
import type { MessageChannel } from '../../../src/rpc/message-channel.ts';
import { ResourceManagerLinks } from '../../../src/rpc/resource-manager-links.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';
import { TestingLogger } from '../../support/testing-logger.ts';
import { SeededRandomness } from '../../support/testing-randomness.ts';

/** A resource manager that answers introductions with a view that the test sets, and pings unless told not to. */
class TestingServer {
  view: ClusterView = { clusterId: null, candidates: [], leader: null };
  answersPings = true;
  readonly channels: MessageChannel[] = [];
  introductions = 0;

  /** One process, under all these addresses. */
  constructor(network: InMemoryNetwork, clock: VirtualClock, ...addresses: [string, ...string[]]) {
    const [address] = addresses;
    const identity = {
      role: 'resource-manager',
      cluster: 'c',
      id: `rm-${address}`,
      instance: 'boot',
    } as const;
    const context = { clock, randomness: new SeededRandomness(1, address), prover: NO_SECRET, identity };
    const acceptor = acceptChannels(context, (channel) => {
      this.channels.push(channel);
      return {
        onRequest: (request) => {
          if (request.type === 'introduceTaskExecutor') {
            this.introductions += 1;
            request.respond(this.view);
          }
          if (request.type === 'ping' && this.answersPings)
            request.respond({ state: 'standby', epoch: null });
        },
        onNotification: () => {},
        onClose: () => {},
      };
    });
    for (const each of addresses) network.listen(each, acceptor);
  }

  names(...addresses: string[]): void {
    const candidates = addresses.map((address) => ({ resourceManagerId: 'x' as ResourceManagerId, address }));
    this.view = { clusterId: null, candidates, leader: null };
  }
}

describe('the links of a worker', () => {
  let clock: VirtualClock;
  let network: InMemoryNetwork;
  let views: string[];
  let downs: string[];

  beforeEach(() => {
    clock = new VirtualClock();
    network = new InMemoryNetwork(clock);
    views = [];
    downs = [];
  });

  function links(seeds: string[], except?: string, logger: Logger = SILENT_LOGGER): ResourceManagerLinks {
    const identity = { role: 'task-executor', cluster: 'c', id: 'te', instance: 'i' } as const;
    const made = new ResourceManagerLinks({
      context: { clock, randomness: new SeededRandomness(2), prover: NO_SECRET, identity },
      dialer: network.dialer('te:1'),
      logger,
      seeds,
      pingIntervalMs: 100,
      pingTimeoutMs: 300,
      ...(except === undefined ? {} : { except }),
      listener: {
        introduction: () => ({
          type: 'introduceTaskExecutor',
          body: {
            resourceId: 'te' as ResourceId,
            instanceId: 'i' as InstanceId,
            address: 'te:1',
            clusterId: null,
            highestToken: null,
          },
        }),
        onClusterView: (link) => views.push(link.address),
        onRequest: () => {},
        onNotification: () => {},
        onLinkDown: (link) => downs.push(link.address),
      },
    });
    made.start();
    return made;
  }

  it('lead to every candidate that a seed names', async () => {
    const seed = new TestingServer(network, clock, 'a:1');
    new TestingServer(network, clock, 'b:1');
    seed.names('a:1', 'b:1');
    const made = links(['a:1']);
    await clock.until(() => made.links.length === 2);
    expect(made.links.map((link) => link.address)).to.deep.equal(['a:1', 'b:1']);
    made.close();
  });

  it('learn of a candidate from a later change of the view', async () => {
    const seed = new TestingServer(network, clock, 'a:1');
    const made = links(['a:1']);
    await clock.until(() => made.links.length === 1);
    new TestingServer(network, clock, 'b:1');
    seed.names('a:1', 'b:1');
    seed.channels[0]!.notify('clusterViewChanged', seed.view);
    await clock.until(() => made.links.length === 2);
    expect(views).to.deep.equal(['a:1', 'a:1', 'b:1']);
    made.close();
  });

  it('lead once to a resource manager that is known by two addresses', async () => {
    const server = new TestingServer(network, clock, 'a:1', 'localhost:1');
    server.names('a:1');
    const made = links(['localhost:1']);
    await clock.advance(10_000);
    expect(made.links.map((link) => link.address)).to.deep.equal(['localhost:1']);
    expect(server.introductions).to.equal(1);
    expect(downs).to.deep.equal([]);
    made.close();
  });

  it('lead there by the other address when the first one breaks', async () => {
    const server = new TestingServer(network, clock, 'a:1', 'localhost:1');
    server.names('a:1');
    const made = links(['localhost:1']);
    await clock.advance(1_000);
    network.crash('localhost:1');
    await clock.advance(1_000);
    expect(made.links.map((link) => link.address)).to.deep.equal(['a:1']);
    expect(downs).to.deep.equal(['localhost:1']);
    made.forget('a:1');
    new TestingServer(network, clock, 'localhost:1');
    await clock.advance(10_000);
    expect(made.links.map((link) => link.address)).to.deep.equal(['localhost:1']);
    made.close();
  });

  it('never lead to the address that is their owner', async () => {
    const seed = new TestingServer(network, clock, 'a:1');
    const own = new TestingServer(network, clock, 'te:1');
    seed.names('te:1');
    const made = links(['a:1'], 'te:1');
    await clock.advance(1_000);
    expect(own.introductions).to.equal(0);
    made.close();
  });

  it('are dialled again after a break, and introduced again', async () => {
    const first = new TestingServer(network, clock, 'a:1');
    const made = links(['a:1']);
    await clock.until(() => made.links.length === 1);
    network.crash('a:1');
    await clock.until(() => downs.length === 1);
    expect(made.links).to.have.length(0);
    const second = new TestingServer(network, clock, 'a:1');
    await clock.until(() => made.links.length === 1);
    expect([first.introductions, second.introductions]).to.deep.equal([1, 1]);
    made.close();
  });

  it('give up a server that does not answer pings', async () => {
    const server = new TestingServer(network, clock, 'a:1');
    const made = links(['a:1']);
    await clock.until(() => made.links.length === 1);
    server.answersPings = false;
    await clock.until(() => downs.length === 1, 1_000);
    made.close();
  });

  it('say once in the log why a resource manager is not reached, and again after it was', async () => {
    const logger = new TestingLogger();
    const made = links(['a:1'], undefined, logger);
    const told = (): unknown[] => logger.of('resource-manager-not-reached').map(({ address }) => address);
    await clock.advance(20_000);
    expect(told()).to.deep.equal(['a:1']);
    new TestingServer(network, clock, 'a:1');
    await clock.until(() => made.links.length === 1);
    network.crash('a:1');
    await clock.advance(20_000);
    expect(told()).to.deep.equal(['a:1', 'a:1']);
  });

  it('tell nothing after they were closed', async () => {
    new TestingServer(network, clock, 'a:1');
    const made = links(['a:1']);
    await clock.until(() => made.links.length === 1);
    made.close();
    await clock.advance(5_000);
    expect(downs).to.deep.equal([]);
    expect(clock.nextDueMs()).to.equal(null);
  });
});
