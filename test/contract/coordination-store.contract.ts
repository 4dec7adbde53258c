import { expect } from 'chai';
import type { Compare, CoordinationStore, Operation } from '../../src/ha/coordination-store.ts';
import { describeStoreFaults } from './coordination-store-faults.contract.ts';
import { describeLeases } from './coordination-store-leases.contract.ts';
import { describeRanges } from './coordination-store-ranges.contract.ts';
import { describeWatches } from './coordination-store-watches.contract.ts';
import { CALL_MS, failure, type StoreContext, type StoreUnderTest } from './store-under-test.ts';

let prefixes = 0;

/** What every coordination store does, whatever it is made of; `start` makes one of that many members. */
export function describeCoordinationStore(
  name: string,
  start: (members: 1 | 3) => Promise<StoreUnderTest>,
): void {
  describe(`the coordination store ${name}`, function () {
    this.timeout(60_000);
    let store: StoreUnderTest;
    let client: CoordinationStore;
    let prefix: string;
    const context = (): StoreContext => ({
      store,
      client,
      endpoint: client.endpoints[0],
      prefix,
      startAnother: () => start(1),
      transact: (transaction) =>
        store.answer(
          client.endpoints[0].transact({ compare: [], success: [], failure: [], ...transaction }, CALL_MS),
        ),
      put: async (key, value, lease) => {
        const put: Operation = { type: 'put', key, value, ...(lease !== undefined && { lease }) };
        const transaction = { compare: [], success: [put], failure: [] };
        return (await store.answer(client.endpoints[0].transact(transaction, CALL_MS))).revision;
      },
      get: async (key) =>
        (await store.answer(client.endpoints[0].range({ type: 'range', key }, CALL_MS))).keyValues[0],
    });

    before(async () => {
      store = await start(3);
    });
    after(() => store?.stop());
    beforeEach(() => {
      client = store.connect();
      prefix = `/contract/${++prefixes}/`;
    });
    afterEach(() => client.close());

    describeTransactions(context);
    describeCompares(context);
    describeLeases(context);
    describeRanges(context);
    describeWatches(context);
    describeStoreFaults(context);
  });
}

