import { expect } from 'chai';
import type { ClusterId, LeaderSessionId, ResourceManagerId } from '../../../src/core/ids.ts';
import type { Transaction, TransactionResult } from '../../../src/ha/coordination-store.ts';
import {
  formatHistoryRow,
  formatIdentity,
  parseCandidate,
  parseHistoryRow,
} from '../../../src/ha/election-records.ts';
import {
  answerChallenge,
  check,
  type Confirm,
  confirm,
  createIdentity,
  depart,
  guarded,
  historyOf,
  putCandidate,
  rangeOf,
  type StandingKey,
} from '../../../src/ha/election-transactions.ts';
import { historyWork } from '../../../src/ha/history.ts';
import { ClusterKeys } from '../../../src/ha/keys.ts';
import { StoreState } from '../../../src/ha/embedded/store-state.ts';

const keys = new ClusterKeys('c');
const identity = { clusterId: 'cluster-1' as ClusterId, generation: 1 };
const LEASE = 0xabcn;
const END = { at: 'now', reason: 'lost', evidence: 'gone', by: 'rm-1' };

describe('election transactions', () => {
  let state: StoreState;
  let own: StandingKey;

  function transact(transaction: Transaction): TransactionResult {
    return state.transact(transaction);
  }

  function put(key: string, value = '{}', lease?: bigint): bigint {
    const operation = { type: 'put', key, value } as const;
    const success = [lease === undefined ? operation : { ...operation, lease }];
    return transact({ compare: [], success, failure: [] }).revision;
  }

  function value(key: string): string | undefined {
    return state.range({ type: 'range', key }).keyValues[0]?.value;
  }

  function term(changes: Partial<Confirm> = {}): Confirm {
    const token = {
      generation: 1,
      epoch: own.createRevision,
      leaderSessionId: 'session-1' as LeaderSessionId,
    };
    const resourceManagerId = 'rm-1' as ResourceManagerId;
    return {
      own,
      leaseId: LEASE,
      record: { resourceManagerId, address: 'rm-1:7000', token, confirmedAt: 'now' },
      identityValue: formatIdentity(identity),
      history: { close: [], drop: [] },
      aheadAtFirst: [],
      rowsAhead: [],
      ...changes,
    };
  }

  beforeEach(() => {
    state = new StoreState(1);
    state.grantLease(LEASE, 10, 0);
    transact(createIdentity(keys, identity));
    const key = keys.candidate(LEASE);
    own = { key, createRevision: transact(putCandidate(keys, key, 'me', LEASE)).revision };
  });

  it('create an identity only where nothing of the cluster is', () => {
    const again = transact(createIdentity(keys, { ...identity, clusterId: 'cluster-2' as ClusterId }));
    expect(again.succeeded).to.equal(false);
    expect(rangeOf(again.results, 0)[0]?.value).to.equal(formatIdentity(identity));
    const other = new ClusterKeys('d');
    put(`${other.root}something`);
    expect(transact(createIdentity(other, identity)).succeeded).to.equal(false);
    expect(value(other.identity)).to.equal(undefined);
  });

  it('find the candidate key of an earlier copy, with its create revision', () => {
    const again = transact(putCandidate(keys, own.key, 'me', LEASE));
    expect(again.succeeded).to.equal(false);
    expect(rangeOf(again.results, 0)[0]?.createRevision).to.equal(own.createRevision);
  });

  it('put a candidate key on no lease but its own', () => {
    expect(() => transact(putCandidate(keys, keys.candidate(1n), 'x', 1n))).to.throw(/lease/i);
  });

  describe('confirm', () => {
    it("writes record, row and predecessor's end, and deletes the challenge", () => {
      const before = keys.historyRow(1, 1n);
      const row = { ...historyOf(term().record), epoch: 1n };
      put(before, JSON.stringify({ ...row, epoch: '1' }));
      const challenge = keys.challenge(1, own.createRevision);
      put(challenge);
      const rows = state.range({ type: 'range', key: keys.history, prefix: true }).keyValues;
      const history = historyWork(rows, keys.historyRow(1, own.createRevision), END);
      expect(transact(confirm(keys, term({ history }))).succeeded).to.equal(true);
      expect(parseHistoryRow(value(before)!)?.ended).to.deep.equal(END);
      expect(value(challenge)).to.equal(undefined);
      expect(state.range({ type: 'range', key: keys.leader }).keyValues[0]?.lease).to.equal(LEASE);
    });

    it('commits once: a repetition finds its own session id', () => {
      expect(transact(confirm(keys, term())).succeeded).to.equal(true);
      const again = transact(confirm(keys, term()));
      expect(again.succeeded).to.equal(false);
      for (const index of [1, 3]) expect(rangeOf(again.results, index)[0]?.value).to.include('session-1');
    });

    it('is refused when its key is another one of the same name', () => {
      transact({ compare: [], success: [{ type: 'delete', key: own.key }], failure: [] });
      put(own.key, 'me', LEASE);
      expect(transact(confirm(keys, term())).succeeded).to.equal(false);
      expect(value(keys.leader)).to.equal(undefined);
    });

    it('is refused when somebody stands ahead', () => {
      const second = 0xdefn;
      state.grantLease(second, 10, 0);
      const key = keys.candidate(second);
      const behind = { key, createRevision: transact(putCandidate(keys, key, 'you', second)).revision };
      const { record } = term();
      const request = term({
        own: behind,
        leaseId: second,
        record: { ...record, token: { ...record.token, epoch: behind.createRevision } },
      });
      expect(transact(confirm(keys, request)).succeeded).to.equal(false);
    });

    it('is refused under another identity, or none', () => {
      put(keys.identity, formatIdentity({ ...identity, generation: 2 }));
      expect(transact(confirm(keys, term())).succeeded).to.equal(false);
      transact({ compare: [], success: [{ type: 'delete', key: keys.identity }], failure: [] });
      expect(transact(confirm(keys, term())).succeeded).to.equal(false);
    });

    it('is refused when the row that it closes was written meanwhile', () => {
      const before = keys.historyRow(1, 1n);
      put(before, JSON.stringify({ ...historyOf(term().record), epoch: '1' }));
      const rows = state.range({ type: 'range', key: keys.history, prefix: true }).keyValues;
      const history = historyWork(rows, keys.historyRow(1, own.createRevision), END);
      put(before, 'written by another');
      expect(transact(confirm(keys, term({ history }))).succeeded).to.equal(false);
    });

    it('is refused when a term of one that stood ahead has begun, or is open again, since history was read', () => {
      const row = keys.historyRow(1, 1n);
      const begun = term({ rowsAhead: [{ key: row, modRevision: 0n }] });
      const modRevision = put(row, 'ended');
      expect(transact(confirm(keys, begun)).succeeded).to.equal(false);
      put(row, 'open again');
      const again = term({ rowsAhead: [{ key: row, modRevision }] });
      expect(transact(confirm(keys, again)).succeeded).to.equal(false);
      const known = term({ rowsAhead: [{ key: row, modRevision: put(row, 'ended again') }] });
      expect(transact(confirm(keys, known)).succeeded).to.equal(true);
    });

    it('stays within the operations that etcd takes, however much history there is and however long the line', () => {
      const rows = Array.from({ length: 3_000 }, (_, index) => ({
        key: keys.historyRow(1, BigInt(index + 1)),
        value: JSON.stringify({ ...historyOf(term().record), epoch: `${index + 1}` }),
        createRevision: 1n,
        modRevision: 1n,
        version: 1n,
        lease: 0n,
      }));
      const history = historyWork(rows, keys.historyRow(1, own.createRevision), END);
      const others = Array.from({ length: 200 }, (_, index) => ({
        key: keys.candidate(BigInt(index + 1)),
        createRevision: BigInt(index + 10_001),
      }));
      const neverConfirmed = { ...historyOf(term().record), epoch: 20_002n };
      const challenge = { challengeKey: keys.challenge(1, 20_002n), challengeRevision: 1n };
      const request = term({
        history: { ...history, closedUnread: { key: keys.historyRow(1, 20_001n), modRevision: 1n } },
        deposed: { dead: others.slice(0, 20), ...challenge, neverConfirmed },
        aheadAtFirst: others,
        rowsAhead: others.map(({ createRevision }) => ({
          key: keys.historyRow(1, createRevision),
          modRevision: 0n,
        })),
      });
      const { compare, success, failure } = confirm(keys, request);
      for (const list of [compare, success, failure]) expect(list.length).to.be.at.most(128);
      const written = success.flatMap((operation) => (operation.type === 'range' ? [] : [operation.key]));
      expect(new Set(written).size).to.equal(written.length);
    });
  });

  it('check and answer only for the key itself, and always with an operation that needs the quorum', () => {
    const { token } = term().record;
    const challenge = keys.challenge(1, token.epoch);
    put(challenge);
    expect(rangeOf(transact(check(keys, own, token)).results, 0)).to.have.length(1);
    const stranger = { ...own, createRevision: own.createRevision + 1n };
    expect(transact(answerChallenge(keys, stranger, token)).succeeded).to.equal(false);
    expect(value(challenge)).to.equal('{}');
    expect(transact(answerChallenge(keys, own, token)).succeeded).to.equal(true);
    expect(value(challenge)).to.equal(undefined);
    const nothing = guarded(own, { alsoIf: [], operations: [], readBack: [] });
    for (const { success, failure } of [
      check(keys, own, token),
      answerChallenge(keys, own, token),
      nothing,
    ]) {
      expect(success).not.to.deep.equal([]);
      expect(failure).not.to.deep.equal([]);
    }
  });

  describe('departure', () => {
    it('deletes key and record and ends the term in history', () => {
      transact(confirm(keys, term()));
      const row = { ...historyOf(term().record), ended: END };
      const ending = { createRevision: own.createRevision, granted: true };
      const gone = transact(depart(keys, { key: own.key, ending, row, handOver: null }));
      expect(gone.succeeded).to.equal(true);
      expect(value(own.key)).to.equal(undefined);
      expect(value(keys.leader)).to.equal(undefined);
      expect(parseHistoryRow(value(keys.historyRow(1, own.createRevision))!)?.ended).to.deep.equal(END);
    });

    it('leaves the record of a leader alone when a standby goes', () => {
      put(keys.leader, 'of another');
      const ending = { createRevision: own.createRevision, granted: false };
      transact(depart(keys, { key: own.key, ending, row: null, handOver: null }));
      expect(value(own.key)).to.equal(undefined);
      expect(value(keys.leader)).to.equal('of another');
    });

    it('touches neither record nor history once its key is gone', () => {
      transact({ compare: [], success: [{ type: 'delete', key: own.key }], failure: [] });
      put(keys.leader, 'of the next');
      const row = { ...historyOf(term().record), ended: END };
      const ending = { createRevision: own.createRevision, granted: true };
      expect(transact(depart(keys, { key: own.key, ending, row, handOver: null })).succeeded).to.equal(false);
      expect(value(keys.leader)).to.equal('of the next');
      expect(value(keys.historyRow(1, own.createRevision))).to.equal(undefined);
    });

    it('deletes a key whose put was never answered without a guard', () => {
      const ending = { createRevision: null, granted: false };
      transact(depart(keys, { key: own.key, ending, row: null, handOver: null }));
      expect(value(own.key)).to.equal(undefined);
    });

    it('moves nobody when the line between is not as it was seen', () => {
      const between = keys.candidate(1n);
      const to = keys.candidate(2n);
      const entry = (key: string): { key: string; createRevision: bigint; candidate: null } => ({
        key,
        createRevision: put(key),
        candidate: null,
      });
      const handOver = { ahead: [entry(between)], to: entry(to) };
      transact({ compare: [], success: [{ type: 'delete', key: between }], failure: [] });
      const ending = { createRevision: own.createRevision, granted: true };
      expect(transact(depart(keys, { key: own.key, ending, row: null, handOver })).succeeded).to.equal(false);
      expect(value(own.key)).to.equal('me');
    });
  });

  it('write nothing for a leader whose key is gone', () => {
    const write = guarded(own, {
      alsoIf: [],
      operations: [{ type: 'put', key: `${keys.root}x`, value: '1' }],
      readBack: [],
    });
    expect(transact(write).succeeded).to.equal(true);
    transact({ compare: [], success: [{ type: 'delete', key: own.key }], failure: [] });
    expect(transact(write).succeeded).to.equal(false);
  });

  it("take only a candidate's value for a candidate", () => {
    const candidate = { resourceManagerId: 'rm-1', address: 'h:1', bootNonce: 'n', version: '1' };
    const first = { protocolVersion: 1, oldestProtocolVersion: 1 };
    expect(parseCandidate(JSON.stringify({ ...candidate, unknown: 1 }))).to.deep.equal({
      ...candidate,
      ...first,
    });
    const later = { ...candidate, protocolVersion: 3, oldestProtocolVersion: 2 };
    expect(parseCandidate(JSON.stringify(later))).to.deep.equal(later);
    for (const text of ['', 'x', '1', 'null', '[]', '{}', JSON.stringify({ ...candidate, bootNonce: 7 })]) {
      expect(parseCandidate(text), text).to.equal(null);
    }
  });

  it('keep in a row of history what a newer version has written beside it', () => {
    const end = { at: 't', reason: 'r', evidence: 'e', by: 'rm-2' };
    const row = {
      resourceManagerId: 'rm-1',
      leaderSessionId: 's',
      generation: 1,
      epoch: '7',
      confirmedAt: 't',
      neverConfirmed: false,
      ended: null,
      fromTheFuture: { a: [1] },
    };
    const read = parseHistoryRow(JSON.stringify(row))!;
    expect(JSON.parse(formatHistoryRow({ ...read, ended: end }))).to.deep.equal({ ...row, ended: end });
    const closed = { ...row, ended: { ...end, also: true } };
    expect(JSON.parse(formatHistoryRow(parseHistoryRow(JSON.stringify(closed))!))).to.deep.equal(closed);
  });
});
