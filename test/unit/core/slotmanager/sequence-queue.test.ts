import { expect } from 'chai';
import fc from 'fast-check';
import { SequenceQueue } from '../../../../src/core/slotmanager/sequence-queue.ts';

const seed = Math.trunc(Math.random() * 2 ** 31);

describe('sequence queue', () => {
  it(`holds what was put in and not taken out, once each and in order (seed ${seed})`, () => {
    const steps = fc.array(fc.record({ sequence: fc.nat(300), insert: fc.boolean() }), {
      size: 'max',
      maxLength: 600,
    });
    fc.assert(
      fc.property(steps, (list) => {
        const items = Array.from({ length: 301 }, (_, sequence) => ({ sequence }));
        const queue = new SequenceQueue<{ sequence: number }>();
        const model = new Set<number>();
        for (const { sequence, insert } of list) {
          const item = items[sequence] ?? { sequence };
          if (insert) expect(queue.insert(item)).to.equal(!model.has(sequence));
          else expect(queue.remove(item)).to.equal(model.has(sequence));
          if (insert) model.add(sequence);
          else model.delete(sequence);
        }
        const expected = [...model].toSorted((a, b) => a - b);
        expect([...queue].map((item) => item.sequence)).to.deep.equal(expected);
        expect(queue.size).to.equal(expected.length);
        expect(queue.first()?.sequence).to.equal(expected[0]);
      }),
      { seed },
    );
  });

  it('lets the first ones go one after the other', () => {
    const queue = new SequenceQueue<{ sequence: number }>();
    const items = Array.from({ length: 500 }, (_, sequence) => ({ sequence }));
    for (const item of items) queue.insert(item);
    for (const item of items) {
      expect(queue.first()).to.equal(item);
      expect(queue.remove(item)).to.equal(true);
    }
    expect(queue.size).to.equal(0);
  });
});
