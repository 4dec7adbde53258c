import { expect } from 'chai';
import { StoreError } from '../../../../src/ha/coordination-store.ts';
import { EtcdCoordinationStore } from '../../../../src/ha/etcd/etcd-coordination-store.ts';
import { SystemClock } from '../../../../src/runtime/system-clock.ts';

describe('the settings of the etcd store', () => {
  const clock = new SystemClock();

  function refusal(endpoints: string[], tls?: { ca: Buffer }): string {
    try {
      void new EtcdCoordinationStore({ endpoints, clock, tls }).close();
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'rejected') return error.message;
      throw error;
    }
    throw new Error('not refused');
  }

  it('name each member once, in order, without a slash at the end', async () => {
    const endpoints = ['http://127.0.0.1:2379/', 'https://etcd.example:443', 'http://[::1]:2379'];
    const store = new EtcdCoordinationStore({ endpoints, clock });
    expect(store.endpoints.map(({ name }) => name)).to.deep.equal([
      'http://127.0.0.1:2379',
      'https://etcd.example:443',
      'http://[::1]:2379',
    ]);
    await store.close();
  });

  it('are refused when an endpoint is missing or is no URL with a port', () => {
    expect(refusal([])).to.include('at least one');
    for (const url of [
      'localhost:2379',
      'http://localhost',
      'ftp://localhost:1',
      'http://a b:1',
      'http://h:1/path',
    ]) {
      expect(refusal([url]), url).to.include(url);
    }
  });

  it('are refused when they would leave certificates unused', () => {
    expect(refusal(['http://127.0.0.1:2379'], { ca: Buffer.from('') })).to.include('https');
  });
});
