import { expect } from 'chai';
import { claimsOf, overlapMs, type Report } from '../../../bench/failover/claims.ts';

/** `a leads@10` and so on, in any order. */
function reports(...lines: string[]): Report[] {
  return lines.map((line) => {
    const [, candidate = '', kind = '', atMs = ''] = /^(\w+) (\w+)@(\d+)$/.exec(line) ?? [];
    return { candidate, kind: kind as Report['kind'], atMs: Number(atMs) };
  });
}

describe('the claims of candidates', () => {
  it('last from the first report of leading to the last one before another report', () => {
    const claims = claimsOf(reports('a leads@10', 'a leads@20', 'a follows@25', 'a leads@40', 'a leads@50'));
    expect(claims).to.deep.equal([
      { candidate: 'a', fromMs: 10, toMs: 20 },
      { candidate: 'a', fromMs: 40, toMs: 50 },
    ]);
  });

  it('do not depend on the order in which reports arrive', () => {
    const lines = reports('b leads@30', 'a leads@10', 'a stopped@25', 'b leads@35', 'a leads@20');
    expect(claimsOf(lines)).to.have.deep.members(claimsOf(lines.toReversed()));
  });

  it('end when the process is stopped or ends, whatever is said in its name meanwhile', () => {
    const claims = claimsOf(reports('a leads@10', 'a leads@20', 'a stopped@22', 'a leads@30', 'a leads@40'));
    expect(claims).to.deep.equal([{ candidate: 'a', fromMs: 10, toMs: 20 }]);
  });

  it('of a process that was woken begin with its waking if leading is the first that it says', () => {
    const stopped = ['a leads@10', 'a stopped@20', 'a woken@100'];
    expect(claimsOf(reports(...stopped, 'a leads@103', 'a follows@104')).at(-1)).to.deep.equal({
      candidate: 'a',
      fromMs: 100,
      toMs: 103,
    });
    expect(claimsOf(reports(...stopped, 'a follows@103', 'a leads@150')).at(-1)).to.deep.equal({
      candidate: 'a',
      fromMs: 150,
      toMs: 150,
    });
  });

  it('are not proven by an answer after a stop to a question before it, as by one to a later question', () => {
    const stop: Report[] = reports('a leads@10', 'a stopped@20', 'a woken@100');
    const answer = (askedAtMs: number): Report => ({ candidate: 'a', kind: 'leads', atMs: 101, askedAtMs });
    expect(claimsOf([...stop, answer(19)])).to.have.length(1);
    expect(claimsOf([...stop, answer(21)])).to.have.length(2);
  });

  it('of a process that was started again begin with what it says, not with its start', () => {
    const claims = claimsOf(
      reports('a leads@10', 'a stopped@20', 'a started@30', 'a leads@90', 'a leads@95'),
    );
    expect(claims.at(-1)).to.deep.equal({ candidate: 'a', fromMs: 90, toMs: 95 });
  });
});

describe('the overlap of claims', () => {
  const claim = (candidate: string, fromMs: number, toMs: number) => ({ candidate, fromMs, toMs });

  it('is nothing for leaders that follow each other, in the very same moment even', () => {
    expect(overlapMs([])).to.equal(0);
    expect(overlapMs([claim('a', 0, 10), claim('b', 10, 20), claim('a', 25, 30)])).to.equal(0);
  });

  it('is the time in which two or more lead, counted once', () => {
    expect(overlapMs([claim('a', 0, 10), claim('b', 6, 20)])).to.equal(4);
    expect(overlapMs([claim('a', 0, 100), claim('b', 10, 20), claim('c', 15, 30)])).to.equal(20);
    expect(overlapMs([claim('b', 50, 60), claim('a', 0, 52), claim('a', 58, 70)])).to.equal(4);
  });
});
