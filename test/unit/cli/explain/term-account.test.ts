import { expect } from 'chai';
import { QuartermasterError } from '../../../../src/core/problem.ts';
import { exitCodeOf } from '../../../../src/cli/exit-codes.ts';
import { renderAccount } from '../../../../src/cli/explain/render-account.ts';
import { accountOf, type HistoryRows, type TermAccount } from '../../../../src/cli/explain/term-account.ts';

interface Row {
  readonly term: string;
  readonly leader: string;
  readonly from: string | null;
  readonly created: number;
  readonly ended?: { at: string; reason: string; evidence: string; by: string; mod: number };
  readonly neverConfirmed?: boolean;
}

const at = (second: string): string => `2026-01-01T00:00:${second}Z`;

function row({ term, leader, from, created, ended, neverConfirmed = false }: Row): HistoryRows[number] {
  const [generation = '', epoch = ''] = term.split('-');
  const { mod, ...end } = ended ?? { mod: created };
  return {
    generation: Number(generation),
    epoch,
    createRevision: String(created),
    modRevision: String(mod),
    resourceManagerId: leader,
    leaderSessionId: `session of ${term}`,
    confirmedAt: from,
    neverConfirmed,
    ended: ended === undefined ? null : end,
  };
}

const ASKED = { reason: 'asked by an operator', evidence: 'asked to step down', by: 'rm-1' };
/** The newest first: rm-1 handed over to rm-2, which was found dead by rm-3. */
const HISTORY: HistoryRows = [
  row({ term: '1-12', leader: 'rm-3', from: at('30.000'), created: 13 }),
  row({
    term: '1-9',
    leader: 'rm-4',
    from: null,
    created: 10,
    neverConfirmed: true,
    ended: { at: at('10.100'), reason: 'deposed', evidence: 'it refused connections', by: 'rm-2', mod: 10 },
  }),
  row({
    term: '1-7',
    leader: 'rm-2',
    from: at('10.250'),
    created: 11,
    ended: { at: at('30.000'), reason: 'lost', evidence: 'its candidate key was gone', by: 'rm-3', mod: 13 },
  }),
  row({
    term: '1-3',
    leader: 'rm-1',
    from: at('01.000'),
    created: 4,
    ended: { at: at('10.000'), ...ASKED, mod: 8 },
  }),
];

function refusal(rows: HistoryRows, name: string): { message: string; code: number } {
  try {
    accountOf(rows, name);
  } catch (error) {
    expect(error).to.be.instanceOf(QuartermasterError);
    return { message: (error as QuartermasterError).problem.detail, code: exitCodeOf(error) };
  }
  throw new Error('was not refused');
}

describe('the account of a term', () => {
  it('tells who led, when, why it ended, on whose evidence, and how long nobody led before and after', () => {
    expect(renderAccount(accountOf(HISTORY, '3'))).to.equal(
      [
        'Term      1-3, rm-1',
        'Led       from 2026-01-01T00:00:01.000Z to 2026-01-01T00:00:10.000Z, 9.0 s',
        'Session   session of 1-3',
        'Before    no earlier term is in history',
        'Ended     asked by an operator',
        'Evidence  asked to step down',
        'Told by   rm-1, itself',
        'After     1-7 rm-2, confirmed 2026-01-01T00:00:10.250Z; nobody led for 250 ms in between',
      ].join('\n'),
    );
  });

  it('does not know how long nobody led when the confirm itself wrote the end down', () => {
    const { after, before }: TermAccount = accountOf(HISTORY, '1-7');
    expect(before?.leaderless).to.deep.equal({ ms: 250, asSeen: false, unknownBecause: null });
    expect(after?.leaderless).to.deep.equal({
      ms: null,
      asSeen: false,
      unknownBecause: 'ended-by-the-confirm',
    });
    expect(renderAccount(accountOf(HISTORY, '7'))).to.contain(
      `to ${at('30.000')} at the latest, 19.8 s at most`,
    );
    const text = renderAccount(accountOf(HISTORY, '1-12'));
    expect(text).to.contain('it leads still, or nobody has been confirmed since');
    expect(text.replaceAll(/\s+/g, ' ')).to.contain(
      'not known: the confirm of rm-3 itself wrote the end down, and rm-2 may have fallen silent long before',
    );
  });

  it('passes over a head that never led, and names it', () => {
    const account = accountOf(HISTORY, '12');
    expect(account.before?.term.term).to.equal('1-7');
    expect(account.neverConfirmedBefore.map(({ term }) => term)).to.deep.equal(['1-9']);
    expect(renderAccount(account)).to.contain(
      '1-9 rm-4 was removed unconfirmed: deposed: it refused connections',
    );
    expect(renderAccount(accountOf(HISTORY, '9')))
      .to.contain('never: it was removed')
      .and.contain('Told by   rm-2');
  });

  it('tells of one that was deposed how long it had not been seen to lead', () => {
    const rows = HISTORY.map((row) =>
      row.epoch === '7'
        ? { ...row, ended: { ...(row['ended'] as object), lastServingAt: at('29.950') } }
        : row,
    );
    const { before } = accountOf(rows, '12');
    expect(before?.leaderless).to.deep.equal({ ms: 50, asSeen: true, unknownBecause: null });
    expect(renderAccount(accountOf(rows, '7')).replaceAll(/\s+/g, ' ')).to.contain(
      'nobody was seen to lead for 50 ms in between',
    );
  });

  it('does not subtract times of clocks that contradict each other', () => {
    const [newest, ...older] = HISTORY.filter(({ epoch }) => epoch !== '9');
    const early = { ...newest, createRevision: '20', confirmedAt: at('29.000') } as HistoryRows[number];
    expect(accountOf([early, ...older], '12').before?.leaderless).to.deep.equal({
      ms: null,
      asSeen: false,
      unknownBecause: 'clocks-differ',
    });
  });

  it('bears records that somebody else has written', () => {
    const foreign = { generation: 1, epoch: '5', createRevision: '6', modRevision: '6', ended: 'soon' };
    expect(renderAccount(accountOf([foreign], '5'))).to.contain('1-5, an unknown one');
  });

  it('is refused with 1 when there is no such term, and says which there are', () => {
    const { message, code } = refusal(HISTORY, '2-7');
    expect(message).to.equal('There is no term 2-7 among the 4 in history, from 1-3 to 1-12.');
    expect(code).to.equal(1);
    expect(refusal([], '7').message).to.equal('There is no term 7: nobody has led yet.');
  });

  it('is refused with 64 for an epoch of several generations, which it names, and for a name that is none', () => {
    const second = row({ term: '2-7', leader: 'rm-1', from: at('40.000'), created: 8 });
    const { message, code } = refusal([second, ...HISTORY], '7');
    expect(message).to.equal('Epoch 7 was in several generations: 2-7, 1-7. Say which.');
    expect(code).to.equal(64);
    expect(accountOf([second, ...HISTORY], '2-7').term.resourceManagerId).to.equal('rm-1');
    expect(refusal(HISTORY, 'seven').code).to.equal(64);
  });

  it('finds a term by the zero padded name of its key', () => {
    expect(accountOf(HISTORY, '0000000001-0000000000000000007').term.term).to.equal('1-7');
  });
});
