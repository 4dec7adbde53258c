import { expect } from 'chai';
import { audit, type AuditVerdict } from '../../../../src/core/audit/audit.ts';
import type { HistoryFacts, RecordFacts } from '../../../../src/core/audit/store-facts.ts';
import type { LeaderSessionId } from '../../../../src/core/ids.ts';

const session = (epoch: bigint): LeaderSessionId => `s-${epoch}` as LeaderSessionId;

/** A row of a term that was confirmed at one revision and ended at another. */
function row(epoch: bigint, confirm: bigint, end: bigint | null, reason = 'asked'): HistoryFacts {
  return {
    key: `history/1-${epoch}`,
    createRevision: confirm,
    modRevision: end ?? confirm,
    version: end === null ? 1n : 2n,
    named: { generation: 1, epoch },
    row: {
      generation: 1,
      epoch,
      leaderSessionId: session(epoch),
      neverConfirmed: false,
      ended: end === null ? null : reason,
    },
  };
}

function registration(epoch: bigint, modRevision: bigint, of: Partial<RecordFacts> = {}): RecordFacts {
  return {
    kind: 'registration',
    key: 'task-executors/te-1',
    createRevision: modRevision,
    modRevision,
    version: 1n,
    lease: 0n,
    token: { generation: 1, epoch, leaderSessionId: session(epoch) },
    ...of,
  };
}

const leader = (epoch: bigint, modRevision: bigint, lease = 7n): RecordFacts =>
  registration(epoch, modRevision, { kind: 'leader', key: 'leader', lease });

/** Three terms: handed over, lost and found by the next, under way. */
const HISTORY = [row(5n, 10n, 20n), row(11n, 21n, 40n, 'lost'), row(30n, 40n, null)];

function judge(
  history: readonly HistoryFacts[],
  records: readonly RecordFacts[],
  generation = 1,
): AuditVerdict {
  return audit({ generation, history, records }, null);
}

const rules = ({ violations }: AuditVerdict): string[] =>
  violations.map(({ guarantee, rule }) => `${guarantee} ${rule}`);

describe('the audit of what the store keeps', () => {
  it('finds nothing where every record was written in its term, and says how many it judged', () => {
    const verdict = judge(HISTORY, [
      leader(30n, 40n),
      registration(5n, 15n),
      registration(11n, 39n, { version: 3n }),
    ]);
    expect(verdict.violations).to.deep.equal([]);
    expect(verdict.judged).to.include({ terms: 3, historyRows: 3, leaderRecords: 1, registrations: 2 });
    expect(verdict.beyond).to.include({ overwrittenWrites: 2, termsWithoutExactEnd: 1 });
  });

  for (const [what, record, rule] of [
    ['a registration written before its confirm', registration(11n, 15n), 'before-confirm'],
    ['a registration written at the revision that ended its term', registration(5n, 20n), 'after-end'],
    ['a registration written after its term', registration(5n, 25n), 'after-end'],
    ['a registration of a term that was never confirmed', registration(29n, 41n), 'term-unknown'],
    [
      'a registration under another session id',
      registration(5n, 15n, { token: { generation: 1, epoch: 5n, leaderSessionId: session(6n) } }),
      'session-differs',
    ],
    ['a registration that cannot be read', registration(5n, 15n, { token: null }), 'record-unreadable'],
    ['a leader record written again in its term', leader(30n, 45n), 'leader-not-confirmed'],
    ['a leader record without a lease', leader(30n, 40n, 0n), 'leader-unbound'],
  ] as const) {
    it(`finds ${what}`, () => {
      const verdict = judge(HISTORY, [record]);
      expect(rules(verdict)).to.deep.equal([`G1 ${rule}`]);
      expect(verdict.violations[0]?.keys).to.include(record.key);
      expect(verdict.violations[0]?.revisions).to.include(record.modRevision);
    });
  }

  for (const [what, history, expected] of [
    [
      'a term that was open when the next was confirmed',
      [row(5n, 10n, null), row(11n, 21n, null)],
      ['two-terms-open'],
    ],
    [
      'a term that ended after the next confirm',
      [row(5n, 10n, 22n), row(11n, 21n, null)],
      ['two-terms-open'],
    ],
    ['epochs that fall', [row(5n, 30n, 31n), row(11n, 21n, null)], ['epochs-fall']],
    ['an epoch that did not exist at its confirm', [row(50n, 40n, null)], ['epoch-not-yet']],
    ['a row that was written again', [{ ...row(5n, 10n, 20n), version: 3n }], ['row-rewritten']],
    ['an open row that was written again', [{ ...row(5n, 10n, null), version: 2n }], ['row-rewritten']],
    ['a row that was written at the end only', [{ ...row(5n, 20n, 20n), version: 1n }], ['row-late']],
    ['a row that cannot be read', [{ ...row(5n, 10n, null), row: null }], ['row-unreadable']],
    [
      'a row under the key of another term',
      [{ ...row(5n, 10n, null), named: { generation: 1, epoch: 6n } }],
      ['row-misplaced'],
    ],
  ] as const) {
    it(`finds ${what}`, () => {
      expect(rules(judge(history, []))).to.deep.equal(expected.map((rule) => `G1 ${rule}`));
    });
  }

  it('finds a term of a generation above that of the cluster', () => {
    expect(rules(judge([row(5n, 10n, null)], [], 0))).to.deep.equal(['G1 generation-ahead']);
  });

  it('takes a head that never confirmed for no term', () => {
    const facts = row(11n, 22n, null);
    const never = {
      ...facts,
      row: { ...facts.row!, neverConfirmed: true, leaderSessionId: null, ended: 'deposed' },
    };
    const verdict = judge([row(5n, 10n, 20n), never, row(13n, 22n, null)], []);
    expect([verdict.violations, verdict.judged.terms]).to.deep.equal([[], 2]);
    expect(rules(judge([never], [registration(11n, 23n)]))).to.deep.equal(['G1 term-unknown']);
  });

  it('cannot judge a record of a term that a full history has dropped, and says so', () => {
    const rows = Array.from({ length: 1_000 }, (_, n) =>
      row(BigInt(n * 10 + 100), BigInt(n * 10 + 101), BigInt(n * 10 + 105)),
    );
    const verdict = judge(rows, [registration(50n, 60n)]);
    expect([verdict.violations, verdict.beyond.recordsOfForgottenTerms]).to.deep.equal([[], 1]);
    expect(rules(judge(rows.slice(1), [registration(50n, 60n)]))).to.deep.equal(['G1 term-unknown']);
  });
});
