import { expect } from 'chai';
import { EtcdCluster } from '../../src/cli/cluster/etcd-cluster.ts';
import type { StoreEndpoint, StoreError, Transaction } from '../../src/ha/coordination-store.ts';
import type { EtcdCredentials } from '../../src/ha/etcd/etcd-login.ts';
import { EtcdCoordinationStore } from '../../src/ha/etcd/etcd-coordination-store.ts';
import { SystemClock } from '../../src/runtime/system-clock.ts';
import { failure, RecordingWatchListener } from '../contract/store-under-test.ts';
import { eventually } from '../support/eventually.ts';

const APP = { username: 'app', password: 'secret' };

describe('an etcd with authentication', function () {
  this.timeout(30_000);
  let cluster: EtcdCluster;
  const stores: EtcdCoordinationStore[] = [];

  before(async () => {
    cluster = await EtcdCluster.start();
    const order = async (path: string, body: Readonly<Record<string, unknown>>): Promise<void> => {
      const response = await fetch(`${cluster.urls[0]}/v3/auth/${path}`, {
        method: 'POST',
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
    };
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    for (const name of ['root', 'app']) {
      await order('user/add', { name, password: 'secret' });
      await order('role/add', { name });
      await order('user/grant', { user: name, role: name });
    }
    const perm = { permType: 'READWRITE', key: base64('/ours/'), range_end: base64('/ours0') };
    await order('role/grant', { name: 'app', perm });
    await order('enable', {});
  });
  after(() => cluster?.stop());
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
  });

  function connect(credentials?: EtcdCredentials): StoreEndpoint {
    const store = new EtcdCoordinationStore({
      endpoints: cluster.urls,
      clock: new SystemClock(),
      credentials,
    });
    stores.push(store);
    return store.endpoints[0];
  }

  function put(key: string): Transaction {
    return { compare: [], success: [{ type: 'put', key, value: '' }], failure: [] };
  }

  /** As a restart does, which forgets every token that etcd has given out. */
  async function forgetTokens(): Promise<void> {
    const [member] = cluster.members;
    if (member === undefined) throw new Error('no member');
    await member.crash();
    // Its health cannot be asked for: that is a read, which nobody may do without a user.
    member.start();
    const probe = connect(APP);
    await eventually('etcd is back', () =>
      probe.transact(put('/ours/probe'), 1_000).then(
        () => true,
        () => false,
      ),
    );
  }

  it('lets a user do what its roles allow, and rejects everything else', async () => {
    const endpoint = connect(APP);
    await endpoint.transact(put('/ours/a'), 2_000);
    expect(await failure(endpoint.transact(put('/theirs/a'), 2_000))).to.equal('rejected');
    const listener = new RecordingWatchListener();
    endpoint.watch({ key: '/theirs/', prefix: true }, 1n, listener);
    await eventually('the watch is refused', () => listener.ends.length === 1);
    expect(listener.ends[0]?.kind).to.equal('refused');
    const ours = new RecordingWatchListener();
    endpoint.watch({ key: '/ours/', prefix: true }, 1n, ours);
    await eventually('the event has come', () => ours.events.length > 0);
  });

  it('rejects a wrong password and no user at all', async () => {
    expect(await failure(connect({ ...APP, password: 'wrong' }).transact(put('/ours/a'), 2_000))).to.equal(
      'rejected',
    );
    expect(await failure(connect().transact(put('/ours/a'), 2_000))).to.equal('rejected');
  });

  it('logs in again when its token is forgotten, for calls, keepalives and watches', async () => {
    const [caller, keeper, watcher] = [connect(APP), connect(APP), connect(APP)];
    await caller.transact(put('/ours/a'), 2_000);
    await keeper.grantLease(77n, 60, 2_000);
    await watcher.range({ type: 'range', key: '/ours/a' }, 2_000);
    await forgetTokens();
    // The connections of each client have to come back first; a token that is refused is no failure.
    const kinds = new Set<string>();
    await eventually('the caller is let in', () =>
      caller.transact(put('/ours/b'), 2_000).then(
        () => true,
        (error: StoreError) => {
          kinds.add(error.kind);
          return false;
        },
      ),
    );
    kinds.delete('not-sent');
    expect([...kinds]).to.deep.equal([]);
    await eventually('the lease is kept', () =>
      keeper.keepAlive(77n, 2_000).then(
        () => true,
        () => false,
      ),
    );
    await eventually('a watch stands', async () => {
      const listener = new RecordingWatchListener();
      watcher.watch({ key: '/ours/', prefix: true }, 1n, listener);
      await eventually('it is decided', () => listener.events.length + listener.ends.length > 0);
      expect(listener.ends.map(({ kind }) => kind)).to.not.include('refused');
      return listener.events.length > 0;
    });
  });
});
