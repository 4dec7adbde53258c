import { expect } from 'chai';
import fc from 'fast-check';
import { request } from 'undici';
import type { RequestType } from '../../../src/core/messages/catalogue.ts';
import type { InstanceId } from '../../../src/core/ids.ts';
import type { Problem } from '../../../src/core/problem.ts';
import { createOperatorApp } from '../../../src/http/operator-app.ts';
import type { MessageChannel, Outcome } from '../../../src/rpc/message-channel.ts';
import { decodeRequest, toJson } from '../../../src/rpc/wire-format.ts';
import { SILENT_LOGGER } from '../../../src/runtime/logger.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';
import { serveOnLoopback, type TestingServer } from '../../support/http-server.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import {
  leaseKey,
  requestSlot,
  TaskExecutorFixture,
} from '../../support/taskexecutor/task-executor-fixture.ts';
import { tokenOf } from '../../support/taskexecutor/testing-resource-manager.ts';
import { populatedView, type TestingOperatorView } from '../../support/testing-operator-view.ts';
import { inspectable, parsed, RUNS, seed } from './hostile-input.ts';
import { checkPrototypes, hostileJson } from './hostile-json.ts';

/** What nobody expects as the value of a parameter. */
const HOSTILE_VALUES: readonly string[] = [
  ...'|0|-1|1.5|1e3|NaN|Infinity|0x10|1001|99999999999999999999| 5|5 |true|TRUE|null|[]|__proto__'.split('|'),
  'constructor',
  '\u0000',
  '\ud83d\ude00',
  'x'.repeat(2_000),
];

function checkNamed(problem: Pick<Problem, 'code' | 'fields' | 'detail'>): void {
  expect(problem.detail).to.be.a('string').with.length.above(5);
  if (problem.code === 'INVALID') expect(problem.fields, 'the fields').to.be.an('array').that.is.not.empty;
}

