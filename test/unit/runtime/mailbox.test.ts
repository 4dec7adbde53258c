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

  it('runs what is urgent before all that wait, and never within an event that runs', async () => {
    const clock = new VirtualClock();
    const mailbox = new Mailbox(clock, rethrow, { turnMs: 1_000, turnEvents: 2 });
    const order: string[] = [];
    mailbox.post(() => {
      for (const name of ['a', 'b', 'c']) mailbox.post(() => order.push(name));
      mailbox.postUrgent(() => order.push('urgent'));
      order.push('first');
    });
    expect(order).to.deep.equal(['first', 'urgent']);
    mailbox.postUrgent(() => order.push('urgent, later'));
    expect(order, 'the turn is over').to.have.length(2);
    await clock.step();
    expect(order).to.deep.equal(['first', 'urgent', 'urgent, later', 'a']);
  });

  it('leaves events that come one by one to a later turn, too, once they have taken as long as a turn may', async () => {
    const clock = new VirtualClock();
    const mailbox = new Mailbox(clock, rethrow, { turnMs: 10, turnEvents: 512 });
    let done = 0;
    const event = (): void => {
      clock.freeze(4);
      done += 1;
    };
    for (let i = 0; i < 6; i++) mailbox.post(event);
    expect(done, 'the third one has used it up').to.equal(3);
    expect(mailbox.length).to.equal(3);
    await clock.step();
    expect(done).to.equal(6);
    await clock.advance(100);
    mailbox.post(event);
    expect(done, 'after a rest').to.equal(7);
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
