import { expect } from 'chai';
import { MvccState } from '../../../../src/ha/embedded/mvcc-state.ts';
import { StoreState } from '../../../../src/ha/embedded/store-state.ts';

describe('the versioned keys of the in-memory store', () => {
  it('keep a bounded history, and say so to whoever asks for more', () => {
    const state = new MvccState();
    for (let number = 0; number < 25_000; number++) {
      const success = [{ type: 'put', key: 'a', value: String(number) }] as const;
      state.transact({ compare: [], success, failure: [] });
    }
    expect(state.revision).to.equal(25_001n);
    expect(state.eventsSince({ key: 'a' }, 2n)).to.equal(undefined);
    const kept = state.eventsSince({ key: 'a' }, state.compactedRevision) ?? [];
    expect(kept.length).to.be.within(10_000, 20_000);
    expect(kept.at(-1)?.revision).to.equal(25_001n);
  });

  it('have no deletion in the compacted revision any more, as in etcd 3.4, but all that is later', () => {
    const state = new MvccState();
    const put = { type: 'put', key: 'b', value: '' } as const;
    for (const key of ['a', 'b']) state.transact({ compare: [], success: [{ ...put, key }], failure: [] });
    state.transact({ compare: [], success: [{ type: 'delete', key: 'a' }, put], failure: [] });
    state.transact({ compare: [], success: [{ type: 'delete', key: 'b' }], failure: [] });
    state.compact(4n);
    const said = (state.eventsSince({ key: '', prefix: true }, 4n) ?? []).map(({ revision, events }) => [
      revision,
      events.map(({ type }) => type),
    ]);
    expect(said).to.deep.equal([
      [4n, ['put']],
      [5n, ['delete']],
    ]);
  });

  it('give a copy that stays as it is', () => {
    const state = new MvccState();
    const put = (value: string): unknown =>
      state.transact({ compare: [], success: [{ type: 'put', key: 'a', value }], failure: [] });
    put('1');
    const copy = state.copy();
    let commits = 0;
    state.onCommit = () => {
      commits += 1;
    };
    put('2');
    expect(copy.get('a')?.value).to.equal('1');
    expect(copy.revision).to.equal(2n);
    copy.deleteKeys(['a']);
    expect(state.get('a')?.value).to.equal('2');
    expect(commits).to.equal(1);
  });
});

describe('a transaction of the in-memory store', () => {
  it('may delete all keys and put one, in either order, as etcd overlooks that', () => {
    const state = new StoreState(1);
    const put = { type: 'put', key: 'a', value: '1' } as const;
    const deleteAll = { type: 'delete', key: '', prefix: true } as const;
    state.transact({ compare: [], success: [put, deleteAll], failure: [] });
    expect(state.mvcc.get('a')).to.equal(undefined);
    state.transact({ compare: [], success: [deleteAll, put], failure: [] });
    expect(state.mvcc.get('a')?.value).to.equal('1');
    expect(state.mvcc.revision).to.equal(3n);
  });
});