describe(`endpoints under hostile input made of valid input (seed ${seed})`, function () {
  this.timeout(600_000);

  describe('the operator HTTP', () => {
    let view: TestingOperatorView;
    let server: TestingServer;

    beforeEach(async () => {
      view = populatedView();
      const clock = new VirtualClock();
      server = await serveOnLoopback(
        createOperatorApp({ view, operations: view, clock, logger: SILENT_LOGGER }),
      );
    });

    afterEach(() => server.close());

    async function ask(path: string, body?: string): Promise<{ status: number; json: Problem }> {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      const method = body === undefined ? 'GET' : 'POST';
      const answer = await request(`${server.url}${path}`, { method, headers, ...(body && { body }) });
      return { status: answer.statusCode, json: (await answer.body.json()) as Problem };
    }

    const orders: Readonly<Record<string, unknown>> = {
      '/v1/step-down': { to: 'rm-2', reason: 'kernel update' },
      '/v1/new-generation': { generation: 7 },
      '/v1/task-executors/te-1/drain': {},
    };
    for (const [path, sample] of Object.entries(orders)) {
      it(`carries out ${path} or refuses it, names the field, and changes nothing then`, async () => {
        const accepted = await ask(path, JSON.stringify(sample));
        expect(accepted.status).to.equal(202);
        await fc.assert(
          fc.asyncProperty(hostileJson([sample]), async (text) => {
            const before = view.orders.length;
            const { status, json } = await ask(path, text);
            checkPrototypes();
            expect(status, text.slice(0, 200)).to.be.oneOf([202, 400, 413]);
            if (status === 202) return;
            checkNamed(json);
            expect(view.orders).to.have.length(before);
          }),
          { seed, numRuns: 4 * RUNS },
        );
        expect((await ask('/livez')).status).to.equal(200);
      });
    }

    it('answers a query with a page or names the parameter', async () => {
      const valid = ['limit', 'after', 'relay'];
      const name = fc.constantFrom(...valid, ...valid, 'unknown', '__proto__', 'limit[]', 'limit[x]', '');
      const parameter = fc.tuple(name, fc.constantFrom('2', 'te-1', 'false', ...HOSTILE_VALUES));
      const path = fc.constantFrom('/v1/slots', '/v1/task-executors', '/v1/job-masters', '/v1/history');
      await fc.assert(
        fc.asyncProperty(path, fc.array(parameter, { maxLength: 4 }), async (of, parameters) => {
          const query = new URLSearchParams(parameters).toString();
          const { status, json } = await ask(`${of}?${query}`);
          checkPrototypes();
          expect(status, query.slice(0, 200)).to.be.oneOf([200, 400]);
          if (status === 400) checkNamed(json);
          for (const { field } of json.fields ?? [])
            expect(parameters.map(([each]) => each).join()).to.include(field.split('.')[0]);
        }),
        { seed, numRuns: 8 * RUNS },
      );
      expect(view.orders).to.deep.equal([]);
    });
  });

  /** Sends bodies that are nearly right, past the compiler; whoever is not INVALID must be one that the decoder takes. */
  async function sendHostile(
    clock: VirtualClock,
    channel: () => MessageChannel | null,
    type: RequestType,
    sample: object,
    state: () => Promise<string> | string,
    numRuns = RUNS,
  ): Promise<void> {
    const valid = JSON.parse(toJson(sample)) as unknown;
    expect(() => decodeRequest(type, valid)).to.not.throw();
    await fc.assert(
      fc.asyncProperty(hostileJson([valid]), async (text) => {
        const json = parsed(text);
        if (json === null || inspectable(json.value) === 'deep') return;
        // As it travels: an infinite number does not.
        const body: unknown = JSON.parse(toJson(json.value));
        // What came before may have been valid, and still has its effects.
        await clock.advance(10);
        const before = await state();
        let isValid = true;
        try {
          decodeRequest(type, body);
        } catch {
          isValid = false;
        }
        let outcome: Outcome<RequestType> | null = null;
        const sender = channel();
        if (sender === null) throw new Error('the connection has ended');
        sender.request(type, body as never, 1_000, (answered) => {
          outcome = answered;
        });
        await clock.until(() => outcome !== null, 5_000, 'an answer');
        checkPrototypes();
        const { problem } = outcome as unknown as { problem?: Problem };
        if (problem !== undefined) checkNamed(problem);
        if (isValid) return;
        await clock.advance(10);
        expect(problem?.code, text.slice(0, 300)).to.equal('INVALID');
        expect(await state(), 'the state after what was refused').to.equal(before);
      }),
      { seed, numRuns },
    );
  }

  describe('a task executor', () => {
    const instance = 'instance-1' as InstanceId;
    const lease = leaseKey(0, 'a1', instance, 1);
    const of = { jobId: 'job-1', jobMasterId: 'jm-1' };
    const order = { generation: 1, revision: '10' };
    const bodies: Readonly<Partial<Record<RequestType, object>>> = {
      claimSlot: { ...of, order, lease },
      renewLeases: { ...of, order, leases: [lease] },
      releaseLeases: { ...of, leases: [leaseKey(1, 'other', instance, 1)] },
    };
    for (const [type, body] of Object.entries(bodies)) {
      it(`answers ${type} of a job master or names the field, and keeps its slots`, async () => {
        const f = new TaskExecutorFixture();
        const taskExecutor = await f.startRegistered();
        f.rm.command(tokenOf(1), instance, [requestSlot(0, 'a1')]);
        await f.clock.advance(10);
        const jm = await f.jobMaster();
        const state = (): string => `${f.rm.reports.length} ${toJson(taskExecutor.status())}`;
        await sendHostile(f.clock, () => jm.channel, type as RequestType, body, state);
        expect(f.fatal).to.deep.equal([]);
        expect(jm.closed).to.equal(null);
      });
    }

    it('names the number of a call that is of another term than its token', async () => {
      const f = new TaskExecutorFixture();
      await f.startRegistered();
      const number = { generation: 1, epoch: 2n, n: 1 };
      let outcome: Outcome<'executeSlotCommands'> | null = null;
      const body = { token: tokenOf(1), instanceId: instance, number, commands: [] };
      f.rm.channel?.request('executeSlotCommands', body, 1_000, (answered) => {
        outcome = answered;
      });
      await f.clock.advance(10);
      expect(outcome).to.have.nested.property('problem.fields[0].field', 'number');
    });

    it('executes commands of its leader or names the field, and keeps its slots', async () => {
      const f = new TaskExecutorFixture();
      const taskExecutor = await f.startRegistered();
      const { kind, ...rest } = requestSlot(0, 'a1') as { kind: string };
      const body = {
        token: tokenOf(1),
        instanceId: instance,
        number: { generation: 1, epoch: '1', n: 1 },
        commands: [{ kind, ...rest }, { kind: 'noOperation' }, { kind: 'drain', draining: false }],
      };
      const state = (): string => `${f.rm.reports.length} ${toJson(taskExecutor.status())}`;
      await sendHostile(f.clock, () => f.rm.channel, 'executeSlotCommands', body, state, 4 * RUNS);
      expect(f.fatal).to.deep.equal([]);
    });
  });

  describe('a resource manager', () => {
    it('takes what workers say or names the field, and keeps its books', async () => {
      const bench = new ResourceManagerBench();
      const { token } = bench.election.lead();
      const taskExecutor = await bench.taskExecutor('te-1');
      taskExecutor.grants();
      const registration = taskExecutor.registration(token);
      await taskExecutor.worker.call('registerTaskExecutor', registration);
      const jobMaster = await bench.jobMaster('job-1');
      await jobMaster.register(token);
      const of = { token, jobId: 'job-1', jobMasterId: 'job-1-1' };
      const profile = { cpuCores: 1, memoryMB: 512, extended: { gpu: 1 } };
      const asked = { allocationId: 'a1', profile, remainingMs: 5_000, excluded: ['te-9'] };
      const ofJobMaster: Readonly<Partial<Record<RequestType, object>>> = {
        requestSlots: { ...of, requests: [asked] },
        cancelSlotRequests: { ...of, allocationIds: ['a2'] },
        heartbeatJobMaster: { ...of, unfinished: ['a1'], held: [] },
      };
      const { view } = bench.resourceManager;
      const page = { limit: 100, after: null };
      const state = async (): Promise<string> =>
        toJson([
          (await view.overview()).slots,
          (await view.overview()).pendingRequests,
          await view.slots(page),
        ]);
      const worker = (): MessageChannel => taskExecutor.worker.channel;
      await sendHostile(bench.clock, worker, 'registerTaskExecutor', registration, state, 2 * RUNS);
      for (const [type, body] of Object.entries(ofJobMaster))
        await sendHostile(bench.clock, () => jobMaster.worker.channel, type as RequestType, body, state);
      expect(bench.fatal).to.deep.equal([]);
    });
  });
});
