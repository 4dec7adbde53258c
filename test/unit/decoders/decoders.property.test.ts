import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { journalFacts } from '../../../src/core/audit/journal-facts.ts';
import { NOTIFICATIONS, REQUESTS, type RequestType } from '../../../src/core/messages/catalogue.ts';
import { QuartermasterError } from '../../../src/core/problem.ts';
import { askerReaches } from '../../../src/ha/challenge.ts';
import {
  formatCandidate,
  formatHistoryRow,
  formatIdentity,
  formatLeaderRecord,
  parseCandidate,
  parseHistoryRow,
  parseIdentity,
  parseLeaderRecord,
} from '../../../src/ha/election-records.ts';
import { JOB_MASTER_FORMAT, TASK_EXECUTOR_FORMAT } from '../../../src/resourcemanager/records.ts';
import {
  decodeFrame,
  decodeNotification,
  decodeProblem,
  decodeReply,
  decodeRequest,
  encodeFrame,
  toJson,
} from '../../../src/rpc/wire-format.ts';

import { checkPrototypes } from './hostile-json.ts';
import { holds, inspectable, parsed, read, RUNS, seed } from './hostile-input.ts';

interface Recorded {
  readonly kind: 'request' | 'reply' | 'notification';
  readonly type: string;
  readonly body: unknown;
}

const recorded = readFileSync('test/contract/recorded/messages-1.jsonl', 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Recorded);

/** One decoder of a message's body: it takes it or names the field; what it takes, it takes again when it was sent on. */
function judgeBody(decode: (body: unknown) => unknown, text: string): void {
  const json = parsed(text);
  if (json === null) return;
  const before = inspectable(json.value);
  const body = read(() => {
    try {
      return { taken: decode(json.value) };
    } catch (error) {
      if (error instanceof QuartermasterError) expect(error.problem.fields).to.not.have.length(0);
      throw error;
    }
  });
  expect(inspectable(json.value), 'the input itself').to.equal(before);
  if (body === null || body.taken === null) return;
  const again = decode(JSON.parse(toJson(body.taken)));
  expect(toJson(again)).to.equal(toJson(body.taken));
}

