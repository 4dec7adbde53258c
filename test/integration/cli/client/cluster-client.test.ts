import { expect } from 'chai';
import { z } from 'zod';
import { ClusterClient } from '../../../../src/cli/client/cluster-client.ts';
import { QuartermasterError, type Problem } from '../../../../src/core/problem.ts';
import { SystemClock } from '../../../../src/runtime/system-clock.ts';
import { TestingHttpServer } from '../../../support/testing-http-server.ts';

const DEAD = '127.0.0.1:1';
const answer = z.object({ value: z.number() });

let one: TestingHttpServer;
let two: TestingHttpServer;
let clients: ClusterClient[];

function client(...resourceManagers: string[]): ClusterClient {
  const made = new ClusterClient({ resourceManagers, timeoutMs: 300, clock: new SystemClock() });
  clients.push(made);
  return made;
}

async function problemOf(promise: Promise<unknown>): Promise<Problem> {
  try {
    await promise;
  } catch (error) {
    expect(error).to.be.instanceOf(QuartermasterError);
    return (error as QuartermasterError).problem;
  }
  throw new Error('was not refused');
}

describe('the client of a cluster', () => {
  beforeEach(async () => {
    clients = [];
    [one, two] = await Promise.all([TestingHttpServer.start(), TestingHttpServer.start()]);
  });
  afterEach(async () => {
    await Promise.all([one.stop(), two.stop(), ...clients.map((each) => each.close())]);
  });

  it('follows NOT_LEADER to the leader', async () => {
    one.refuse({
      code: 'NOT_LEADER',
      detail: 'x',
      leader: { resourceManagerId: 'two', address: two.address },
    });
    two.answer({ value: 2 });
    expect(await client(one.address).read('/v1/x', answer)).to.deep.equal({ value: 2 });
    expect(two.requests).to.deep.equal(['GET /v1/x']);
  });

  it('gives up after a few hops between two that name each other', async () => {
    const leader = { resourceManagerId: 'x', address: two.address };
    one.refuse({ code: 'NOT_LEADER', detail: 'x', leader: { ...leader, address: two.address } });
    two.refuse({ code: 'NOT_LEADER', detail: 'x', leader: { ...leader, address: one.address } });
    expect((await problemOf(client(one.address).read('/v1/x', answer))).code).to.equal('NOT_LEADER');
    expect(one.requests.length + two.requests.length).to.equal(4);
  });

  it('asks the next one when the first is dead, silent, or does not know', async () => {
    two.answer({ value: 7 });
    expect(await client(DEAD, two.address).read('/v1/x', answer)).to.deep.equal({ value: 7 });
    one.handler = () => {};
    expect(await client(one.address, two.address).read('/v1/x', answer)).to.deep.equal({ value: 7 });
    one.refuse({ code: 'NO_LEADER', detail: 'x' });
    expect(await client(one.address, two.address).read('/v1/x', answer)).to.deep.equal({ value: 7 });
  });

  it('asks the next one when the leader that was named is dead', async () => {
    one.refuse({ code: 'NOT_LEADER', detail: 'x', leader: { resourceManagerId: 'dead', address: DEAD } });
    two.answer({ value: 7 });
    expect(await client(one.address, two.address).read('/v1/x', answer)).to.deep.equal({ value: 7 });
  });

  it('says UNAVAILABLE, and who was asked, when nobody answers', async () => {
    const problem = await problemOf(client(DEAD).read('/v1/x', answer));
    expect(problem.code).to.equal('UNAVAILABLE');
    expect(problem.detail).to.contain(DEAD);
  });

  it('hands on the problem that was answered', async () => {
    one.refuse({ code: 'UNKNOWN_TASK_EXECUTOR', detail: 'no such' });
    const problem = await problemOf(client(one.address, two.address).order('POST', '/v1/x'));
    expect(problem).to.deep.include({ code: 'UNKNOWN_TASK_EXECUTOR', detail: 'no such' });
    expect(two.requests).to.deep.equal([]);
  });

  it('does not give an order again of which nothing is known', async () => {
    one.handler = (request) => request.socket.destroy();
    const problem = await problemOf(client(one.address, two.address).order('POST', '/v1/x', { a: 1 }));
    expect(problem.code).to.equal('NO_ANSWER');
    expect([one.requests.length, two.requests.length]).to.deep.equal([1, 0]);
  });

  it('gives an order to the next one when the first was never reached', async () => {
    await client(DEAD, two.address).order('DELETE', '/v1/x');
    expect(two.requests).to.deep.equal(['DELETE /v1/x']);
  });

  it('says INTERNAL for an answer that cannot be read', async () => {
    one.answer({ value: 'text' });
    expect((await problemOf(client(one.address).read('/v1/x', answer))).code).to.equal('INTERNAL');
    one.handler = (_request, response) => response.end('<html>');
    expect((await problemOf(client(one.address).read('/v1/x', answer))).code).to.equal('INTERNAL');
    one.handler = (_request, response) => response.writeHead(502).end('bad gateway');
    expect((await problemOf(client(one.address).read('/v1/x', answer))).detail).to.contain('502');
  });

  it('reads every page of a listing, up to the number of rows that is wanted', async () => {
    one.handler = (request, response) => {
      const url = new URL(request.url!, 'http://x');
      const from = Number(url.searchParams.get('after') ?? '0');
      const to = Math.min(from + Math.min(2, Number(url.searchParams.get('limit'))), 5);
      const rows = Array.from({ length: to - from }, (_, index) => from + index);
      response.end(JSON.stringify({ rows, next: to < 5 ? String(to) : null }));
    };
    const page = z.object({ rows: z.array(z.number()), next: z.string().nullable() });
    const read = (most?: number): Promise<number[]> =>
      client(one.address).readAll('/v1/x', page, (each) => each.rows, most);
    expect(await read()).to.deep.equal([0, 1, 2, 3, 4]);
    expect(await read(3)).to.deep.equal([0, 1, 2]);
  });
});
