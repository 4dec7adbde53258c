import { expect } from 'chai';
import { request } from 'undici';
import type { Measurements } from '../../src/cli/doctor/measurements.ts';
import type { TermAccount } from '../../src/cli/explain/term-account.ts';
import { DevRun } from '../support/dev-run.ts';
import { EventReader } from '../support/event-reader.ts';
import { judge, type OpenApiDocument } from '../support/openapi-judge.ts';

describe('the operator HTTP of a running cluster', function () {
  this.timeout(90_000);
  let dev: DevRun;
  let leader: string;
  let standby: string;
  let document: OpenApiDocument;

  before(async () => {
    dev = await DevRun.up('--resource-managers', '2', '--task-executors', '1', '--job-slots', '2');
    ({ address: leader } = await dev.json<{ address: string }>('leader'));
    standby = dev.up.resourceManagers.find(({ address }) => address !== leader)?.address ?? '';
    document = (await (await request(`http://${leader}/openapi.json`)).body.json()) as OpenApiDocument;
  });

  after(() => dev.end());

  it('answers as its own document says, the leader itself and a standby on its behalf', async () => {
    let judged = 0;
    for (const [path, { get }] of Object.entries(document.paths)) {
      const content = get?.responses['200']?.content['application/json'];
      if (get === undefined || content === undefined || path === '/openapi.json') continue;
      const relayed = (get.parameters ?? []).some(({ name }) => name === 'relay');
      const urls = [`http://${leader}${path}`, ...(relayed ? [`http://${standby}${path}?relay=true`] : [])];
      for (const url of urls) {
        const { statusCode, body } = await request(url);
        const value = await body.json();
        expect(statusCode, `${url}: ${JSON.stringify(value)}`).to.equal(200);
        judge(document, content.schema)(value);
        judged += 1;
      }
    }
    expect(judged).to.be.at.least(13);
  });

  it('refuses what a standby cannot say, and names the leader', async () => {
    const { statusCode, body } = await request(`http://${standby}/v1/slots`);
    const problem = (await body.json()) as { leader: { address: string } };
    expect(statusCode).to.equal(421);
    judge(document, { $ref: '#/components/schemas/Problem' })(problem);
    expect(problem.leader.address).to.equal(leader);
    expect((await request(`http://${standby}/leaderz`)).statusCode).to.equal(503);
    expect((await request(`http://${standby}/readyz`)).statusCode).to.equal(200);
  });

  it('tells each event as its own document says, over a standby too, until its leader leads no more', async () => {
    const schemas =
      document.paths['/v1/events']?.['get']?.responses['200']?.content['text/event-stream']?.['x-events'] ??
      {};
    const events = await EventReader.open(`http://${standby}/v1/events?relay=true`);
    const leaders = await EventReader.open(`http://${standby}/v1/leader/watch`);
    expect((await leaders.next())?.data).to.include({ address: leader });
    await dev.run('step-down', '--reason', 'a test of the events');
    const kinds = new Set<string>();
    for (let sent = await events.next(); sent !== null; sent = await events.next()) {
      kinds.add(sent.event);
      const schema = schemas[sent.event];
      expect(schema, sent.event).to.not.equal(undefined);
      judge(document, schema ?? {})(sent.data);
    }
    expect(kinds).to.include('leadership');
    let next = await leaders.next();
    if (next?.event === 'no-leader') next = await leaders.next();
    expect(next?.data).to.include({ address: standby });
    events.close();
    leaders.close();
  });

  it('leaves in history what explain tells of the term that was ended', async () => {
    const { history } = await dev.json<{ history: { epoch: string }[] }>('history');
    const ended = history.at(-1)?.epoch ?? '';
    const account = await dev.json<TermAccount>('explain', ended);
    expect(account.term.ended).to.include({ by: account.term.resourceManagerId });
    expect(account.ledForMs).to.be.above(0);
    expect(account.after?.leaderless.ms).to.be.a('number');
    expect((await dev.run('explain', `1-${ended}`)).stdout).to.contain('a test of the events');
    const { code, stderr } = await dev.run('explain', '999999');
    expect(code).to.equal(1);
    expect(stderr).to.contain('There is no term 999999 among the');
  });

  it('can be looked at by the doctor, which finds etcd and the resource managers by itself', async () => {
    const { code, stdout, stderr } = await dev.run('doctor', '--json');
    const { endpoints, resourceManagers } = JSON.parse(stdout) as Measurements;
    expect([0, 1], stderr).to.include(code);
    expect(endpoints.map(({ endpoint }) => endpoint)).to.deep.equal(dev.up.etcd);
    expect(resourceManagers.map(({ failure }) => failure)).to.deep.equal([null, null]);
  });
});
