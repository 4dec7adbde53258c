import { expect } from 'chai';
import { Turns } from '../../../bench/failover/turns.ts';

describe('turns', () => {
  it('are given one at a time in the order in which they were asked for', async () => {
    const turns = new Turns();
    const log: string[] = [];
    let atOnce = 0;
    const play = async (name: string, times: number): Promise<void> => {
      for (let round = 0; round < times; round++) {
        const end = await turns.take();
        atOnce += 1;
        expect(atOnce).to.equal(1);
        await Promise.resolve();
        log.push(name);
        atOnce -= 1;
        end();
      }
    };
    await Promise.all([play('a', 3), play('b', 2), play('c', 3)]);
    expect(log).to.deep.equal(['a', 'b', 'c', 'a', 'b', 'c', 'a', 'c']);
  });

  it('end once, however often that is said', async () => {
    const turns = new Turns();
    const first = await turns.take();
    first();
    const second = await turns.take();
    let third = false;
    const waiting = turns.take().then(() => {
      third = true;
    });
    first();
    await Promise.resolve();
    expect(third).to.equal(false);
    second();
    await waiting;
    expect(third).to.equal(true);
  });
});
