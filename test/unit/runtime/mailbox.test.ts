import { expect } from 'chai';
import { Mailbox } from '../../../src/runtime/mailbox.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';

describe('the mailbox', () => {
  const rethrow = (error: unknown): void => {
    throw error;
  };

  it('runs events one at a time, in order, also those posted by an event', () => {
    const order: string[] = [];
    const mailbox = new Mailbox(new VirtualClock(), rethrow);
    mailbox.post(() => {
      order.push('first begins');
      mailbox.post(() => order.push('second'));
      order.push('first ends');
    });
    expect(order).to.deep.equal(['first begins', 'first ends', 'second']);
  });

  it('leaves the rest to a later turn when its budget is used up', async () => {
    const clock = new VirtualClock();
    const mailbox = new Mailbox(clock, rethrow, { turnMs: 1_000, turnEvents: 2 });
    let done = 0;
    mailbox.post(() => {
      for (let i = 0; i < 4; i++) mailbox.post(() => (done += 1));
    });
    expect(done).to.equal(1);
    expect(mailbox.length).to.equal(3);
    await clock.step();
    expect(done).to.equal(3);
    await clock.step();
    expect(done).to.equal(4);
  });

  it('hands a thrown error to its owner and goes on with what is left', async () => {
    const clock = new VirtualClock();
    const errors: unknown[] = [];
    const mailbox = new Mailbox(clock, (error) => errors.push(error));
    let after = false;
    mailbox.post(() => {
      mailbox.post(() => (after = true));
      throw new Error('broken');
    });
    await clock.step();
    expect(errors).to.have.length(1);
    expect(after).to.equal(true);
  });

  it('takes nothing after it was closed', () => {
    const mailbox = new Mailbox(new VirtualClock(), rethrow);
    mailbox.close();
    mailbox.post(() => expect.fail('must not run'));
  });
});
