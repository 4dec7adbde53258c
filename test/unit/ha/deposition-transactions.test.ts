import { expect } from 'chai';
import type { Deposition, LineEntry } from '../../../src/core/election/election-events.ts';
import type { ClusterId, LeaderSessionId, ResourceManagerId } from '../../../src/core/ids.ts';
import { askerReaches, putChallenge } from '../../../src/ha/challenge.ts';
import type { Transaction, TransactionResult } from '../../../src/ha/coordination-store.ts';
import { depose, deposedKeys, depositionEnd } from '../../../src/ha/depose.ts';
import { formatHistoryRow, formatIdentity, parseHistoryRow } from '../../../src/ha/election-records.ts';
import {
  confirm,
  createIdentity,
  type DeposedKeys,
  historyOf,
  putCandidate,
  rangeOf,
  type StandingKey,
} from '../../../src/ha/election-transactions.ts';
import { StoreState } from '../../../src/ha/embedded/store-state.ts';
import { depositionsOfLate, historyWork, openRow } from '../../../src/ha/history.ts';
import { ClusterKeys } from '../../../src/ha/keys.ts';
import { entry } from '../../support/election-rig.ts';

const keys = new ClusterKeys('c');
const identity = { clusterId: 'cluster-1' as ClusterId, generation: 1 };
const OWN_LEASE = 0xbn;
const NOW = Date.UTC(2026, 0, 1);
const BY = 'rm-1' as ResourceManagerId;

