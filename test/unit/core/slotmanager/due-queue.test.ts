import { expect } from 'chai';
import fc from 'fast-check';
import { DueQueue } from '../../../../src/core/slotmanager/due-queue.ts';

const seed = Math.trunc(Math.random() * 2 ** 31);

describe('due queue', () => {
  it(`runs what is due by time, then by order of making, without what was cancelled (seed ${seed})`, () => {
    const entries = fc.array(fc.record({ dueMs: fc.nat(20), cancelled: fc.boolean() }), {
      maxLength: 200,
      size: 'max',
    });
    fc.assert(
      fc.property(entries, fc.nat(20), (list, nowMs) => {
        const queue = new DueQueue();
        const ran: number[] = [];
        const made = list.map(({ dueMs }, i) => queue.schedule(dueMs, () => ran.push(i)));
        for (const [i, { cancelled }] of list.entries()) if (cancelled) queue.cancel(made[i] ?? null);
        queue.runDue(nowMs);
        const left = list.flatMap(({ dueMs, cancelled }, i) => (cancelled ? [] : [{ dueMs, i }]));
        const due = left
          .filter(({ dueMs }) => dueMs <= nowMs)
          .toSorted((a, b) => a.dueMs - b.dueMs || a.i - b.i);
        expect(ran).to.deep.equal(due.map(({ i }) => i));
        const later = left.flatMap(({ dueMs }) => (dueMs > nowMs ? [dueMs] : []));
        expect(queue.nextDueMs()).to.equal(later.length === 0 ? null : Math.min(...later));
      }),
      { seed },
    );
  });

  it('takes a second cancel, and one after the run, as nothing', () => {
    const queue = new DueQueue();
    const entry = queue.schedule(1, () => {});
    queue.schedule(2, () => {});
    queue.cancel(entry);
    queue.cancel(entry);
    queue.cancel(null);
    expect(queue.nextDueMs()).to.equal(2);
  });
});
