import { expect } from 'chai';
import type { Compare, RangeOperation, Transaction } from '../../src/ha/coordination-store.ts';
import { StoreError } from '../../src/ha/coordination-store.ts';
import { SystemRandomness } from '../../src/runtime/system-randomness.ts';
import {
  CALL_MS,
  failure,
  RecordingWatchListener,
  type StoreContext,
  untilAnswered,
} from './store-under-test.ts';

const randomness = new SystemRandomness();
/** How late a deadline may be on a busy machine. */
const LATE_MS = 1_000;

/** What callers may rely on when members are gone, stopped or without their quorum. */
export function describeStoreFaults(context: () => StoreContext): void {
  describe('with members that fail', () => {
    afterEach(() => context().store.repair());

    it('tells that a call to a member that is gone was not sent, until the member is back', async () => {
      const { store, client, endpoint, prefix } = context();
      const range: RangeOperation = { type: 'range', key: prefix };
      await store.answer(endpoint.range(range, CALL_MS));
      await store.kill(0);
      let kind = '';
      // The first call may still go out over the connection that breaks.
      for (let attempt = 0; attempt < 20 && kind !== 'not-sent'; attempt++) {
        kind = await failure(store.answer(endpoint.range(range, CALL_MS)));
        expect(kind).to.be.oneOf(['not-sent', 'unknown-outcome']);
      }
      expect(kind).to.equal('not-sent');
      expect(await failure(store.answer(endpoint.keepAlive(7n, CALL_MS)))).to.equal('not-sent');
      const other = client.endpoints[1] ?? endpoint;
      await untilAnswered(store, () => other.range(range, CALL_MS));
      await store.repair();
      await untilAnswered(store, () => endpoint.range(range, CALL_MS));
    });

    it('ends the watches at a member that is gone, and those asked of it', async () => {
      const { store, endpoint, put, prefix } = context();
      const revision = await put(`${prefix}a`, '');
      const standing = new RecordingWatchListener();
      endpoint.watch({ key: prefix, prefix: true }, revision, standing);
      await store.until('the watch stands', () => standing.events.length === 1);
      await store.kill(0);
      await store.until('the watch has ended', () => standing.ends.length === 1);
      expect(standing.ends[0]?.kind).to.equal('lost');
      const asked = new RecordingWatchListener();
      endpoint.watch({ key: prefix, prefix: true }, revision, asked);
      await store.until('the other watch has ended', () => asked.ends.length === 1);
      expect(asked.ends[0]?.kind).to.equal('lost');
    });

    it('keeps the deadline of every call to a member that is silent', async () => {
      const { store, endpoint, put, prefix } = context();
      const leaseId = randomness.leaseId();
      await put(`${prefix}a`, '');
      await store.answer(endpoint.grantLease(leaseId, 60, CALL_MS));
      await store.answer(endpoint.keepAlive(leaseId, CALL_MS));
      await store.silence(0);
      const range: RangeOperation = { type: 'range', key: prefix };
      const calls: (() => Promise<unknown>)[] = [
        () => endpoint.range(range, 300),
        () => endpoint.transact({ compare: [], success: [range], failure: [] }, 300),
        () => endpoint.grantLease(randomness.leaseId(), 10, 300),
        () => endpoint.keepAlive(leaseId, 300),
        () => endpoint.revokeLease(leaseId, 300),
      ];
      for (const call of calls) {
        const sentAtMs = store.nowMs();
        expect(await failure(store.answer(call()))).to.equal('unknown-outcome');
        expect(store.nowMs() - sentAtMs).to.be.within(200, 300 + LATE_MS);
      }
    });

    it('is not held up by what got stuck once the member goes on', async () => {
      const { store, endpoint } = context();
      const leaseId = randomness.leaseId();
      await store.answer(endpoint.grantLease(leaseId, 60, CALL_MS));
      await store.answer(endpoint.keepAlive(leaseId, CALL_MS));
      await store.silence(0);
      expect(await failure(store.answer(endpoint.keepAlive(leaseId, 200)))).to.equal('unknown-outcome');
      expect(await failure(store.answer(endpoint.keepAlive(leaseId, 200)))).to.equal('unknown-outcome');
      await store.repair();
      expect((await untilAnswered(store, () => endpoint.keepAlive(leaseId, CALL_MS))).ttlSeconds).to.equal(
        60,
      );
    });

    it('ends the watches at a member that is silent', async () => {
      const { store, endpoint, put, prefix } = context();
      const revision = await put(`${prefix}a`, '');
      const standing = new RecordingWatchListener();
      endpoint.watch({ key: prefix, prefix: true }, revision, standing);
      await store.until('the watch stands', () => standing.events.length === 1);
      await store.silence(0);
      const asked = new RecordingWatchListener();
      endpoint.watch({ key: prefix, prefix: true }, revision, asked);
      await store.until('both have ended', () => standing.ends.length + asked.ends.length === 2, 15_000);
      expect([standing.ends[0]?.kind, asked.ends[0]?.kind]).to.deep.equal(['lost', 'lost']);
    });

    it('goes on with one member of three stopped', async () => {
      const { store, client, prefix } = context();
      await store.silence(2);
      const success = [{ type: 'put', key: `${prefix}a`, value: 'x' }] as const;
      // When the stopped one led, the others first have to elect.
      const transaction = { compare: [], success, failure: [] };
      await untilAnswered(store, () => client.endpoints[0].transact(transaction, 500));
    });

    it('believes no compare without a linearizable range at a member without its quorum', async () => {
      const { store, endpoint, put, prefix } = context();
      const revision = await put(`${prefix}a`, '');
      const watching = new RecordingWatchListener();
      endpoint.watch({ key: prefix, prefix: true }, revision, watching);
      await store.until('the watch stands', () => watching.events.length === 1);
      await store.silence(1);
      await store.silence(2);
      const mine: Compare = { key: `${prefix}a`, target: 'create', result: '==', operand: revision };
      // etcd answers this from the one member's own store. It says "still mine", which proves nothing.
      const comparesOnly = { compare: [mine], success: [], failure: [] };
      expect((await store.answer(endpoint.transact(comparesOnly, 1_000))).succeeded).to.equal(true);
      const range: RangeOperation = { type: 'range', key: prefix, prefix: true };
      const check = { compare: [mine], success: [range], failure: [range] };
      expect(await failure(store.answer(endpoint.transact(check, 1_000)))).to.equal('unknown-outcome');
      expect(await failure(store.answer(endpoint.range(range, 1_000)))).to.equal('unknown-outcome');
      const put2 = { type: 'put', key: `${prefix}b`, value: '' } as const;
      const write = { compare: [], success: [put2], failure: [] };
      expect(await failure(store.answer(endpoint.transact(write, 1_000)))).to.equal('unknown-outcome');
      await store.until('the watch has ended', () => watching.ends.length === 1, 15_000);
      expect(watching.ends[0]?.kind).to.equal('lost');
      await store.repair();
      expect((await untilAnswered(store, () => endpoint.transact(check, CALL_MS))).succeeded).to.equal(true);
    });
  });

  describe('without space', () => {
    afterEach(() => context().store.setNoSpace(false));

    it('fails puts and grants, and passes compares, deletions, keepalives and revocations', async () => {
      const { store, endpoint, transact, put, prefix } = context();
      const leaseId = randomness.leaseId();
      await store.answer(endpoint.grantLease(leaseId, 60, CALL_MS));
      await put(`${prefix}a`, '');
      await store.setNoSpace(true);
      const write = { type: 'put', key: `${prefix}b`, value: '' } as const;
      expect(await failure(transact({ success: [write] }))).to.equal('no-space');
      expect(await failure(transact({ failure: [write] }))).to.equal('no-space');
      const grant = endpoint.grantLease(randomness.leaseId(), 60, CALL_MS);
      expect(await failure(store.answer(grant))).to.equal('no-space');
      const { results } = await transact({
        success: [
          { type: 'delete', key: `${prefix}a` },
          { type: 'range', key: prefix },
        ],
      });
      expect(results[0]).to.deep.equal({ type: 'delete', deleted: 1 });
      await store.answer(endpoint.keepAlive(leaseId, CALL_MS));
      await store.answer(endpoint.revokeLease(leaseId, CALL_MS));
      await store.setNoSpace(false);
      await put(`${prefix}b`, '');
    });
  });

  it('refuses a put for want of space even in a branch that is not taken, and else writes nothing there', async () => {
    const { store, transact, put, prefix } = context();
    const { revision: before } = await transact({ success: [{ type: 'range', key: prefix }] });
    const never: Compare = { key: `${prefix}a`, target: 'version', result: '<', operand: 0n };
    const looking: Partial<Transaction> = {
      compare: [never],
      success: [{ type: 'put', key: `${prefix}a`, value: '' }],
      failure: [{ type: 'range', key: `${prefix}a` }],
    };
    const { succeeded, revision } = await transact(looking);
    expect({ succeeded, revision }).to.deep.equal({ succeeded: false, revision: before });
    await store.setNoSpace(true);
    try {
      expect(await failure(transact(looking))).to.equal('no-space');
    } finally {
      await store.setNoSpace(false);
    }
    await put(`${prefix}a`, '');
  });

  describe('when it is closed', () => {
    it('settles every call, ends every watch and takes no more', async () => {
      const { store, client, endpoint, put, prefix } = context();
      const revision = await put(`${prefix}a`, '');
      const listener = new RecordingWatchListener();
      endpoint.watch({ key: prefix, prefix: true }, revision, listener);
      await store.until('the watch stands', () => listener.events.length === 1);
      const underWay = failure(endpoint.range({ type: 'range', key: prefix }, CALL_MS));
      await client.close();
      await client.close();
      expect(await store.answer(underWay)).to.equal('unknown-outcome');
      expect(listener.ends.map(({ kind }) => kind)).to.deep.equal(['lost']);
      const late = endpoint.range({ type: 'range', key: prefix }, CALL_MS);
      expect(await failure(store.answer(late))).to.equal('not-sent');
      const refused = new RecordingWatchListener();
      endpoint.watch({ key: prefix, prefix: true }, revision, refused);
      await store.until('the late watch has ended', () => refused.ends.length === 1);
    });
  });

  it('tells definite failures from unknown outcomes', () => {
    expect(new StoreError('unknown-outcome', '').definite).to.equal(false);
    expect(new StoreError('not-sent', '').definite).to.equal(true);
  });
}
