import { expect } from 'chai';
import { SystemRandomness } from '../../src/runtime/system-randomness.ts';
import { CALL_MS, failure, RecordingWatchListener, type StoreContext } from './store-under-test.ts';

const randomness = new SystemRandomness();

/** Longest life of a lease after its time: the scan for expired ones, and the revocation itself. */
const EXPIRY_SLACK_MS = 3_000;

/** What leases do: granted under a chosen id, kept alive, expired, revoked, and the keys bound to them. */
export function describeLeases(context: () => StoreContext): void {
  async function grant(ttlSeconds: number): Promise<{ leaseId: bigint; ttlSeconds: number }> {
    const { store, endpoint } = context();
    // Above 2^53, where a number would lose its last digits.
    const leaseId = randomness.leaseId() | (1n << 60n) | 1n;
    const granted = await store.answer(endpoint.grantLease(leaseId, ttlSeconds, CALL_MS));
    return { leaseId, ttlSeconds: granted.ttlSeconds };
  }

  it('grants a lease for the time asked, or longer', async () => {
    expect((await grant(60)).ttlSeconds).to.equal(60);
    expect((await grant(1)).ttlSeconds).to.be.at.least(1);
  });

  it('recognises that a lease has been granted before', async () => {
    const { store, endpoint } = context();
    const { leaseId } = await grant(60);
    expect(await failure(store.answer(endpoint.grantLease(leaseId, 60, CALL_MS)))).to.equal('lease-exists');
  });

  it('refuses ids and times that the store would change on its own', async () => {
    const { store, endpoint } = context();
    const wrongIds = [0n, -1n, 2n ** 63n, 5, undefined] as unknown as bigint[];
    for (const leaseId of wrongIds) {
      expect(await failure(store.answer(endpoint.grantLease(leaseId, 10, CALL_MS)))).to.equal('rejected');
      expect(await failure(store.answer(endpoint.keepAlive(leaseId, CALL_MS)))).to.equal('rejected');
      expect(await failure(store.answer(endpoint.revokeLease(leaseId, CALL_MS)))).to.equal('rejected');
    }
    for (const ttlSeconds of [0, -1, 1.5, Number.NaN, Infinity, 9_000_000_001]) {
      const call = endpoint.grantLease(randomness.leaseId(), ttlSeconds, CALL_MS);
      expect(await failure(store.answer(call))).to.equal('rejected');
    }
  });

  it('binds a key to a lease by its exact id', async () => {
    const { put, get, prefix } = context();
    const { leaseId } = await grant(60);
    await put(`${prefix}a`, 'x', leaseId);
    expect((await get(`${prefix}a`))?.lease).to.equal(leaseId);
  });

  it('refuses to bind a key to a lease that does not exist, and then does nothing of the transaction', async () => {
    const { transact, get, prefix } = context();
    const success = [
      { type: 'put', key: `${prefix}a`, value: '' },
      { type: 'put', key: `${prefix}b`, value: '', lease: randomness.leaseId() },
    ] as const;
    expect(await failure(transact({ success }))).to.equal('lease-not-found');
    expect(await get(`${prefix}a`)).to.equal(undefined);
    // Only the branch taken counts.
    expect((await transact({ failure: success })).succeeded).to.equal(true);
  });

  it('deletes the keys of a revoked lease in one revision', async () => {
    const { store, endpoint, put, prefix } = context();
    const { leaseId } = await grant(60);
    await put(`${prefix}a`, '', leaseId);
    await put(`${prefix}free`, '');
    const revision = await put(`${prefix}b`, '', leaseId);
    const listener = new RecordingWatchListener();
    endpoint.watch({ key: prefix, prefix: true }, revision + 1n, listener);
    await store.answer(endpoint.revokeLease(leaseId, CALL_MS));
    await store.until('both deletions are seen', () => listener.events.length === 2);
    expect(new Set(listener.texts)).to.deep.equal(new Set([`delete ${prefix}a`, `delete ${prefix}b`]));
    expect(
      new Set(listener.events.map((event) => event.type === 'delete' && event.modRevision)).size,
    ).to.equal(1);
    expect(await failure(store.answer(endpoint.revokeLease(leaseId, CALL_MS)))).to.equal('lease-not-found');
  });

  it('detaches a key that is put without its lease', async () => {
    const { store, endpoint, put, get, prefix } = context();
    const { leaseId } = await grant(60);
    await put(`${prefix}a`, '1', leaseId);
    await put(`${prefix}a`, '2');
    await store.answer(endpoint.revokeLease(leaseId, CALL_MS));
    expect(await get(`${prefix}a`)).to.include({ value: '2', lease: 0n });
  });

  it('moves a key that is put with another lease', async () => {
    const { store, endpoint, put, get, prefix } = context();
    const one = await grant(60);
    const other = await grant(60);
    await put(`${prefix}a`, '1', one.leaseId);
    await put(`${prefix}a`, '2', other.leaseId);
    await store.answer(endpoint.revokeLease(one.leaseId, CALL_MS));
    expect((await get(`${prefix}a`))?.lease).to.equal(other.leaseId);
    await store.answer(endpoint.revokeLease(other.leaseId, CALL_MS));
    expect(await get(`${prefix}a`)).to.equal(undefined);
  });

  it('lets a lease run out with its keys, not before its time and soon after it', async () => {
    const { store, endpoint, put, get, prefix } = context();
    const sentAtMs = store.nowMs();
    const { leaseId, ttlSeconds } = await grant(1);
    const grantedAtMs = store.nowMs();
    const revision = await put(`${prefix}a`, '', leaseId);
    const listener = new RecordingWatchListener();
    endpoint.watch({ key: prefix, prefix: true }, revision + 1n, listener);
    await store.until('the key is deleted', () => listener.events.length > 0);
    const goneAtMs = store.nowMs();
    expect(goneAtMs - sentAtMs).to.be.at.least(ttlSeconds * 1_000);
    expect(goneAtMs - grantedAtMs).to.be.at.most(ttlSeconds * 1_000 + EXPIRY_SLACK_MS);
    expect(await get(`${prefix}a`)).to.equal(undefined);
    expect(await failure(store.answer(endpoint.keepAlive(leaseId, CALL_MS)))).to.equal('lease-not-found');
  });

  it('keeps a lease for as long as keepalives come, at whichever member', async () => {
    const { store, client, put, get, prefix } = context();
    const { leaseId, ttlSeconds } = await grant(1);
    await put(`${prefix}a`, '', leaseId);
    const endMs = store.nowMs() + 3 * ttlSeconds * 1_000;
    for (let round = 0; store.nowMs() < endMs; round++) {
      const endpoint = client.endpoints[round % client.endpoints.length] ?? client.endpoints[0];
      const answer = await store.answer(endpoint.keepAlive(leaseId, CALL_MS));
      expect(answer.ttlSeconds).to.equal(ttlSeconds);
      const nextMs = store.nowMs() + (ttlSeconds * 1_000) / 3;
      await store.until('a third of the time has passed', () => store.nowMs() >= nextMs);
    }
    expect(await get(`${prefix}a`)).to.not.equal(undefined);
  });

  it('acknowledges the keepalive of a lease whose key is gone', async () => {
    const { store, endpoint, put, transact, prefix } = context();
    const { leaseId } = await grant(60);
    await put(`${prefix}a`, '', leaseId);
    await transact({ success: [{ type: 'delete', key: `${prefix}a` }] });
    expect((await store.answer(endpoint.keepAlive(leaseId, CALL_MS))).ttlSeconds).to.equal(60);
  });

  it('says of a keepalive and a revocation that there is no such lease', async () => {
    const { store, endpoint } = context();
    const leaseId = randomness.leaseId();
    expect(await failure(store.answer(endpoint.keepAlive(leaseId, CALL_MS)))).to.equal('lease-not-found');
    expect(await failure(store.answer(endpoint.revokeLease(leaseId, CALL_MS)))).to.equal('lease-not-found');
  });
}
