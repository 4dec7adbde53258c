import { expect } from 'chai';
import fc from 'fast-check';
import {
  formatHistoryRow,
  formatLeaderRecord,
  type HistoryRow,
} from '../../../../src/ha/election-records.ts';
import type { LeaderRecord } from '../../../../src/ha/leader-election.ts';
import { LegalRun } from '../../../support/legal-run.ts';

type Step = (run: LegalRun) => void;

const STEPS: readonly (readonly [number, fc.Arbitrary<Step>])[] = [
  [4, fc.constant((run) => run.join())],
  [5, fc.constant((run) => run.confirm())],
  [2, fc.nat({ max: 2 }).map((behind) => (run) => run.confirm(behind))],
  [4, fc.nat({ max: 3 }).map((id) => (run) => run.register(`te-${id}`))],
  [1, fc.nat({ max: 3 }).map((id) => (run) => run.register(`te-${id}`, true))],
  [2, fc.boolean().map((handOver) => (run) => run.resign(handOver))],
  [1, fc.constant((run) => run.depose())],
  [1, fc.constant((run) => run.challenge())],
  [1, fc.constant((run) => run.answer())],
  [1, fc.nat({ max: 3 }).map((index) => (run) => run.expire(index))],
  [1, fc.nat({ max: 3 }).map((index) => (run) => run.operatorDeletes(index))],
];
const runs = fc
  .array(fc.oneof(...STEPS.map(([weight, arbitrary]) => ({ weight, arbitrary }))), {
    minLength: 10,
    maxLength: 60,
    size: 'max',
  })
  .map((steps) => {
    const run = new LegalRun();
    for (const step of steps) step(run);
    return run;
  });

/** Two terms: the first one resigned, the second one leads, with registrations of both, and three in line. */
function twoTerms(): { run: LegalRun; first: LeaderRecord; second: LeaderRecord } {
  const run = new LegalRun();
  for (let count = 0; count < 4; count++) run.join();
  run.confirm();
  run.register('te-1');
  run.register('te-2');
  run.resign();
  run.confirm();
  run.register('te-1');
  const [first, second] = run.terms;
  return { run, first: first!, second: second! };
}

const closed = (value: Record<string, unknown>, ended: Partial<HistoryRow['ended']> = {}): string =>
  formatHistoryRow({
    ...(value as HistoryRow),
    ended: { at: '', reason: 'asked', evidence: '', by: 'rm-3', ...ended },
  });
const recordOf = (record: LeaderRecord, token: Partial<LeaderRecord['token']> = {}): LeaderRecord => ({
  ...record,
  token: { ...record.token, ...token },
});

type Terms = ReturnType<typeof twoTerms>;