describe(`decoders of hostile input (seed ${seed})`, function () {
  this.timeout(600_000);

  describe('of messages', () => {
    it('take a frame or refuse it as a whole', () => {
      const frame = {
        messages: [
          { type: 'ping', id: 1, body: {} },
          { type: 'fenced', body: { token: 1 } },
          { reply: 1, body: {} },
          { reply: 2, problem: { code: 'INVALID', detail: 'no' } },
        ],
      };
      holds(
        [frame],
        (text) => {
          const messages = read(() => decodeFrame(text));
          if (messages === null || inspectable(messages) === 'deep') return;
          expect(encodeFrame(decodeFrame(encodeFrame(messages)))).to.equal(encodeFrame(messages));
          for (const message of messages) {
            const names = Object.keys(message).toSorted().join();
            expect(names).to.be.oneOf([
              'body,id,type',
              'body,type',
              'type',
              'id,type',
              'body,reply',
              'reply',
              'problem,reply',
            ]);
          }
        },
        10 * RUNS,
      );
    });

    for (const type of Object.keys(REQUESTS) as RequestType[]) {
      const bodies = (kind: Recorded['kind']): unknown[] =>
        recorded.filter((each) => each.kind === kind && each.type === type).map(({ body }) => body);
      it(`take or refuse ${type} and its reply`, () => {
        holds(bodies('request'), (text) => judgeBody((body) => decodeRequest(type, body).body, text));
        holds(bodies('reply'), (text) => judgeBody((body) => decodeReply(type, body), text));
      });
    }

    for (const type of Object.keys(NOTIFICATIONS)) {
      it(`take or refuse the notification ${type}`, () => {
        const samples = recorded.filter((each) => each.kind === 'notification' && each.type === type);
        holds(
          samples.map(({ body }) => body),
          (text) => judgeBody((body) => decodeNotification(type, body)!.body, text),
        );
      });
    }

    it('refuse a type that is no own name of the catalogue', () => {
      for (const type of ['__proto__', 'constructor', 'toString', '', 'x'.repeat(100_000), '\ud800']) {
        expect(read(() => decodeRequest(type, {}))).to.equal(null);
        expect(decodeNotification(type, {})).to.equal(null);
      }
    });

    it('read any problem as one', () => {
      const problem = {
        code: 'FENCED',
        detail: 'no',
        fields: [{ field: 'a', detail: 'b' }],
        token: { generation: 1, epoch: '5', leaderSessionId: 's' },
      };
      holds([problem], (text) => {
        const json = parsed(text);
        if (json !== null) expect(decodeProblem(json.value).code).to.be.a('string');
        checkPrototypes();
      });
    });
  });

  describe('of etcd', () => {
    const written = { leaderSessionId: 's', generation: 1, epoch: '5' };
    const keyValue = (value: string) => ({
      key: 'k',
      value,
      createRevision: 1n,
      modRevision: 1n,
      version: 1n,
      lease: 0n,
    });
    const records: Record<string, { sample: unknown; again: (text: string) => string | null }> = {
      candidate: {
        sample: {
          resourceManagerId: 'rm-1',
          address: 'h:1',
          bootNonce: 'n',
          version: '1',
          protocolVersion: 1,
          oldestProtocolVersion: 1,
        },
        again: (text) => again(parseCandidate(text), formatCandidate),
      },
      identity: {
        sample: { clusterId: 'c', generation: 1 },
        again: (text) => again(parseIdentity(text), formatIdentity),
      },
      leader: {
        sample: {
          resourceManagerId: 'rm-1',
          address: 'h:1',
          ...written,
          confirmedAt: '2026-01-01T00:00:00Z',
        },
        again: (text) => again(parseLeaderRecord(text), formatLeaderRecord),
      },
      'row of history': {
        sample: {
          resourceManagerId: 'rm-1',
          ...written,
          confirmedAt: null,
          neverConfirmed: false,
          ended: { at: 'a', reason: 'r', evidence: 'e', by: 'b' },
        },
        again: (text) => again(parseHistoryRow(text), formatHistoryRow),
      },
      'registration of a task executor': {
        sample: {
          instanceId: 'i',
          address: 'h:1',
          slots: 2,
          provider: null,
          knownBefore: true,
          superseded: ['j'],
          gone: false,
          ...written,
        },
        again: (text) =>
          again(TASK_EXECUTOR_FORMAT.decode(keyValue(text)), (record) => TASK_EXECUTOR_FORMAT.encode(record)),
      },
      'registration of a job master': {
        sample: { jobMasterId: 'm', superseded: ['j'], ...written },
        again: (text) =>
          again(JOB_MASTER_FORMAT.decode(keyValue(text)), (record) => JOB_MASTER_FORMAT.encode(record)),
      },
    };
    function again<T>(record: T | null, format: (record: T) => string): string | null {
      return record === null ? null : format(record);
    }

    for (const [name, { sample, again: readAndWrite }] of Object.entries(records)) {
      it(`read a ${name}, and the same when it is written again, or nothing`, () => {
        expect(readAndWrite(JSON.stringify(sample))).to.not.equal(null);
        holds(
          [sample],
          (text) => {
            const first = readAndWrite(text);
            checkPrototypes();
            if (first !== null) expect(readAndWrite(first)).to.equal(first);
          },
          5 * RUNS,
        );
      });
    }

    it('take a record for none whose unknown fields are nested too deep to be written again', () => {
      const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
      for (const { sample, again: readAndWrite } of Object.values(records)) {
        const text = JSON.stringify(sample).replace(/}$/, `,"unknown":${deep}}`);
        expect(readAndWrite(text)).to.equal(null);
      }
    });

    it('read a challenge as a number of task executors', () => {
      holds([{ resourceManagerId: 'rm-1', taskExecutors: 3 }], (text) => {
        expect(Number.isSafeInteger(askerReaches({ value: text }))).to.equal(true);
      });
    });
  });

  it('of journals tell what a line says, or that it says nothing', () => {
    const lease = {
      slotNumber: 0,
      allocationId: 'a',
      instanceId: 'i',
      grantNumber: 1,
      jobId: 'j',
      durationMs: 5,
    };
    const token = { generation: 1, epoch: '5', leaderSessionId: 's' };
    const executor = { atMs: 1, resourceId: 'te', process: 'i' };
    const master = { atMs: 1, jobId: 'j', jobMasterId: 'm' };
    const samples = [
      { event: 'grant', ...executor, ...lease, jobMasterId: 'm', ...token },
      { event: 'started', ...executor, remembers: true, slotsDieWithProcess: false, ...token },
      { event: 'slot-claimed', ...master, ...lease, resourceId: 'te', deadlineMs: 7 },
    ];
    const where = { file: 'f', line: 1, wallMs: 1 };
    for (const sample of samples) expect(journalFacts(sample, where).of).to.be.oneOf(['executor', 'master']);
    holds(
      samples,
      (text) => {
        const json = parsed(text);
        if (json === null) return;
        expect(journalFacts(json.value, where).of).to.be.oneOf(['executor', 'master', 'nobody', 'unknown']);
        checkPrototypes();
      },
      5 * RUNS,
    );
  });
});