function describeTransactions(context: () => StoreContext): void {
  it('creates a key with the revision of the transaction as its create and mod revision', async () => {
    const { put, get, prefix } = context();
    const revision = await put(`${prefix}a`, 'x');
    expect(await get(`${prefix}a`)).to.deep.equal({
      key: `${prefix}a`,
      value: 'x',
      createRevision: revision,
      modRevision: revision,
      version: 1n,
      lease: 0n,
    });
  });

  it('keeps the create revision over further writes, and not over a deletion', async () => {
    const { put, get, transact, prefix } = context();
    const key = `${prefix}a`;
    const created = await put(key, '1');
    const written = await put(key, '2');
    expect(await get(key)).to.include({ createRevision: created, modRevision: written, version: 2n });
    await transact({ success: [{ type: 'delete', key }] });
    const createdAgain = await put(key, '3');
    expect(await get(key)).to.include({
      createRevision: createdAgain,
      modRevision: createdAgain,
      version: 1n,
    });
  });

  it('applies the operations of the branch taken and answers in their order', async () => {
    const { transact, put, prefix } = context();
    await put(`${prefix}old`, 'x');
    const absent: Compare = { key: `${prefix}old`, target: 'create', result: '==', operand: 0n };
    const { succeeded, results } = await transact({
      compare: [absent],
      success: [{ type: 'put', key: `${prefix}never`, value: 'x' }],
      failure: [
        { type: 'put', key: `${prefix}new`, value: 'y' },
        { type: 'delete', key: `${prefix}old` },
        { type: 'range', key: prefix, prefix: true },
      ],
    });
    expect(succeeded).to.equal(false);
    expect(results[0]).to.deep.equal({ type: 'put' });
    expect(results[1]).to.deep.equal({ type: 'delete', deleted: 1 });
    // A range sees the operations before it.
    const range = results[2];
    if (range?.type !== 'range') throw new Error('no range');
    expect(range.keyValues.map(({ key }) => key)).to.deep.equal([`${prefix}new`]);
  });

  it('makes one revision of all writes of a transaction', async () => {
    const { transact, get, put, prefix } = context();
    const before = await put(`${prefix}c`, '');
    const { revision } = await transact({
      success: [
        { type: 'put', key: `${prefix}a`, value: '' },
        { type: 'put', key: `${prefix}b`, value: '' },
        { type: 'delete', key: `${prefix}c` },
      ],
    });
    expect(revision > before).to.equal(true);
    expect((await get(`${prefix}a`))?.createRevision).to.equal(revision);
    expect((await get(`${prefix}b`))?.createRevision).to.equal(revision);
  });

  it('makes no revision of a transaction that changes nothing', async () => {
    const { transact, put, prefix } = context();
    const before = await put(`${prefix}a`, '');
    const { revision, results } = await transact({
      success: [
        { type: 'delete', key: `${prefix}absent` },
        { type: 'range', key: `${prefix}a` },
      ],
    });
    expect(revision).to.equal(before);
    expect(results[0]).to.deep.equal({ type: 'delete', deleted: 0 });
  });

  it('compares with the state before its own operations', async () => {
    const { transact, put, prefix } = context();
    await put(`${prefix}first`, '');
    const mine = await put(`${prefix}second`, '');
    // "Delete the dead key, then am I the lowest?" in one transaction is refused.
    const { succeeded } = await transact({
      compare: [{ key: prefix, prefix: true, target: 'create', result: '>', operand: mine - 1n }],
      success: [{ type: 'delete', key: `${prefix}first` }],
    });
    expect(succeeded).to.equal(false);
  });

  it('deletes a prefix and nothing beside it', async () => {
    const { transact, put, get, prefix } = context();
    await put(`${prefix}a/1`, '');
    await put(`${prefix}a/2`, '');
    await put(`${prefix}a`, '');
    await put(`${prefix}b`, '');
    const { results } = await transact({ success: [{ type: 'delete', key: `${prefix}a/`, prefix: true }] });
    expect(results).to.deep.equal([{ type: 'delete', deleted: 2 }]);
    expect(await get(`${prefix}a`)).to.not.equal(undefined);
    expect(await get(`${prefix}b`)).to.not.equal(undefined);
  });

  it('refuses to write a key twice, or to put and delete it, in either branch', async () => {
    const { transact, prefix } = context();
    const put: Operation = { type: 'put', key: `${prefix}a`, value: '' };
    const remove: Operation = { type: 'delete', key: `${prefix}a` };
    const removeAll: Operation = { type: 'delete', key: prefix, prefix: true };
    for (const branch of [
      [put, put],
      [put, remove],
      [remove, put],
      [removeAll, put],
    ] as Operation[][]) {
      expect(await failure(transact({ success: branch }))).to.equal('rejected');
      expect(await failure(transact({ failure: branch }))).to.equal('rejected');
    }
    expect((await transact({ success: [remove, remove, removeAll] })).succeeded).to.equal(true);
  });

  it('takes 128 operations and refuses more', async () => {
    const { transact, prefix } = context();
    const deletions = (count: number): Operation[] =>
      Array.from({ length: count }, (_, index) => ({ type: 'delete', key: `${prefix}${index}` }));
    expect((await transact({ success: deletions(128) })).results).to.have.length(128);
    expect(await failure(transact({ success: deletions(129) }))).to.equal('rejected');
    const compare = Array.from(
      { length: 129 },
      (): Compare => ({ key: `${prefix}a`, target: 'mod', result: '==', operand: 0n }),
    );
    expect(await failure(transact({ compare }))).to.equal('rejected');
  });

  it('refuses a request that is too large', async () => {
    const { transact, prefix } = context();
    const put: Operation = { type: 'put', key: `${prefix}a`, value: 'x'.repeat(2_000_000) };
    expect(await failure(transact({ success: [put] }))).to.equal('rejected');
  });

  it('keeps texts of any script and length as they are', async () => {
    const { put, get, prefix } = context();
    const value = `${'{"name":"Größe 数 \u{1f600}"}'.repeat(2_000)}\n\0`;
    await put(`${prefix}schlüssel 数`, value);
    await put(`${prefix}empty`, '');
    expect((await get(`${prefix}schlüssel 数`))?.value).to.equal(value);
    expect((await get(`${prefix}empty`))?.value).to.equal('');
  });

  it('refuses, before it is sent, what an encoder would turn into something else', async () => {
    const { transact, prefix } = context();
    const operands = [undefined, null, Number.NaN, 5, 'abc', -1n, 2n ** 63n] as unknown as bigint[];
    for (const operand of operands) {
      const compare: Compare = { key: `${prefix}absent`, target: 'create', result: '==', operand };
      expect(await failure(transact({ compare: [compare] }))).to.equal('rejected');
      if (operand === undefined) continue;
      const put: Operation = { type: 'put', key: `${prefix}a`, value: '', lease: operand };
      expect(await failure(transact({ success: [put] }))).to.equal('rejected');
    }
    const noText = undefined as unknown as string;
    for (const put of [
      { type: 'put', key: `${prefix}a`, value: noText },
      { type: 'put', key: noText, value: '' },
      { type: 'put', key: '', value: '' },
      // Half a surrogate pair has no UTF-8 form: it would arrive as another text.
      { type: 'put', key: `${prefix}\ud800`, value: '' },
      { type: 'put', key: `${prefix}a`, value: '\udc00' },
    ] satisfies Operation[]) {
      expect(await failure(transact({ success: [put] }))).to.equal('rejected');
    }
  });
}