/** Each writes past the guards; what must be found of it, first. */
const PLANTED: Readonly<Record<string, readonly [string, (terms: Terms) => void]>> = {
  'a registration by a deposed leader': [
    'G1 after-end',
    ({ run, first }) =>
      run.force({ type: 'put', key: run.keys.taskExecutor('te-2'), value: run.registration(first) }),
  ],
  'a registration by a leader that was never confirmed': [
    'G1 before-confirm',
    ({ run, second }) => {
      const epoch = run.line[1]!.createRevision;
      const value = run.registration(recordOf(second, { epoch }));
      run.force({ type: 'put', key: run.keys.taskExecutor('te-9'), value });
    },
  ],
  'a registration by nobody': [
    'G1 term-unknown',
    ({ run, second }) => {
      const value = run.registration(recordOf(second, { epoch: 1n }));
      run.force({ type: 'put', key: run.keys.taskExecutor('te-9'), value });
    },
  ],
  'a registration under a wrong session id': [
    'G1 session-differs',
    ({ run, first, second }) => {
      const { leaderSessionId } = first.token;
      const value = run.registration(recordOf(second, { leaderSessionId }));
      run.force({ type: 'put', key: run.keys.taskExecutor('te-1'), value });
    },
  ],
  'a registration that cannot be read': [
    'G1 record-unreadable',
    ({ run }) => run.force({ type: 'put', key: run.keys.jobMaster('job'), value: 'x' }),
  ],
  'a registration deleted by a candidate that was never confirmed': [
    'G1 deleted-unconfirmed',
    ({ run }) => {
      const { key, value, lease } = run.line[1]!;
      run.force({ type: 'put', key, value, lease }, { type: 'delete', key: run.keys.taskExecutor('te-1') });
    },
  ],
  'a leader record of a deposed leader': [
    'G1 after-end',
    ({ run, first }) => run.force({ type: 'put', key: run.keys.leader, value: formatLeaderRecord(first) }),
  ],
  'a confirm behind another candidate': [
    'G1 confirmed-behind',
    ({ run, second }) => {
      const { createRevision: epoch, lease } = run.line[1]!;
      run.force({
        type: 'put',
        key: run.keys.leader,
        value: formatLeaderRecord(recordOf(second, { epoch })),
        lease,
      });
    },
  ],
  'a second confirm on one key': [
    'G5 confirmed-twice',
    ({ run, second }) => {
      const { lease } = run.line[0]!;
      run.force({ type: 'put', key: run.keys.leader, value: formatLeaderRecord(second), lease });
    },
  ],
  'a leader session id used twice': [
    'G5 session-used-twice',
    ({ run, first, second }) => {
      run.operatorDeletes(0);
      const { createRevision: epoch, lease } = run.line[0]!;
      const { leaderSessionId } = first.token;
      const value = formatLeaderRecord(recordOf(second, { epoch, leaderSessionId }));
      run.force({ type: 'put', key: run.keys.leader, value, lease });
    },
  ],
  'a leader record on no lease': [
    'G1 leader-unbound',
    ({ run, second }) => run.force({ type: 'put', key: run.keys.leader, value: formatLeaderRecord(second) }),
  ],
  'a confirm in another generation': [
    'G1 generation-differs',
    ({ run, second }) => {
      const value = formatLeaderRecord(recordOf(second, { generation: 2 }));
      run.force({ type: 'put', key: run.keys.leader, value, lease: run.line[0]!.lease });
    },
  ],
  'a confirm that leaves a term open': [
    'G1 two-terms-open',
    ({ run, second }) => {
      run.operatorDeletes(0);
      const { createRevision: epoch, lease } = run.line[0]!;
      const record = recordOf(second, {
        epoch,
        leaderSessionId: 'x' as LeaderRecord['token']['leaderSessionId'],
      });
      run.force({ type: 'put', key: run.keys.leader, value: formatLeaderRecord(record), lease });
    },
  ],
  'a head that is removed without a word': [
    'G1 deposed-without-evidence',
    ({ run, second }) => {
      const [head, next] = run.line;
      const record = recordOf(second, { epoch: next!.createRevision });
      const value = formatLeaderRecord(record);
      run.force(
        { type: 'delete', key: head!.key },
        { type: 'put', key: run.keys.leader, value, lease: next!.lease },
      );
    },
  ],
  'a row of history out of nothing': [
    'G1 row-without-confirm',
    ({ run, second }) => {
      const { value } = run.row(second);
      const row = { ...(value as unknown as HistoryRow), epoch: 2n };
      run.force({ type: 'put', key: run.keys.historyRow(1, 2n), value: formatHistoryRow(row) });
    },
  ],
  'a row of a head that nobody removed': [
    'G1 row-without-deposition',
    ({ run, second }) => {
      const { createRevision: epoch } = run.line[0]!;
      const row = { ...(run.row(second).value as unknown as HistoryRow), epoch, neverConfirmed: true };
      run.force({ type: 'delete', key: run.row(second).key });
      run.force({ type: 'put', key: run.keys.historyRow(1, epoch), value: closed({ ...row }) });
    },
  ],
  'a row under the key of another term': [
    'G1 row-misplaced',
    ({ run, second }) => {
      const { value } = run.row(second);
      run.force({
        type: 'put',
        key: run.keys.historyRow(1, 3n),
        value: formatHistoryRow(value as HistoryRow),
      });
    },
  ],
  'a row that was closed twice': [
    'G1 row-rewritten',
    ({ run, first }) => {
      const { key, value } = run.row(first);
      run.force({ type: 'put', key, value: closed(value) });
    },
  ],
  'a row that was closed as that of another session': [
    'G1 row-changed',
    ({ run, second }) => {
      const { key, value } = run.row(second);
      run.force({ type: 'put', key, value: closed({ ...value, leaderSessionId: 'x' }) });
    },
  ],
  'a row that was closed while its leader stood': [
    'G1 closed-while-standing',
    ({ run, second }) => {
      const { key, value } = run.row(second);
      run.force({ type: 'put', key, value: closed(value) });
    },
  ],
  'a row that somebody closed afterwards': [
    'G1 row-closed-by-nobody',
    ({ run, second }) => {
      const { key, value } = run.row(second);
      run.operatorDeletes(0);
      run.force({ type: 'put', key, value: closed(value) });
    },
  ],
  'a deposition by somebody who is not in line': [
    'G1 deposed-by-nobody',
    ({ run, second }) => {
      const { key, value } = run.row(second);
      const ended = { reason: 'deposed', evidence: 'refused', by: 'rm-99' };
      run.force({ type: 'delete', key: run.line[0]!.key }, { type: 'put', key, value: closed(value, ended) });
    },
  ],
  'a deposition without evidence': [
    'G1 deposed-without-evidence',
    ({ run, second }) => {
      const { key, value } = run.row(second);
      const ended = { reason: 'deposed', by: 'rm-3' };
      run.force({ type: 'delete', key: run.line[0]!.key }, { type: 'put', key, value: closed(value, ended) });
    },
  ],
  'a row that cannot be read': [
    'G1 row-unreadable',
    ({ run }) => run.force({ type: 'put', key: run.keys.historyRow(1, 3n), value: '{}' }),
  ],
  'a challenge to nobody': [
    'G1 challenge-to-nobody',
    ({ run }) =>
      run.force({ type: 'put', key: run.keys.challenge(1, 3n), value: '{}', lease: run.line[1]!.lease }),
  ],
  'a challenge by nobody': [
    'G1 challenge-by-nobody',
    ({ run }) =>
      run.force({ type: 'put', key: run.keys.challenge(1, run.line[0]!.createRevision), value: '{}' }),
  ],
  'a challenge that is put again': [
    'G1 challenge-rewritten',
    ({ run }) => {
      run.challenge();
      const { key, value, lease } = run.range(run.keys.challenges)[0]!;
      run.force({ type: 'put', key, value, lease });
    },
  ],
  'an identity that was written anew': [
    'G1 identity-rewritten',
    ({ run }) =>
      run.force({ type: 'put', key: run.keys.identity, value: '{"clusterId":"c-2","generation":1}' }),
  ],
  'an identity that cannot be read': [
    'G1 identity-unreadable',
    ({ run }) => run.force({ type: 'put', key: run.keys.identity, value: '{}' }),
  ],
  'a new generation that leaves the leader of the old one': [
    'G1 leader-outlives-generation',
    ({ run }) =>
      run.force({ type: 'put', key: run.keys.identity, value: '{"clusterId":"c-1","generation":2}' }),
  ],
};