describe('a deposition', () => {
  let state: StoreState;
  let head: LineEntry;
  let own: StandingKey;

  function transact(transaction: Transaction): TransactionResult {
    return state.transact(transaction);
  }
  function put(key: string, value = '{}'): bigint {
    return transact({ compare: [], success: [{ type: 'put', key, value }], failure: [] }).revision;
  }
  function remove(key: string): void {
    transact({ compare: [], success: [{ type: 'delete', key }], failure: [] });
  }
  function value(key: string): string | undefined {
    return state.range({ type: 'range', key }).keyValues[0]?.value;
  }
  function rows() {
    return state.range({ type: 'range', key: keys.history, prefix: true }).keyValues;
  }
  function join(lease: bigint, name: string): LineEntry {
    state.grantLease(lease, 10, 0);
    const key = keys.candidate(lease);
    return entry(key, transact(putCandidate(keys, key, name, lease)).revision, name);
  }
  function deposition(changes: Partial<Deposition> = {}): Deposition {
    return { dead: [head], challengeRevision: null, evidence: 'refused', ...changes };
  }
  function deposed(of = deposition()): DeposedKeys {
    return deposedKeys(keys, rows(), of, 1, depositionEnd(of, BY, NOW));
  }
  function record(epoch: bigint) {
    const token = { generation: 1, epoch, leaderSessionId: `session-${epoch}` as LeaderSessionId };
    return { resourceManagerId: BY, address: 'rm-1:1', token, confirmedAt: 'now' };
  }
  /** The confirm of the own key that deposes with it. */
  function takeOver(of = deposition(), aheadAtFirst: StandingKey[] = [head]): Transaction {
    const end = depositionEnd(of, BY, NOW);
    return confirm(keys, {
      own,
      leaseId: OWN_LEASE,
      record: record(own.createRevision),
      identityValue: formatIdentity(identity),
      history: historyWork(rows(), keys.historyRow(1, own.createRevision), end),
      deposed: deposed(of),
      aheadAtFirst,
      rowsAhead: [],
    });
  }
  /** The deposition for the sake of another. */
  function deposeOnly(of = deposition()): Transaction {
    const open = openRow(rows(), head.createRevision);
    const closed = open && { ...open.row, ended: depositionEnd(of, BY, NOW) };
    const close = open && closed ? [{ keyValue: open.keyValue, closed }] : [];
    return depose(keys, own, deposed(of), close);
  }
  function row(epoch: bigint) {
    const found = value(keys.historyRow(1, epoch));
    return found === undefined ? null : parseHistoryRow(found);
  }

  beforeEach(() => {
    state = new StoreState(1);
    transact(createIdentity(keys, identity));
    head = join(0xan, 'rm-2');
    own = join(OWN_LEASE, 'rm-1');
    put(keys.leader, 'of the head');
    put(keys.historyRow(1, head.createRevision), formatHistoryRow(historyOf(record(head.createRevision))));
  });

  it('is refused when one is back that stood ahead and went, as after a restore', () => {
    const between = keys.candidate(0xffn);
    const createRevision = put(between, 'from a backup');
    const ahead = [head, { key: between, createRevision }];
    expect(transact(takeOver(deposition(), ahead)).succeeded).to.equal(false);
    transact({ compare: [], success: [{ type: 'delete', key: between }], failure: [] });
    expect(transact(takeOver(deposition(), ahead)).succeeded).to.equal(true);
  });

  it('is one with the confirm of who comes next: keys, record and both rows', () => {
    expect(transact(takeOver()).succeeded).to.equal(true);
    expect(value(head.key)).to.equal(undefined);
    expect(value(keys.leader)).to.include(`session-${own.createRevision}`);
    expect(state.range({ type: 'range', key: keys.leader }).keyValues[0]?.lease).to.equal(OWN_LEASE);
    expect(row(head.createRevision)?.ended).to.deep.include({
      reason: 'deposed',
      evidence: 'refused',
      by: 'rm-1',
    });
    expect(row(own.createRevision)?.ended).to.equal(null);
  });

  it('commits once, and a repetition finds the session that it wrote', () => {
    const transaction = takeOver();
    transact(transaction);
    const again = transact(transaction);
    expect(again.succeeded).to.equal(false);
    expect(rangeOf(again.results, 3)[0]?.value).to.include(`session-${own.createRevision}`);
  });

  it('is refused, and changes nothing, when one of the keys is not the one that was seen', () => {
    for (const transaction of [takeOver(), deposeOnly()]) {
      remove(head.key);
      put(head.key, 'put again under the same name');
      expect(transact(transaction).succeeded).to.equal(false);
      expect(value(head.key)).to.equal('put again under the same name');
      expect(value(keys.leader)).to.equal('of the head');
    }
  });

  it('is refused when the own key is gone', () => {
    for (const transaction of [takeOver(), deposeOnly()]) {
      remove(own.key);
      expect(transact(transaction).succeeded).to.equal(false);
    }
    expect(value(head.key)).to.equal('rm-2');
  });

  it('is refused when the challenge was answered, or is another one by now', () => {
    const key = keys.challenge(1, head.createRevision);
    const of = deposition({ challengeRevision: put(key) });
    for (const transaction of [takeOver(of), deposeOnly(of)]) {
      remove(key);
      expect(transact(transaction).succeeded).to.equal(false);
      put(key);
      expect(transact(transaction).succeeded).to.equal(false);
    }
    expect(transact(takeOver(deposition({ challengeRevision: put(key) }))).succeeded).to.equal(false);
  });

  it('takes any challenge to the head with it', () => {
    const key = keys.challenge(1, head.createRevision);
    put(key);
    transact(takeOver());
    expect(value(key)).to.equal(undefined);
  });

  it('removes several at once, all or none', () => {
    remove(own.key);
    const second = join(0xcn, 'rm-3');
    own = join(0xdn, 'rm-1');
    const of = deposition({ dead: [head, second] });
    const transaction = takeOver(of);
    remove(second.key);
    expect(transact(transaction).succeeded).to.equal(false);
    expect(value(head.key)).to.equal('rm-2');
  });

  it('for the sake of another deletes the record and closes the row', () => {
    expect(transact(deposeOnly()).succeeded).to.equal(true);
    expect(value(head.key)).to.equal(undefined);
    expect(value(keys.leader)).to.equal(undefined);
    expect(row(head.createRevision)?.ended?.reason).to.equal('deposed');
    expect(row(own.createRevision)).to.equal(null);
  });

  it('gives a head that never confirmed a row that says so', () => {
    remove(keys.historyRow(1, head.createRevision));
    transact(deposeOnly());
    expect(row(head.createRevision)).to.deep.include({
      resourceManagerId: 'rm-2',
      neverConfirmed: true,
      leaderSessionId: null,
      confirmedAt: null,
    });
  });

  it('is refused when a head that had not confirmed has done so meanwhile', () => {
    const key = keys.historyRow(1, head.createRevision);
    remove(key);
    const transactions = [takeOver(), deposeOnly()];
    put(key, formatHistoryRow(historyOf(record(head.createRevision))));
    for (const transaction of transactions) expect(transact(transaction).succeeded).to.equal(false);
  });

  it('counts against the limit for 10 s, by either side of the clock', () => {
    transact(takeOver());
    expect(depositionsOfLate(rows(), NOW + 9_999)).to.equal(1);
    expect(depositionsOfLate(rows(), NOW - 9_999)).to.equal(1);
    expect(depositionsOfLate(rows(), NOW + 10_000)).to.equal(0);
  });

  it('parses a row of history once, however often it is looked at', () => {
    const read = rows();
    const { epoch } = parseHistoryRow(read[0]!.value)!;
    const again = read.map((keyValue) => ({ ...keyValue }));
    const first = openRow(read, epoch);
    expect(first).not.to.equal(undefined);
    expect(openRow(read, epoch)?.row).to.equal(first?.row);
    expect(openRow(again, epoch)?.row).not.to.equal(first?.row);
  });

  describe('challenge', () => {
    const challenger = () => ({ own, leaseId: OWN_LEASE, resourceManagerId: BY, taskExecutors: 4 });
    const challenge = () => keys.challenge(1, head.createRevision);

    it("is put on the asker's lease and says how many task executors the asker reaches", () => {
      expect(transact(putChallenge(keys, challenger(), 1, head)).succeeded).to.equal(true);
      const [found] = state.range({ type: 'range', key: challenge() }).keyValues;
      expect(found?.lease).to.equal(OWN_LEASE);
      expect(askerReaches({ value: found?.value ?? '' })).to.equal(4);
    });

    it('is put once: who comes later finds it', () => {
      const first = transact(putChallenge(keys, challenger(), 1, head)).revision;
      const again = transact(putChallenge(keys, { ...challenger(), taskExecutors: 9 }, 1, head));
      expect(again.succeeded).to.equal(false);
      expect(rangeOf(again.results, 0)[0]?.createRevision).to.equal(first);
    });

    it('is not put to a head that is gone, nor by one who is', () => {
      const transaction = putChallenge(keys, challenger(), 1, head);
      remove(own.key);
      expect(transact(transaction).succeeded).to.equal(false);
      own = { key: own.key, createRevision: put(own.key) };
      remove(head.key);
      expect(transact(putChallenge(keys, challenger(), 1, head)).succeeded).to.equal(false);
      expect(value(challenge())).to.equal(undefined);
    });

    it('is not put to one that has somebody ahead, as in an etcd that was restored', () => {
      const behind = { key: own.key, createRevision: own.createRevision };
      const another = { key: keys.candidate(99n), createRevision: put(keys.candidate(99n)) };
      const challenge = putChallenge(keys, { ...challenger(), own: another }, 1, behind);
      expect(transact(challenge).succeeded).to.equal(false);
      remove(head.key);
      expect(transact(challenge).succeeded).to.equal(true);
    });

    it('counts nothing where its value cannot be read', () => {
      for (const text of ['', 'x', '[]', '{"taskExecutors":-1,"resourceManagerId":"a"}', '{}']) {
        expect(askerReaches({ value: text }), text).to.equal(0);
      }
    });
  });
});
