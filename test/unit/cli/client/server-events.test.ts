import { expect } from 'chai';
import { serverEvents, type ServerEvent } from '../../../../src/cli/client/server-events.ts';

async function* parts(...texts: (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield await Promise.resolve(Buffer.from(text));
}

async function read(...texts: (string | Buffer)[]): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of serverEvents(parts(...texts))) events.push(event);
  return events;
}

describe('server-sent events', () => {
  it('are read across any cut, with names, comments and data of several lines', async () => {
    const text = ': hello\n\nid: 1\nevent: leader\ndata: {"a":1}\n\ndata: one\ndata: two\n\n';
    const expected = [
      { event: 'leader', data: '{"a":1}' },
      { event: 'message', data: 'one\ntwo' },
    ];
    for (let cut = 0; cut <= text.length; cut += 1) {
      expect(await read(text.slice(0, cut), text.slice(cut))).to.deep.equal(expected);
    }
  });

  it('keep characters that a cut goes through', async () => {
    const whole = Buffer.from('data: €\n\n');
    expect(await read(whole.subarray(0, 7), whole.subarray(7))).to.deep.equal([
      { event: 'message', data: '€' },
    ]);
  });

  it('drop an event that has no end', async () => {
    expect(await read('data: half')).to.deep.equal([]);
  });

  it('are refused when a line does not end', async () => {
    let error: unknown;
    await read('x'.repeat(1024 * 1024 + 1)).catch((each: unknown) => (error = each));
    expect(error).to.be.instanceOf(Error);
  });
});
