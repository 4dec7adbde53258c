import { expect } from 'chai';
import { FrameSniffer } from '../../../../src/cli/drill/frame-sniffer.ts';

const UPGRADE = Buffer.from('GET /v1/connect HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n');

/** A frame as a client sends it: masked, with the shortest form of its length. */
function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  const mask = Buffer.from([1, 2, 3, 4]);
  const masked = Buffer.from(payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0)));
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : 4);
  head[0] = 0x81;
  head[1] = 0x80 | Math.min(length, 126);
  if (length >= 126) head.writeUInt16BE(length, 2);
  return Buffer.concat([head, mask, masked]);
}

const HELLO = (role: string): string =>
  JSON.stringify({ messages: [{ type: 'hello', id: 1, body: { role, cluster: 'drill', nonce: 'x' } }] });
const INTRODUCTION = JSON.stringify({
  messages: [
    { type: 'introduceResourceManager', id: 2, body: { resourceManagerId: 'rm-2', address: 'b:1' } },
  ],
});

describe('the first frames of a connection', () => {
  it('tell a worker by its hello', () => {
    const sniffer = new FrameSniffer();
    expect(sniffer.take(UPGRADE)).to.equal(null);
    expect(sniffer.take(frame(HELLO('task-executor')))).to.equal('task-executor');
  });

  it('tell a resource manager by its introduction, not by its hello', () => {
    const sniffer = new FrameSniffer();
    sniffer.take(UPGRADE);
    expect(sniffer.take(frame(HELLO('resource-manager')))).to.equal(null);
    expect(sniffer.take(frame(INTRODUCTION))).to.equal('rm-2');
  });

  it('may come in pieces of any size, and many in one', () => {
    const all = Buffer.concat([
      UPGRADE,
      frame(HELLO('resource-manager')),
      frame('x'.repeat(300)),
      frame(INTRODUCTION),
    ]);
    expect(new FrameSniffer().take(all)).to.equal('rm-2');
    const sniffer = new FrameSniffer();
    const said = [...all].map((byte) => sniffer.take(Buffer.from([byte])));
    expect(said.slice(0, -1).every((each) => each === null)).to.equal(true);
    expect(said.at(-1)).to.equal('rm-2');
  });

  it('of plain HTTP, and of whoever talks without end, are somebody else', () => {
    expect(new FrameSniffer().take(Buffer.from('GET /leaderz HTTP/1.1\r\nHost: a\r\n\r\n'))).to.equal(
      'other',
    );
    expect(new FrameSniffer().take(Buffer.alloc(100_000, 0x61))).to.equal('other');
  });

  it('are remembered', () => {
    const sniffer = new FrameSniffer();
    sniffer.take(Buffer.concat([UPGRADE, frame(HELLO('job-master'))]));
    expect(sniffer.take(Buffer.from('anything'))).to.equal('job-master');
  });
});
