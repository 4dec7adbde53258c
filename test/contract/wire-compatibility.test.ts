import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { NOTIFICATIONS, REQUESTS, type RequestType } from '../../src/core/messages/catalogue.ts';
import { OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION } from '../../src/core/messages/protocol-version.ts';
import { PROBLEM_CODES } from '../../src/core/problem.ts';
import {
  decodeNotification,
  decodeProblem,
  decodeReply,
  decodeRequest,
  toJson,
} from '../../src/rpc/wire-format.ts';

/** One message as a process of that version has sent it, and the fields without which its receiver refuses it. */
interface Recorded {
  readonly kind: 'request' | 'reply' | 'notification';
  readonly type: string;
  readonly required: readonly string[];
  readonly body: Readonly<Record<string, unknown>>;
}

/** Amounts are named by whoever uses them: every name there is known. */
const NAMES_OF_USERS = 'extended';

function recordedOf(version: number): Recorded[] {
  const text = readFileSync(`test/contract/recorded/messages-${version}.jsonl`, 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Recorded);
}

function decode({ kind, type }: Recorded, body: unknown): unknown {
  if (kind === 'request') return decodeRequest(type, body).body;
  if (kind === 'reply') return decodeReply(type as RequestType, body);
  return decodeNotification(type, body)?.body;
}

function isReadable(message: Recorded, body: unknown): boolean {
  try {
    decode(message, body);
    return true;
  } catch {
    return false;
  }
}

/** The paths of all fields of a body, `report.slots.0.state`. */
function pathsOf(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const here = [...path, name];
    return [...(Array.isArray(value) ? [] : [here]), ...pathsOf(inner, here)];
  });
}

/** The body without that field. */
function without(body: unknown, [name, ...rest]: readonly string[]): unknown {
  if (Array.isArray(body)) return body.map((each, i) => (String(i) === name ? without(each, rest) : each));
  const fields = Object.entries(body as object);
  if (rest.length === 0) return Object.fromEntries(fields.filter(([field]) => field !== name));
  return Object.fromEntries(
    fields.map(([field, inner]) => [field, field === name ? without(inner, rest) : inner]),
  );
}

/** The body with a field of a newer version in each object of it. */
function withUnknown(body: unknown, name = ''): unknown {
  if (Array.isArray(body)) return body.map((each) => withUnknown(each));
  if (typeof body !== 'object' || body === null || name === NAMES_OF_USERS) return body;
  const fields = Object.entries(body).map(([field, inner]) => [field, withUnknown(inner, field)]);
  return { ...Object.fromEntries(fields), fromTheFuture: { any: ['thing', 1, null] } };
}

/** Versions whose words this code has to understand. */
const SPOKEN = Array.from(
  { length: PROTOCOL_VERSION - OLDEST_PROTOCOL_VERSION + 1 },
  (_, i) => OLDEST_PROTOCOL_VERSION + i,
);

for (const version of SPOKEN) {
  describe(`messages as version ${version} sends them`, () => {
    const recorded = recordedOf(version);

    it('are there for each type of the catalogue', () => {
      const has = (kind: Recorded['kind'], type: string): boolean =>
        recorded.some((message) => message.kind === kind && message.type === type);
      const types = Object.keys(REQUESTS);
      expect(
        types.filter((type) => !has('request', type)),
        'requests',
      ).to.deep.equal([]);
      expect(
        types.filter((type) => !has('reply', type)),
        'replies',
      ).to.deep.equal([]);
      expect(
        Object.keys(NOTIFICATIONS).filter((type) => !has('notification', type)),
        'notifications',
      ).to.deep.equal([]);
    });

    it('are understood in full, and said again the same', () => {
      for (const message of recorded) {
        const said = JSON.parse(toJson(decode(message, message.body))) as unknown;
        expect(said, `${message.kind} ${message.type}`).to.deep.equal(message.body);
      }
    });

    it('are understood the same with fields in them that nobody knows yet', () => {
      for (const message of recorded) {
        const known = decode(message, message.body);
        expect(decode(message, withUnknown(message.body)), message.type).to.deep.equal(known);
      }
    });

    it('need the fields that they needed when they were recorded: no fewer, no more', () => {
      for (const message of recorded) {
        const needed = pathsOf(message.body)
          .filter((path) => !isReadable(message, without(message.body, path)))
          .map((path) => path.join('.'));
        expect(needed, `${message.kind} ${message.type}`).to.have.members(message.required);
      }
    });
  });
}

describe('words of a newer version', () => {
  it('are read as the safe one that is known: not serving, not free, not wanted', () => {
    const [ping] = recordedOf(PROTOCOL_VERSION).filter(
      ({ kind, type }) => kind === 'reply' && type === 'ping',
    );
    expect(decodeReply('ping', { ...ping!.body, state: 'dreaming' })).to.include({ state: 'standby' });
    const report = recordedOf(PROTOCOL_VERSION).find(
      ({ type, body }) => type === 'registerTaskExecutor' && toJson(body).includes('"state":"claimed"'),
    );
    const dreaming = JSON.parse(toJson(report!.body).replaceAll('"claimed"', '"dreaming"')) as unknown;
    expect(toJson(decodeRequest('registerTaskExecutor', dreaming).body)).to.include('"state":"quarantined"');
    const reject = recordedOf(PROTOCOL_VERSION).find(
      ({ type, kind }) => type === 'rejectSlot' && kind === 'request',
    );
    expect(decodeRequest('rejectSlot', { ...reject!.body, reason: 'bored' }).body).to.include({
      reason: 'not-wanted',
    });
  });

  it('leave a code that is not known as INTERNAL, with its text', () => {
    expect(decodeProblem({ code: 'TOO_MODERN', detail: 'why', also: 1 })).to.deep.equal({
      code: 'INTERNAL',
      detail: 'why',
    });
  });

  it('never make a code travel under another status than before', () => {
    const statuses = Object.entries(PROBLEM_CODES).map(([code, { status, retriable }]) => [
      code,
      status,
      retriable,
    ]);
    const recorded = JSON.parse(readFileSync('test/contract/recorded/codes-1.json', 'utf8')) as unknown[];
    expect(statuses).to.include.deep.members(recorded);
  });
});
