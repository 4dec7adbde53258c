import { expect } from 'chai';
import { DurableOutbox } from '../../../src/taskexecutor/durable-outbox.ts';
import { settle } from '../../simulation/virtual-clock.ts';

/** An outbox whose saves end when the test says so. */
function outboxOf(options: { durable: boolean }) {
  const ran: string[] = [];
  const saves: { resolve(): void; reject(error: Error): void }[] = [];
  const errors: unknown[] = [];
  const outbox = new DurableOutbox<string>({
    save: options.durable
      ? () => new Promise((resolve, reject) => void saves.push({ resolve, reject }))
      : null,
    run: (effect) => ran.push(effect),
    post: (continuation) => continuation(),
    onError: (error) => errors.push(error),
  });
  return { outbox, ran, saves, errors };
}

describe('DurableOutbox', () => {
  it('lets out at once what needs no write', () => {
    const { outbox, ran, saves } = outboxOf({ durable: true });
    outbox.push(['a', 'b'], false);
    expect(ran).to.deep.equal(['a', 'b']);
    expect(saves).to.have.length(0);
  });

  it('holds back what needs a write, and all that comes after it, until it is durable', async () => {
    const { outbox, ran, saves } = outboxOf({ durable: true });
    outbox.push(['a'], true);
    outbox.push(['b'], false);
    expect(ran).to.deep.equal([]);
    expect(outbox.length).to.equal(2);
    saves[0]?.resolve();
    await settle();
    expect(ran).to.deep.equal(['a', 'b']);
    expect(saves).to.have.length(1);
  });

  it('covers by one more save all changes that come during a save', async () => {
    const { outbox, ran, saves } = outboxOf({ durable: true });
    for (const effect of ['a', 'b', 'c']) outbox.push([effect], true);
    saves[0]?.resolve();
    await settle();
    expect(ran).to.deep.equal(['a']);
    saves[1]?.resolve();
    await settle();
    expect(ran).to.deep.equal(['a', 'b', 'c']);
    expect(saves).to.have.length(2);
  });

  it('lets nothing out after a failed save', async () => {
    const { outbox, ran, saves, errors } = outboxOf({ durable: true });
    outbox.push(['a'], true);
    saves[0]?.reject(new Error('disk full'));
    await settle();
    outbox.push(['b'], false);
    expect(ran).to.deep.equal([]);
    expect(errors).to.have.length(1);
  });

  it('lets everything out at once where there is nothing to keep', () => {
    const { outbox, ran } = outboxOf({ durable: false });
    outbox.push(['a'], true);
    expect(ran).to.deep.equal(['a']);
  });

  it('lets nothing out once it is closed', async () => {
    const { outbox, ran, saves, errors } = outboxOf({ durable: true });
    outbox.push(['a'], true);
    outbox.close();
    saves[0]?.reject(new Error('too late'));
    await settle();
    expect(ran).to.deep.equal([]);
    expect(errors).to.deep.equal([]);
  });
});