function describeCompares(context: () => StoreContext): void {
  it('compares each field of a key in each way', async () => {
    const { transact, put, get, store, endpoint, prefix } = context();
    const key = `${prefix}a`;
    const leaseId = 2n ** 62n + 1n + BigInt(prefixes);
    await store.answer(endpoint.grantLease(leaseId, 60, CALL_MS));
    await put(key, 'm', leaseId);
    await put(key, 'n', leaseId);
    const keyValue = await get(key);
    if (keyValue === undefined) throw new Error('no key');
    const fields = {
      create: keyValue.createRevision,
      mod: keyValue.modRevision,
      version: keyValue.version,
      lease: keyValue.lease,
    };
    const holds = async (compare: Compare): Promise<boolean> =>
      (await transact({ compare: [compare] })).succeeded;
    for (const [target, actual] of Object.entries(fields) as [keyof typeof fields, bigint][]) {
      for (const operand of [actual - 1n, actual, actual + 1n]) {
        expect(await holds({ key, target, result: '==', operand }), target).to.equal(actual === operand);
        expect(await holds({ key, target, result: '!=', operand }), target).to.equal(actual !== operand);
        expect(await holds({ key, target, result: '>', operand }), target).to.equal(actual > operand);
        expect(await holds({ key, target, result: '<', operand }), target).to.equal(actual < operand);
      }
    }
    for (const operand of ['m', 'n', 'o', 'nn', '']) {
      expect(await holds({ key, target: 'value', result: '==', operand })).to.equal('n' === operand);
      expect(await holds({ key, target: 'value', result: '!=', operand })).to.equal('n' !== operand);
      expect(await holds({ key, target: 'value', result: '>', operand })).to.equal('n' > operand);
      expect(await holds({ key, target: 'value', result: '<', operand })).to.equal('n' < operand);
    }
    await store.answer(endpoint.revokeLease(leaseId, CALL_MS));
  });

  it('takes an absent key, or an empty prefix, for one whose numbers are 0 and whose value is nothing', async () => {
    const { transact, prefix } = context();
    for (const range of [{ key: `${prefix}absent` }, { key: `${prefix}absent`, prefix: true }]) {
      for (const target of ['create', 'mod', 'version', 'lease'] as const) {
        const holds = async (result: Compare['result'], operand: bigint): Promise<boolean> =>
          (await transact({ compare: [{ ...range, target, result, operand }] })).succeeded;
        expect(await holds('==', 0n)).to.equal(true);
        expect(await holds('<', 1n)).to.equal(true);
        expect(await holds('!=', 0n)).to.equal(false);
        expect(await holds('>', 0n)).to.equal(false);
      }
      for (const result of ['==', '!=', '>', '<'] as const) {
        const compare: Compare = { ...range, target: 'value', result, operand: '' };
        expect((await transact({ compare: [compare] })).succeeded, `value ${result}`).to.equal(false);
      }
    }
  });

  it('holds for a prefix only when it holds for each key under it', async () => {
    const { transact, put, prefix } = context();
    const first = await put(`${prefix}b`, '');
    await put(`${prefix}a`, '');
    const above = async (operand: bigint): Promise<boolean> =>
      (await transact({ compare: [{ key: prefix, prefix: true, target: 'create', result: '>', operand }] }))
        .succeeded;
    expect(await above(first - 1n)).to.equal(true);
    expect(await above(first)).to.equal(false);
  });

  it('needs every compare to hold', async () => {
    const { transact, prefix } = context();
    const holds: Compare = { key: `${prefix}a`, target: 'create', result: '==', operand: 0n };
    const fails: Compare = { key: `${prefix}a`, target: 'create', result: '>', operand: 0n };
    expect((await transact({ compare: [holds, holds] })).succeeded).to.equal(true);
    expect((await transact({ compare: [holds, fails] })).succeeded).to.equal(false);
    expect((await transact({ compare: [fails, holds] })).succeeded).to.equal(false);
    expect((await transact({})).succeeded).to.equal(true);
  });
}
