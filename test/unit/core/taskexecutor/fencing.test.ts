import { expect } from 'chai';
import type { ClusterId, InstanceId } from '../../../../src/core/ids.ts';
import { BookDriver, find, problemIn } from '../../../support/taskexecutor/book-driver.ts';
import { requestSlot } from '../../../support/taskexecutor/task-executor-fixture.ts';
import { tokenOf } from '../../../support/taskexecutor/testing-resource-manager.ts';

describe('the fencing of a task executor', () => {
  describe('an announced token', () => {
    it('is written before the registration leaves', () => {
      const d = new BookDriver();
      const effects = d.announce(tokenOf(5));
      expect(effects.map((effect) => effect.type)).to.deep.equal(['persist', 'journal', 'register']);
      expect(d.book.state().highestToken).to.deep.equal(tokenOf(5));
    });

    it('below the highest is answered with the highest', () => {
      const d = new BookDriver().registered(tokenOf(5));
      expect(find(d.announce(tokenOf(4), 2), 'tellFenced')).to.deep.include({
        linkKey: 2,
        token: tokenOf(5),
      });
      expect(d.book.highestToken).to.deep.equal(tokenOf(5));
    });

    it('of the same epoch under another session id is not obeyed', () => {
      const d = new BookDriver().registered(tokenOf(5));
      expect(find(d.announce(tokenOf(5, 1, 'other'), 2), 'tellFenced')?.token).to.deep.equal(tokenOf(5));
    });

    it('of a later generation is higher whatever its epoch', () => {
      const d = new BookDriver().registered(tokenOf(500));
      d.announce(tokenOf(2, 2), 2);
      expect(d.book.highestToken).to.deep.equal(tokenOf(2, 2));
    });

    it('named by a standby raises the token and registers nowhere', () => {
      const d = new BookDriver();
      const effects = d.announce(tokenOf(5), 1, false);
      expect(find(effects, 'register')).to.equal(undefined);
      expect(d.book.highestToken).to.deep.equal(tokenOf(5));
    });

    it('that an ill-informed standby names too low is not answered', () => {
      const d = new BookDriver().registered(tokenOf(5));
      expect(d.announce(tokenOf(4), 2, false)).to.deep.equal([]);
    });

    it('is not forgotten over a restart', () => {
      const d = new BookDriver().registered(tokenOf(5)).restart();
      expect(find(d.announce(tokenOf(4)), 'tellFenced')?.token).to.deep.equal(tokenOf(5));
    });

    it('of another cluster id is refused, over restarts too', () => {
      const d = new BookDriver().registered(tokenOf(5)).restart();
      const effects = d.announce(tokenOf(9), 1, true, 'cluster-2' as ClusterId);
      expect(find(effects, 'refuseCluster')).to.deep.include({ known: 'cluster-1', offered: 'cluster-2' });
      expect(d.book.highestToken).to.deep.equal(tokenOf(5));
    });

    it('said twice by the leader registers once', () => {
      const d = new BookDriver();
      d.announce(tokenOf(5));
      expect(find(d.announce(tokenOf(5)), 'register')).to.equal(undefined);
      d.registered(tokenOf(5));
      expect(find(d.announce(tokenOf(5)), 'register')).to.equal(undefined);
    });

    it('said by the leader on a new connection registers again', () => {
      const d = new BookDriver().registered(tokenOf(5), 1);
      d.handle({ type: 'linkLost', linkKey: 1 });
      expect(find(d.announce(tokenOf(5), 2), 'register')?.report.full).to.equal(true);
    });
  });

  describe('a call of commands', () => {
    const command = [{ kind: 'noOperation' as const }];

    it('of a lower token is answered FENCED with the token that won', () => {
      const d = new BookDriver().registered(tokenOf(4), 1).registered(tokenOf(5), 2);
      const { problem } = d.command(command, { token: tokenOf(4), n: 9 });
      expect(problem).to.deep.include({ code: 'FENCED', token: tokenOf(5) });
    });

    it('is not obeyed before that leader has acknowledged the registration', () => {
      const d = new BookDriver();
      d.announce(tokenOf(5));
      expect(d.command([requestSlot(0, 'a1')]).problem?.code).to.equal('UNKNOWN_TASK_EXECUTOR');
      d.registered(tokenOf(5));
      expect(d.command(command).problem).to.equal(null);
    });

    it('of a leader known from the state file is not obeyed before it has acknowledged this process', () => {
      const d = new BookDriver().registered(tokenOf(5)).restart();
      const { problem } = d.command(command, { token: tokenOf(5), instanceId: 'instance-2', n: 9 });
      expect(problem?.code).to.equal('UNKNOWN_TASK_EXECUTOR');
    });

    it('of a higher token than announced raises nothing and executes nothing', () => {
      const d = new BookDriver().registered(tokenOf(5));
      const { problem } = d.command([requestSlot(0, 'a1')], { token: tokenOf(6) });
      expect(problem?.code).to.equal('UNKNOWN_TASK_EXECUTOR');
      expect(d.book.highestToken).to.deep.equal(tokenOf(5));
    });

    it('for another instance is not executed', () => {
      const d = new BookDriver().registered();
      const { problem } = d.command([requestSlot(0, 'a1')], { instanceId: 'instance-0' });
      expect(problem?.code).to.equal('UNKNOWN_TASK_EXECUTOR');
      expect(d.states).to.deep.equal(['free', 'free']);
    });

    it('is executed once: the same number, or a lower one, is STALE and names the last', () => {
      const d = new BookDriver().registered();
      d.command([requestSlot(0, 'a1')], { n: 5 });
      for (const n of [5, 4]) {
        const { problem } = d.command([requestSlot(1, 'a2')], { n });
        expect(problem?.code).to.equal('STALE');
        expect(problem?.detail).to.contain('1-1-5');
      }
      expect(d.states).to.deep.equal(['granted', 'free']);
    });

    it('that was killed by a later no-operation is STALE', () => {
      const d = new BookDriver().registered();
      d.command(command, { n: 2 });
      expect(d.command([requestSlot(0, 'a1')], { n: 1 }).problem?.code).to.equal('STALE');
    });

    it('keeps its number over a restart', () => {
      const d = new BookDriver().registered();
      d.command(command, { n: 5 });
      const after = d.restart().registered();
      expect(after.command(command, { instanceId: 'instance-2', n: 5 }).problem?.code).to.equal('STALE');
    });

    it('whose number is of another term than its token is INVALID', () => {
      const d = new BookDriver().registered();
      const body = {
        token: tokenOf(1),
        instanceId: 'instance-1' as InstanceId,
        number: { generation: 1, epoch: 2n, n: 1 },
        commands: command,
      };
      const effects = d.handle({ type: 'commandsReceived', answerKey: 1, body });
      expect(problemIn(effects)?.code).to.equal('INVALID');
    });

    it('is written before it is answered, and answered before it is reported', () => {
      const d = new BookDriver().registered();
      const { effects } = d.command([requestSlot(0, 'a1')]);
      expect(effects.map((effect) => effect.type)).to.deep.equal([
        'persist',
        'journal',
        'answerCommands',
        'reportSlots',
      ]);
    });

    it('has one result for each command, in order', () => {
      const d = new BookDriver().registered();
      const { results } = d.command([requestSlot(0, 'a1'), requestSlot(0, 'a2'), requestSlot(1, 'a2')]);
      expect(results.map((result) => result.outcome)).to.deep.equal(['done', 'refused', 'done']);
    });
  });
});
