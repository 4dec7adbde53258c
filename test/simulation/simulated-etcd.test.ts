import { expect } from 'chai';
import type { CoordinationStore, Transaction, TransactionResult } from '../../src/ha/coordination-store.ts';
import { failure, RecordingWatchListener } from '../contract/store-under-test.ts';
import { SimulatedEtcd } from './simulated-etcd.ts';
import { VirtualClock } from './virtual-clock.ts';

const PUT: Transaction = { compare: [], success: [{ type: 'put', key: 'a', value: 'x' }], failure: [] };

describe('the simulated etcd', () => {
  let clock: VirtualClock;
  let etcd: SimulatedEtcd;
  let store: CoordinationStore;

  beforeEach(() => {
    clock = new VirtualClock();
    etcd = new SimulatedEtcd({ clock });
    store = etcd.connect('client');
  });

  async function answer<T>(call: Promise<T>): Promise<T> {
    let settled = false;
    void Promise.allSettled([call]).then(() => {
      settled = true;
    });
    await clock.until(() => settled);
    return call;
  }

  function put(timeoutMs = 1_000): Promise<TransactionResult> {
    return answer(store.endpoints[0].transact(PUT, timeoutMs));
  }

  function get(member = 0): Promise<boolean> {
    const endpoint = store.endpoints[member] ?? store.endpoints[0];
    const range = endpoint.range({ type: 'range', key: 'a' }, 1_000);
    return answer(range).then(({ keyValues }) => keyValues.length === 1);
  }

  it('commits a transaction whose answer is lost', async () => {
    etcd.loseAnswer({ method: 'transact' });
    expect(await failure(put())).to.equal('unknown-outcome');
    expect(await get()).to.equal(true);
    expect((await put()).succeeded).to.equal(true);
  });

  it('does not commit a call that is lost on its way', async () => {
    etcd.loseCall();
    expect(await failure(put())).to.equal('unknown-outcome');
    expect(await get()).to.equal(false);
  });

  it('commits a held-back transaction when it is let go, after a linearizable read elsewhere said "absent"', async () => {
    const held = etcd.holdBack({ client: 'client', member: 'etcd-1', method: 'transact' });
    expect(held.arrived).to.equal(false);
    expect(await failure(put(100))).to.equal('unknown-outcome');
    expect(held.arrived).to.equal(true);
    expect(await get(1)).to.equal(false);
    held.commit();
    expect(await get(1)).to.equal(true);
    etcd.deleteKey('a');
    held.commit();
    expect(await get(1)).to.equal(false);
  });

  it('commits a delayed call after its caller has given up', async () => {
    etcd.delayCall(500);
    expect(await failure(put(100))).to.equal('unknown-outcome');
    expect(await get(1)).to.equal(false);
    await clock.advance(500);
    expect(await get(1)).to.equal(true);
  });

  it('holds faults back from calls that do not fit', async () => {
    etcd.loseCall({ client: 'another' });
    etcd.loseCall({ where: (request) => request.method === 'keepAlive' });
    await put();
    expect(await get()).to.equal(true);
  });

  it('commits what a stopped member had been sent when it goes on', async () => {
    etcd.setCondition('etcd-1', 'silent');
    expect(await failure(put(100))).to.equal('unknown-outcome');
    expect(await get(1)).to.equal(false);
    etcd.setCondition('etcd-1', 'up');
    await clock.advance(10);
    expect(await get(1)).to.equal(true);
  });

  it('loses what a member had been sent when it crashes', async () => {
    const call = store.endpoints[0].transact(PUT, 1_000);
    etcd.setCondition('etcd-1', 'down');
    expect(await failure(answer(call))).to.equal('unknown-outcome');
    expect(await failure(put())).to.equal('not-sent');
    expect(await get(1)).to.equal(false);
    etcd.setCondition('etcd-1', 'up');
    expect((await put()).succeeded).to.equal(true);
  });

  it('lets a member that is cut off answer compares from its old state, and nothing else', async () => {
    await put();
    etcd.setCondition('etcd-3', 'cut-off');
    etcd.deleteKey('a');
    const [, , third] = store.endpoints;
    if (third === undefined) throw new Error('no third member');
    const there = { key: 'a', target: 'create', result: '>', operand: 0n } as const;
    const compare = { compare: [there], success: [], failure: [] };
    expect((await answer(third.transact(compare, 500))).succeeded).to.equal(true);
    const range = { type: 'range', key: 'a' } as const;
    const check = { compare: [there], success: [range], failure: [range] };
    expect(await failure(answer(third.transact(check, 500)))).to.equal('unknown-outcome');
    expect(await failure(answer(third.range(range, 500)))).to.equal('unknown-outcome');
    expect(await failure(answer(third.keepAlive(1n, 500)))).to.equal('unknown-outcome');
    // The two others go on.
    expect((await answer(store.endpoints[0].transact(check, 500))).succeeded).to.equal(false);
    etcd.setCondition('etcd-3', 'up');
    expect((await answer(third.transact(check, 500))).succeeded).to.equal(false);
  });

  it('tells a watch at a member that was cut off for a short time all that it missed', async () => {
    const listener = new RecordingWatchListener();
    store.endpoints[2]?.watch({ key: 'a' }, 1n, listener);
    await clock.advance(10);
    etcd.setCondition('etcd-3', 'cut-off');
    await put();
    await clock.advance(1_000);
    expect(listener.events).to.deep.equal([]);
    etcd.setCondition('etcd-3', 'up');
    await clock.advance(10);
    expect(listener.texts).to.deep.equal(['put a=x']);
  });

  it('lets no lease run out without a quorum, and gives each its full time afterwards', async () => {
    await answer(store.endpoints[0].grantLease(5n, 2, 1_000));
    await clock.advance(1_500);
    etcd.setCondition('etcd-1', 'down');
    etcd.setCondition('etcd-2', 'silent');
    await clock.advance(10_000);
    expect(etcd.state.leaseIds).to.deep.equal([5n]);
    etcd.setCondition('etcd-1', 'up');
    await clock.advance(1_900);
    expect(etcd.state.leaseIds).to.deep.equal([5n]);
    await clock.advance(700);
    expect(etcd.state.leaseIds).to.deep.equal([]);
  });

  it('keeps everything from a blocked client, whose watches end, and nothing from the others', async () => {
    const listener = new RecordingWatchListener();
    store.endpoints[0].watch({ key: 'a' }, 1n, listener);
    await clock.advance(10);
    etcd.block('client');
    expect(await failure(put(500))).to.equal('unknown-outcome');
    const other = etcd.connect('other');
    await answer(other.endpoints[0].transact(PUT, 500));
    await clock.advance(6_000);
    expect(listener.events).to.deep.equal([]);
    expect(listener.ends.map(({ kind }) => kind)).to.deep.equal(['lost']);
    etcd.unblock('client');
    expect(await get()).to.equal(true);
  });

  it('drops watches, compacts, revokes and deletes as it is told', async () => {
    await answer(store.endpoints[0].grantLease(5n, 60, 1_000));
    etcd.putKey('a', '1');
    etcd.putKey('a', '2');
    const listener = new RecordingWatchListener();
    store.endpoints[0].watch({ key: 'a' }, 1n, listener);
    await clock.advance(10);
    etcd.dropWatches('client');
    await clock.advance(10);
    expect(listener.ends.map(({ kind }) => kind)).to.deep.equal(['lost']);
    etcd.compact();
    const late = new RecordingWatchListener();
    store.endpoints[0].watch({ key: 'a' }, 1n, late);
    await clock.advance(10);
    expect(late.ends.map(({ kind }) => kind)).to.deep.equal(['compacted']);
    etcd.revokeLease(5n);
    expect(await failure(answer(store.endpoints[0].keepAlive(5n, 500)))).to.equal('lease-not-found');
    etcd.deleteKey('a');
    expect(await get()).to.equal(false);
  });
});
