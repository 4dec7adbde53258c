import { expect } from 'chai';
import { DurableOutbox } from '../../../src/taskexecutor/durable-outbox.ts';
import { settle } from '../../simulation/virtual-clock.ts';

/** An outbox whose saves end when the test says so. */
function outboxOf(options: { durable: boolean }) {
  const ran: string[] = [];
  const saves: { resolve(): void; reject(error: Error): void }[] = [];
  const errors: unknown[] = [];
  const delayed: (() => void)[] = [];
  const outbox = new DurableOutbox<string>({
    save: options.durable
      ? () => new Promise((resolve, reject) => void saves.push({ resolve, reject }))
      : null,
    run: (effect) => ran.push(effect),
    maySurpassToken: (effect) => effect.startsWith('register'),
    later: (continuation) => void delayed.push(continuation),
    post: (continuation) => continuation(),
    onError: (error) => errors.push(error),
  });
  return { outbox, ran, saves, errors, delayed };
}

describe('DurableOutbox', () => {
  it('lets out at once what needs no write', () => {
    const { outbox, ran, saves } = outboxOf({ durable: true });
    outbox.push(['a', 'b'], null);
    expect(ran).to.deep.equal(['a', 'b']);
    expect(saves).to.have.length(0);
  });

  it('holds back what needs a write, and all that comes after it, until it is durable', async () => {
    const { outbox, ran, saves } = outboxOf({ durable: true });
    outbox.push(['a'], 'state');
    outbox.push(['b'], null);
    expect(ran).to.deep.equal([]);
    expect(outbox.length).to.equal(2);
    saves[0]?.resolve();
    await settle();
    expect(ran).to.deep.equal(['a', 'b']);
    expect(saves).to.have.length(1);
  });

  it('lets a registration go before a mere token is durable, and nothing else', async () => {
    const { outbox, ran, saves } = outboxOf({ durable: true });
    outbox.push(['journal', 'register'], 'token');
    outbox.push(['register again'], null);
    expect(saves).to.have.length(0);
    outbox.push(['answer'], null);
    expect(ran).to.deep.equal(['register', 'register again']);
    saves[0]?.resolve();
    await settle();
    expect(ran).to.deep.equal(['register', 'register again', 'journal', 'answer']);
  });

  it('writes a token that nothing waits for after a while, or with the next change', async () => {
    const { outbox, ran, saves, delayed } = outboxOf({ durable: true });
    outbox.push(['journal'], 'token');
    outbox.push([], null);
    expect(saves).to.have.length(0);
    delayed[0]?.();
    expect(saves).to.have.length(1);
    saves[0]?.resolve();
    await settle();
    expect(ran).to.deep.equal(['journal']);
    outbox.push(['journal'], 'token');
    outbox.push(['answer'], 'state');
    saves[1]?.resolve();
    await settle();
    expect(ran).to.deep.equal(['journal', 'journal', 'answer']);
    delayed[1]?.();
    expect(saves).to.have.length(2);
  });

  it('holds a registration back while anything that it may speak of is not durable', async () => {
    const { outbox, ran, saves } = outboxOf({ durable: true });
    outbox.push(['end of a lease'], 'state');
    outbox.push(['register'], 'token');
    expect(ran).to.deep.equal([]);
    saves[0]?.resolve();
    await settle();
    expect(ran).to.deep.equal(['end of a lease', 'register']);
    expect(saves).to.have.length(2);
  });

  it('covers by one more save all changes that come during a save', async () => {
    const { outbox, ran, saves } = outboxOf({ durable: true });
    for (const effect of ['a', 'b', 'c']) outbox.push([effect], 'state');
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
    outbox.push(['a'], 'state');
    saves[0]?.reject(new Error('disk full'));
    await settle();
    outbox.push(['b'], null);
    expect(ran).to.deep.equal([]);
    expect(errors).to.have.length(1);
  });

  it('lets everything out at once where there is nothing to keep', () => {
    const { outbox, ran } = outboxOf({ durable: false });
    outbox.push(['a'], 'state');
    expect(ran).to.deep.equal(['a']);
  });

  it('lets nothing out once it is closed', async () => {
    const { outbox, ran, saves, errors } = outboxOf({ durable: true });
    outbox.push(['a'], 'state');
    outbox.close();
    saves[0]?.reject(new Error('too late'));
    await settle();
    expect(ran).to.deep.equal([]);
    expect(errors).to.deep.equal([]);
  });
});
