import { expect } from 'chai';
import fc from 'fast-check';
import type { Page } from '../../../src/resourcemanager/operator-view.ts';
import { pageOf } from '../../../src/resourcemanager/page.ts';

describe('a page of a listing', () => {
  it('and those after it give every row once, in the order of the keys', () => {
    const keys = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { maxLength: 60 });
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 20 }), (rows, limit) => {
        const seen: string[] = [];
        let after: string | null = null;
        do {
          const page: Page<string> = pageOf(rows, (row) => row, { limit, after });
          expect(page.rows.length).to.be.at.most(limit);
          seen.push(...page.rows);
          after = page.next;
        } while (after !== null);
        expect(seen).to.deep.equal(rows.toSorted((a, b) => (a < b ? -1 : 1)));
      }),
    );
  });

  it('goes on after a key that is gone meanwhile', () => {
    const page = pageOf(['c', 'a', 'd'], (row) => row, { limit: 1, after: 'b' });
    expect(page).to.deep.equal({ rows: ['c'], next: 'c' });
  });

  it('is the last one when nothing is left', () => {
    expect(pageOf(['a', 'b'], (row) => row, { limit: 2, after: null })).to.deep.equal({
      rows: ['a', 'b'],
      next: null,
    });
    expect(pageOf([], (row: string) => row, { limit: 2, after: null })).to.deep.equal({
      rows: [],
      next: null,
    });
  });
});
