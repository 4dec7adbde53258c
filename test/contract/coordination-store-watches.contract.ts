import { expect } from 'chai';
import type { KeyRange } from '../../src/ha/coordination-store.ts';
import { RecordingWatchListener, type StoreContext } from './store-under-test.ts';

/** What watches do: nothing is missed, nothing comes twice, and every end is told once. */
export function describeWatches(context: () => StoreContext): void {
  it('says nothing in the turn in which a watch is asked for', () => {
    const { endpoint, prefix } = context();
    const listener = new RecordingWatchListener();
    endpoint.watch({ key: prefix, prefix: true }, 1n, listener);
    endpoint.watch({ key: '' }, 1n, listener);
    expect([listener.created, listener.events.length, listener.ends.length]).to.deep.equal([0, 0, 0]);
  });

  it('tells what happened from a past revision on, then what happens, each once and in order', async () => {
    const { store, endpoint, put, transact, prefix } = context();
    await put(`${prefix}a`, '1');
    const start = await put(`${prefix}a`, '2');
    // Leases of other tests run out meanwhile, each in a revision of its own.
    const written = [start, await put(`${prefix}b`, '3')];
    const listener = new RecordingWatchListener();
    endpoint.watch({ key: prefix, prefix: true }, start, listener);
    await store.until('the watch stands', () => listener.created === 1);
    const { revision } = await transact({ success: [{ type: 'delete', key: `${prefix}a` }] });
    written.push(revision, await put(`${prefix}c`, '4'));
    for (let number = 5; number < 30; number++) written.push(await put(`${prefix}d`, String(number)));
    await store.until('the last event has come', () => listener.texts.at(-1) === `put ${prefix}d=29`);
    const expected = [`put ${prefix}a=2`, `put ${prefix}b=3`, `delete ${prefix}a`, `put ${prefix}c=4`];
    for (let number = 5; number < 30; number++) expected.push(`put ${prefix}d=${number}`);
    expect(listener.texts).to.deep.equal(expected);
    const revisions = listener.events.map((e) => (e.type === 'put' ? e.keyValue.modRevision : e.modRevision));
    expect(revisions).to.deep.equal(written);
    expect(listener.ends).to.deep.equal([]);
  });

  it('gives the events of one revision together, with that revision', async () => {
    const { store, endpoint, transact, put, prefix } = context();
    const before = await put(`${prefix}old`, '');
    const listener = new RecordingWatchListener();
    endpoint.watch({ key: prefix, prefix: true }, before + 1n, listener);
    await store.until('the watch stands', () => listener.created === 1);
    const { revision } = await transact({
      success: [
        { type: 'put', key: `${prefix}a`, value: '' },
        { type: 'delete', key: `${prefix}old` },
        { type: 'put', key: `${prefix}b`, value: '' },
      ],
    });
    await store.until('the events have come', () => listener.batches.length > 0);
    expect(listener.batches).to.have.length(1);
    expect(listener.batches[0]?.revision).to.equal(revision);
    expect(listener.texts).to.deep.equal([`put ${prefix}a=`, `delete ${prefix}old`, `put ${prefix}b=`]);
  });

  it('tells all of a key value', async () => {
    const { store, endpoint, put, get, prefix } = context();
    const revision = await put(`${prefix}a`, '1');
    await put(`${prefix}a`, 'größer');
    const listener = new RecordingWatchListener();
    endpoint.watch({ key: `${prefix}a` }, revision + 1n, listener);
    await store.until('the event has come', () => listener.events.length > 0);
    expect(listener.events).to.deep.equal([{ type: 'put', keyValue: await get(`${prefix}a`) }]);
  });

  it('watches one key without those that start with it', async () => {
    const { store, endpoint, put, prefix } = context();
    const revision = await put(`${prefix}ab`, '1');
    await put(`${prefix}a`, '2');
    const listener = new RecordingWatchListener();
    endpoint.watch({ key: `${prefix}a` }, revision, listener);
    await store.until('the event has come', () => listener.events.length > 0);
    expect(listener.texts).to.deep.equal([`put ${prefix}a=2`]);
  });

  it('waits for a revision that is still to come', async () => {
    const { store, endpoint, put, prefix } = context();
    const revision = await put(`${prefix}a`, '1');
    const listener = new RecordingWatchListener();
    endpoint.watch({ key: prefix, prefix: true }, revision + 2n, listener);
    await store.until('the watch stands', () => listener.created === 1);
    await put(`${prefix}a`, '2');
    await put(`${prefix}a`, '3');
    await store.until('the event has come', () => listener.events.length > 0);
    expect(listener.texts).to.deep.equal([`put ${prefix}a=3`]);
  });

  it('tells a write through one member to a watch at another', async () => {
    const { store, client, put, prefix } = context();
    const revision = await put(`${prefix}a`, '1');
    const listeners = client.endpoints.map((endpoint) => {
      const listener = new RecordingWatchListener();
      endpoint.watch({ key: prefix, prefix: true }, revision + 1n, listener);
      return listener;
    });
    await put(`${prefix}a`, '2');
    await store.until('all have it', () => listeners.every(({ events }) => events.length === 1));
    expect(listeners.flatMap(({ ends }) => ends)).to.deep.equal([]);
  });

  it('ends a watch that is cancelled, once, and says nothing afterwards', async () => {
    const { store, endpoint, put, prefix } = context();
    const revision = await put(`${prefix}a`, '1');
    const listener = new RecordingWatchListener();
    const other = new RecordingWatchListener();
    const watch = endpoint.watch({ key: prefix, prefix: true }, revision, listener);
    endpoint.watch({ key: prefix, prefix: true }, revision, other);
    await store.until('the first event has come', () => listener.events.length === 1);
    watch.cancel();
    watch.cancel();
    expect(listener.ends.map(({ kind }) => kind)).to.deep.equal(['cancelled']);
    await put(`${prefix}a`, '2');
    await store.until('the other watch has it', () => other.events.length === 2);
    expect(listener.events).to.have.length(1);
    expect(listener.ends).to.have.length(1);
  });

  it('ends a watch that is cancelled before it stands', async () => {
    const { store, endpoint, put, prefix } = context();
    const revision = await put(`${prefix}a`, '1');
    const listener = new RecordingWatchListener();
    endpoint.watch({ key: prefix, prefix: true }, revision, listener).cancel();
    const other = new RecordingWatchListener();
    endpoint.watch({ key: prefix, prefix: true }, revision, other);
    await store.until('the other watch has its event', () => other.events.length === 1);
    expect(listener.ends.map(({ kind }) => kind)).to.deep.equal(['cancelled']);
    expect([listener.created, listener.events.length]).to.deep.equal([0, 0]);
  });

  it('says that a revision has been compacted, and watches later ones', async () => {
    const { store, endpoint, put, prefix } = context();
    const first = await put(`${prefix}a`, '1');
    await put(`${prefix}a`, '2');
    const last = await put(`${prefix}a`, '3');
    await store.compact(last);
    const late = new RecordingWatchListener();
    endpoint.watch({ key: prefix, prefix: true }, first, late);
    await store.until('the watch has ended', () => late.ends.length === 1);
    expect(late.ends[0]).to.include({ kind: 'compacted', compactedRevision: last });
    expect(late.events).to.deep.equal([]);
    const later = new RecordingWatchListener();
    endpoint.watch({ key: prefix, prefix: true }, last + 1n, later);
    await put(`${prefix}a`, '4');
    await store.until('the event has come', () => later.texts.includes(`put ${prefix}a=4`));
  });

  it('goes on with a watch that stands when its start is compacted', async () => {
    const { store, endpoint, put, prefix } = context();
    const first = await put(`${prefix}a`, '1');
    const listener = new RecordingWatchListener();
    endpoint.watch({ key: prefix, prefix: true }, first, listener);
    const last = await put(`${prefix}a`, '2');
    await store.until('the watch is up to date', () => listener.events.length === 2);
    await store.compact(last);
    await put(`${prefix}a`, '3');
    await store.until('the event has come', () => listener.events.length === 3);
    expect(listener.ends).to.deep.equal([]);
  });

  it('refuses a watch without a key or from a revision that is none', async () => {
    const { store, endpoint, prefix } = context();
    const wrong: [KeyRange, bigint][] = [
      [{ key: '' }, 1n],
      [{ key: prefix }, 0n],
      [{ key: prefix }, undefined as unknown as bigint],
      [{ key: prefix }, 5 as unknown as bigint],
    ];
    for (const [range, revision] of wrong) {
      const listener = new RecordingWatchListener();
      endpoint.watch(range, revision, listener);
      await store.until('the watch has ended', () => listener.ends.length === 1);
      expect(listener.ends[0]?.kind).to.equal('refused');
      expect(listener.created).to.equal(0);
    }
  });
}
