import { expect } from 'chai';
import { PROTOCOL_VERSION } from '../../../src/core/messages/protocol-version.ts';
import { PROBLEM_CODES } from '../../../src/core/problem.ts';
import type { CloseReason } from '../../../src/rpc/connection.ts';
import { acceptChannels, dialChannel, type HandshakeContext } from '../../../src/rpc/handshake.ts';
import { InMemoryNetwork } from '../../../src/rpc/in-memory-network.ts';
import { NO_SECRET } from '../../../src/runtime/prover.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';
import { SeededRandomness } from '../../support/testing-randomness.ts';

const clock = new VirtualClock();

function context(role: 'task-executor' | 'resource-manager'): HandshakeContext {
  const identity = { role, cluster: 'c', id: `the-${role}`, instance: 'i' } as const;
  return { clock, randomness: new SeededRandomness(role.length, role), prover: NO_SECRET, identity };
}

interface Answer {
  readonly reply?: number;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly problem?: { readonly code: string; readonly detail: string };
}

/** What a server of this code answers to that hello, with fields in it that it does not know. */
async function answerTo(versions: object): Promise<Answer> {
  const network = new InMemoryNetwork(clock);
  const handler = { onRequest: (): void => {}, onNotification: (): void => {}, onClose: (): void => {} };
  network.listen(
    's:1',
    acceptChannels(context('resource-manager'), () => handler),
  );
  const frames: string[] = [];
  const body = { ...versions, role: 'task-executor', cluster: 'c', nonce: 'n', fromTheFuture: { a: [1] } };
  const connection = network.dialer('c:1').dial('s:1', {
    onOpen: () => connection.send(JSON.stringify({ messages: [{ type: 'hello', id: 1, body }], also: 1 })),
    onFrame: (frame) => frames.push(frame),
    onClose: () => {},
  });
  await clock.until(() => frames.length > 0);
  const { messages } = JSON.parse(frames[0] ?? '') as { messages: [Answer] };
  return messages[0];
}

/** Why this code hangs up on a server that answers in that version; null when it does not. */
async function hangsUpOn(protocolVersion: number): Promise<string | null> {
  const network = new InMemoryNetwork(clock);
  network.listen('s:1', (connection) => ({
    onFrame: () => {
      const names = { serverRole: 'resource-manager', serverId: 's', serverInstance: 'i', nonce: 'n' };
      const body = { protocolVersion, cluster: 'c', ...names, proof: null };
      connection.send(JSON.stringify({ messages: [{ reply: 1, body }] }));
    },
    onClose: () => {},
  }));
  let [ready, closed]: [boolean, CloseReason | null] = [false, null];
  dialChannel(context('task-executor'), network.dialer('c:1'), 's:1', 'resource-manager', {
    onReady: () => (ready = true),
    onRequest: () => {},
    onNotification: () => {},
    onClose: (reason) => (closed = reason),
  });
  await clock.until(() => ready || closed !== null);
  return (closed as CloseReason | null)?.detail ?? null;
}

describe('the versions in the handshake', () => {
  it('are agreed on with the one that comes next, in the words of the present one', async () => {
    const next = { protocolVersion: PROTOCOL_VERSION + 1, oldestProtocolVersion: PROTOCOL_VERSION };
    expect((await answerTo(next)).body).to.include({ protocolVersion: PROTOCOL_VERSION });
    expect((await answerTo({ protocolVersion: PROTOCOL_VERSION })).body).to.include({
      protocolVersion: PROTOCOL_VERSION,
    });
  });

  it('are refused with 426 when they are too far, and both are named', async () => {
    const tooFar = { protocolVersion: PROTOCOL_VERSION + 2, oldestProtocolVersion: PROTOCOL_VERSION + 1 };
    expect((await answerTo(tooFar)).problem).to.deep.equal({
      code: 'UNSUPPORTED_VERSION',
      detail: `The caller speaks protocol version ${PROTOCOL_VERSION + 1} to ${PROTOCOL_VERSION + 2}, resource-manager the-resource-manager speaks ${PROTOCOL_VERSION}.`,
    });
    expect(PROBLEM_CODES.UNSUPPORTED_VERSION.status).to.equal(426);
  });

  it('make the caller hang up on a server that answers in one which it does not speak', async () => {
    expect(await hangsUpOn(PROTOCOL_VERSION)).to.equal(null);
    expect(await hangsUpOn(PROTOCOL_VERSION + 1)).to.include('UNSUPPORTED_VERSION');
    expect(await hangsUpOn(PROTOCOL_VERSION - 1)).to.include('UNSUPPORTED_VERSION');
  });
});
