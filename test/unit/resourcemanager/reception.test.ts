import { expect } from 'chai';
import type { Problem } from '../../../src/core/problem.ts';
import type { Broadcast } from '../../../src/resourcemanager/broadcast.ts';
import { Reception } from '../../../src/resourcemanager/reception.ts';
import { ConnectionRegister, type WorkerConnection } from '../../../src/resourcemanager/worker-connection.ts';
import {
  type ChannelHandler,
  type InboundRequest,
  MessageChannel,
} from '../../../src/rpc/message-channel.ts';
import { Mailbox } from '../../../src/runtime/mailbox.ts';
import { TestingLogger } from '../../support/testing-logger.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';

const MOST_WAITING = 100_000;

/** A reception whose mailbox the test can fill. */
class ReceptionBench {
  readonly clock = new VirtualClock();
  readonly mailbox = new Mailbox(this.clock, (error) => {
    throw error;
  });
  readonly #reception = new Reception({
    clock: this.clock,
    silentMs: 60_000,
    mailbox: this.mailbox,
    connections: new ConnectionRegister(),
    broadcast: { announce: () => {} } as unknown as Broadcast,
    logger: new TestingLogger(),
    view: () => ({ clusterId: null, candidates: [], leader: null }),
    term: () => null,
    refusal: () => null,
    workerHeard: () => {},
  });

  connect(role: WorkerConnection['role']): ChannelHandler {
    const connection = { peer: role, bufferedBytes: 0, send: () => {}, close: () => {} };
    const ignore = { onRequest: () => {}, onNotification: () => {}, onClose: () => {} };
    return this.#reception.serve(new MessageChannel(connection, this.clock, ignore), role);
  }
}

function ping(respond: () => void, fail: (problem: Problem) => void = () => {}): InboundRequest {
  return { type: 'ping', body: {}, respond, fail };
}

describe('the reception', () => {
  it('reads what workers send after what waits, and answers another resource manager before it', async () => {
    const bench = new ReceptionBench();
    const { mailbox } = bench;
    const worker = bench.connect('task-executor');
    const peer = bench.connect('resource-manager');
    const order: string[] = [];
    mailbox.post(() => {
      mailbox.post(() => order.push('waited'));
      worker.readIn?.(() => order.push('read'));
      peer.onRequest(ping(() => order.push('peer')));
      order.push('first');
    });
    await bench.clock.advance(0);
    expect(peer.readIn, 'read as it comes').to.equal(undefined);
    expect(order).to.deep.equal(['first', 'peer', 'waited', 'read']);
  });

  it('keeps no frame back, and refuses what it asks with OVERLOADED, while too many events wait', () => {
    const bench = new ReceptionBench();
    const { mailbox } = bench;
    const worker = bench.connect('job-master');
    const refused: string[] = [];
    mailbox.post(() => {
      for (let n = 0; n < MOST_WAITING; n += 1) mailbox.post(() => {});
      const asked = ping(
        () => {},
        ({ code }) => refused.push(code),
      );
      worker.readIn?.(() => worker.onRequest(asked));
      expect(refused, 'in that very turn').to.deep.equal(['OVERLOADED']);
      expect(mailbox.length).to.equal(MOST_WAITING);
    });
    expect(refused).to.have.length(1);
  });

  it('reads the end of a connection also when its mailbox is closed', () => {
    const bench = new ReceptionBench();
    const worker = bench.connect('task-executor');
    let read = false;
    bench.mailbox.close();
    worker.readIn?.(() => (read = true));
    expect(read).to.equal(true);
  });
});