describe('the judge of every write', () => {
  it('finds nothing in any run of the transactions that resource managers send', () => {
    let terms = 0;
    fc.assert(
      fc.property(runs, (run) => {
        const verdict = run.judge();
        expect(verdict.violations).to.deep.equal([]);
        expect(verdict.terms.map(({ token }) => token)).to.deep.equal(run.terms.map(({ token }) => token));
        terms += verdict.terms.length;
      }),
      { numRuns: 300 },
    );
    expect(terms).to.be.above(300);
  });

  it('judges the rest of a run alike when its beginning is compacted', () => {
    fc.assert(
      fc.property(runs, fc.nat({ max: 100 }), (run, cut) => {
        const [whole] = run.log;
        const after = BigInt(Math.min(cut, run.commits.length));
        const keys = run.state.mvcc.range({
          type: 'range',
          key: run.keys.root,
          prefix: true,
          revision: after + 1n,
        }).keyValues;
        const events = whole!.events.filter(({ revision }) => revision > after + 1n);
        expect(run.judge([{ base: { revision: after + 1n, keys }, events }]).violations).to.deep.equal([]);
      }),
      { numRuns: 200 },
    );
  });

  for (const [what, [expected, plant]] of Object.entries(PLANTED)) {
    it(`finds ${what}`, () => {
      const terms = twoTerms();
      expect(terms.run.judge().violations).to.deep.equal([]);
      plant(terms);
      const found = terms.run.judge().violations;
      expect(found.map(({ guarantee, rule }) => `${guarantee} ${rule}`)).to.include(expected);
      expect(found.every(({ revisions }) => (revisions[0] ?? 0n) > 0n)).to.equal(true);
    });
  }

  it('finds a write of a deposed leader anywhere in a run, though a legal one overwrote it', () => {
    fc.assert(
      fc.property(runs, (run) => {
        const old = run.terms.at(-2);
        fc.pre(old !== undefined && run.leader !== null);
        const key = run.keys.taskExecutor('te-1');
        const revision = run.force({ type: 'put', key, value: run.registration(old!) });
        run.register('te-1');
        const found = run.judge().violations.filter(({ rule }) => rule === 'after-end');
        expect(found.map(({ keys, revisions }) => [keys[0], revisions[0]])).to.deep.equal([[key, revision]]);
      }),
      { numRuns: 100 },
    );
  });

  it('counts what it cannot judge: deletions by nobody, keys that it does not know', () => {
    const { run } = twoTerms();
    run.force({ type: 'delete', key: run.keys.taskExecutor('te-1') });
    run.force({ type: 'put', key: `${run.keys.root}other`, value: '1' });
    expect(run.judge()).to.include({ unattributedDeletions: 1, foreignWrites: 1 });
    expect(run.judge().violations).to.deep.equal([]);
  });
});
