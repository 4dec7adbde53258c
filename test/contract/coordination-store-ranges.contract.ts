import { expect } from 'chai';
import type { KeyValue, Operation, TransactionResult } from '../../src/ha/coordination-store.ts';
import { CALL_MS, failure, type StoreContext } from './store-under-test.ts';

/** What can be read: by order, page by page, as of an earlier revision, and within a transaction. */
export function describeRanges(context: () => StoreContext): void {
  it('ranges over a prefix in the order of the bytes, page by page', async () => {
    const { store, endpoint, transact, prefix } = context();
    // In UTF-16 the emoji would come before the last one.
    const names = ['', '/', '0', 'B', 'a', 'a/', 'ab', 'é', '数', '\uffe6', '\u{1f600}'];
    const revision = (
      await transact({ success: names.map((name) => ({ type: 'put', key: prefix + name, value: '' })) })
    ).revision;
    const keysOf = (keyValues: readonly KeyValue[]): string[] =>
      keyValues.map(({ key }) => key.slice(prefix.length));
    const range = { type: 'range', key: prefix, prefix: true } as const;
    const all = await store.answer(endpoint.range(range, CALL_MS));
    expect(keysOf(all.keyValues)).to.deep.equal(names);
    expect(all).to.include({ more: false, revision });
    const page = await store.answer(endpoint.range({ ...range, limit: 4 }, CALL_MS));
    expect(keysOf(page.keyValues)).to.deep.equal(names.slice(0, 4));
    expect(page.more).to.equal(true);
    const after = page.keyValues.at(-1)?.key ?? '';
    const next = await store.answer(endpoint.range({ ...range, after, limit: 7 }, CALL_MS));
    expect(keysOf(next.keyValues)).to.deep.equal(names.slice(4));
    expect(next.more).to.equal(false);
    const early = await store.answer(endpoint.range({ ...range, after: '/', limit: 1 }, CALL_MS));
    expect(keysOf(early.keyValues)).to.deep.equal(['']);
    const late = await store.answer(endpoint.range({ ...range, after: `${prefix}\u{1f600}` }, CALL_MS));
    expect(late.keyValues).to.deep.equal([]);
  });

  it('ranges over one key without those that start with it', async () => {
    const { store, endpoint, put, prefix } = context();
    await put(`${prefix}a`, '1');
    await put(`${prefix}ab`, '2');
    const { keyValues } = await store.answer(endpoint.range({ type: 'range', key: `${prefix}a` }, CALL_MS));
    expect(keyValues.map(({ value }) => value)).to.deep.equal(['1']);
  });

  it('ranges as of an earlier revision, down to the compacted one', async () => {
    const { store, endpoint, put, transact, prefix } = context();
    const first = await put(`${prefix}a`, '1');
    const second = await put(`${prefix}b`, '2');
    const third = await put(`${prefix}a`, '3');
    const { revision: last } = await transact({ success: [{ type: 'delete', key: `${prefix}b` }] });
    const written = [first, second, third];
    const at = (revision: bigint): ReturnType<typeof endpoint.range> =>
      store.answer(endpoint.range({ type: 'range', key: prefix, prefix: true, revision }, CALL_MS));
    const texts = async (revision: bigint): Promise<string[]> =>
      (await at(revision)).keyValues.map(
        ({ value, modRevision }) => `${value} of ${written.indexOf(modRevision)}`,
      );
    expect(await texts(first)).to.deep.equal(['1 of 0']);
    expect(await texts(second)).to.deep.equal(['1 of 0', '2 of 1']);
    expect(await texts(last)).to.deep.equal(['3 of 2']);
    await store.compact(second);
    expect(await texts(second)).to.deep.equal(['1 of 0', '2 of 1']);
    expect(await texts(third)).to.deep.equal(['3 of 2', '2 of 1']);
    expect(await failure(at(first))).to.equal('compacted');
    expect(await failure(at(second + 1_000n))).to.equal('rejected');
    expect(await failure(at(0n))).to.equal('rejected');
  });

  it('refuses a range without a key, with a wrong limit, or after a key without a prefix', async () => {
    const { store, endpoint, prefix } = context();
    const ranges = [
      { key: '' },
      { key: prefix, limit: Number.NaN },
      { key: prefix, limit: -1 },
      { key: prefix, after: prefix },
    ];
    for (const range of ranges) {
      const call = endpoint.range({ type: 'range', ...range }, CALL_MS);
      expect(await failure(store.answer(call))).to.equal('rejected');
    }
  });

  it('refuses a timeout that would never come', async () => {
    const { store, endpoint, prefix } = context();
    for (const timeoutMs of [0, -1, Number.NaN, Infinity]) {
      const call = endpoint.range({ type: 'range', key: prefix }, timeoutMs);
      expect(await failure(store.answer(call))).to.equal('rejected');
    }
  });

  it('changes nothing when a range of the transaction has a revision that cannot be read', async () => {
    const { startAnother, prefix } = context();
    // Each member of etcd 3.4 refuses it for itself while it is applied, and they count revisions differently afterwards.
    const store = await startAnother();
    const client = store.connect();
    const [endpoint] = client.endpoints;
    const key = `${prefix}a`;
    const transact = (...success: Operation[]): Promise<TransactionResult> =>
      store.answer(endpoint.transact({ compare: [], success, failure: [] }, CALL_MS));
    try {
      const before = (await transact({ type: 'put', key, value: '1' })).revision;
      const put: Operation = { type: 'put', key, value: '2' };
      const unreadable = transact(put, { type: 'range', key, revision: before + 1_000n });
      expect(await failure(unreadable)).to.equal('rejected');
      const { keyValues } = await store.answer(endpoint.range({ type: 'range', key }, CALL_MS));
      expect(keyValues[0]).to.include({ value: '1', modRevision: before });
      expect((await transact(put)).revision).to.equal(before + 1n);
    } finally {
      await client.close();
      await store.stop();
    }
  });

  it('does not show its own writes as of the revision before it', async () => {
    const { transact, put, prefix } = context();
    const before = await put(`${prefix}a`, '1');
    const { results } = await transact({
      success: [
        { type: 'put', key: `${prefix}a`, value: '2' },
        { type: 'range', key: `${prefix}a`, revision: before },
        { type: 'range', key: `${prefix}a` },
      ],
    });
    const values = results.map((result) => (result.type === 'range' ? result.keyValues[0]?.value : null));
    expect(values).to.deep.equal([null, '1', '2']);
  });
}
