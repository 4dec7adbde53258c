import { expect } from 'chai';
import { ChallengePatience } from '../../../../src/core/election/challenge-patience.ts';
import { HeadWatch } from '../../../../src/core/election/head-watch.ts';
import { entry } from '../../../support/election-rig.ts';

const SETTINGS = { silenceMs: 250, challengeWaitMs: 500, leadershipCheckMs: 125, etcdResendMs: 100 };
const HEAD = entry('head', 5n, 'rm-2');

describe('the watch over the head of the line', () => {
  let nowMs: number;
  let patience: ChallengePatience;
  let watch: HeadWatch;
  const puts: number[] = [];
  const readsMs: number[] = [];
  let standing: boolean | null;

  /** Moves time in small steps, answering what is asked; the head answers pings with `pong`, if that is given. */
  function pass(
    ms: number,
    pong?: { state: 'serving' | 'suspended' | 'standby'; epoch: bigint | null },
  ): void {
    for (const endMs = nowMs + ms; nowMs < endMs; ) {
      nowMs += 10;
      watch.look(nowMs);
      if (pong !== undefined && nowMs % 100 === 0)
        watch.heard({ type: 'answered', bootNonce: 'boot-rm-2', ...pong }, nowMs);
      ask();
    }
  }

  function ask(): void {
    const question = watch.ask(nowMs, 0);
    if (question?.type === 'put') {
      puts.push(nowMs);
      watch.challengePut(5n, { kind: 'standing', createRevision: 9n }, nowMs);
    } else if (question?.type === 'read') {
      readsMs.push(nowMs);
      watch.challengeRead(question.createRevision, standing, nowMs);
    }
  }

  beforeEach(() => {
    nowMs = 10_000;
    patience = new ChallengePatience();
    watch = new HeadWatch(SETTINGS, patience, nowMs);
    watch.follow(HEAD, true, nowMs);
    puts.length = 0;
    readsMs.length = 0;
    standing = true;
  });

  it('asks nothing of a head that says that it serves', () => {
    pass(5_000, { state: 'serving', epoch: 5n });
    expect(puts).to.deep.equal([]);
  });

  it('challenges a silent head after 250 ms, and gives it up when the challenge stood for 500 ms', () => {
    pass(240);
    expect(puts).to.deep.equal([]);
    pass(20);
    expect(puts).to.deep.equal([10_250]);
    pass(480);
    expect(watch.expired).to.equal(null);
    pass(20);
    expect(watch.expired?.createRevision).to.equal(9n);
    expect(readsMs.at(-1), 'the last look is begun after the wait').to.be.at.least(10_750);
  });

  it('challenges a suspended head at once', () => {
    pass(100, { state: 'serving', epoch: 5n });
    pass(100, { state: 'suspended', epoch: 5n });
    expect(puts).to.deep.equal([10_200]);
  });

  it('takes no answer of another process, epoch or role for one of a confirmed head', () => {
    watch.heard({ type: 'answered', bootNonce: 'boot-rm-3', state: 'serving', epoch: 5n }, nowMs);
    pass(300, { state: 'standby', epoch: null });
    expect(puts).to.deep.equal([10_250]);
  });

  it('waits 5 s after an answered challenge, then twice as long, up to a minute', () => {
    standing = false;
    pass(200_000);
    const waits = puts.map((putMs, index) => putMs - (puts[index - 1] ?? putMs)).slice(1);
    for (const [index, leastMs] of [5_000, 10_000, 20_000, 40_000, 60_000].entries()) {
      expect(waits[index]).to.be.within(leastMs, leastMs + 400);
    }
  });

  it('asks again at once when it had asked before it first heard the head, as whoever has just come does', () => {
    pass(300);
    expect(puts, 'nobody was heard yet').to.deep.equal([10_250]);
    pass(100, { state: 'serving', epoch: 5n });
    standing = false;
    pass(600, { state: 'serving', epoch: 5n });
    const heardMs = nowMs;
    standing = true;
    pass(300);
    expect(puts).to.deep.equal([10_250, heardMs + 250]);
  });

  it('asks again at once also when it heard the head only after the answer, and only that once', () => {
    pass(300);
    standing = false;
    pass(200);
    pass(100, { state: 'serving', epoch: 5n });
    const heardMs = nowMs;
    pass(3_000);
    expect(puts).to.deep.equal([10_250, heardMs + 250]);
    pass(100, { state: 'serving', epoch: 5n });
    pass(300);
    expect(puts.length, 'an answer heard again forgives nothing').to.equal(2);
  });

  it('is patient with one head, not with the next', () => {
    standing = false;
    pass(500);
    watch.follow(entry('next', 7n, 'rm-3'), true, nowMs);
    pass(240);
    expect(puts).to.have.length(1);
    pass(20);
    expect(puts).to.have.length(2);
  });

  it('waits anew after an error of etcd', () => {
    pass(300);
    standing = null;
    pass(2_000);
    expect(watch.expired).to.equal(null);
    standing = true;
    // The last failed look was at most one interval ago.
    pass(370);
    expect(watch.expired).to.equal(null);
    pass(260);
    expect(watch.expired).not.to.equal(null);
  });

  it('takes a slow answer of etcd for trouble too', () => {
    pass(260);
    nowMs += 240;
    watch.look(nowMs);
    while (watch.ask(nowMs, 0)?.type !== 'read') nowMs += 10;
    for (let waited = 0; waited < 30; waited++) {
      nowMs += 10;
      watch.look(nowMs);
    }
    watch.challengeRead(9n, true, nowMs);
    pass(480);
    expect(watch.expired).to.equal(null);
  });

  it('begins every wait anew after a gap of its own loop', () => {
    pass(200);
    nowMs += 1_000;
    watch.look(nowMs);
    ask();
    expect(puts).to.deep.equal([]);
    pass(260);
    expect(puts).to.have.length(1);
    pass(400);
    nowMs += 1_000;
    watch.look(nowMs);
    ask();
    expect(watch.expired).to.equal(null);
    pass(480);
    expect(watch.expired).to.equal(null);
  });

  it('is not expired any more after a doubt, until it has stood for another wait', () => {
    pass(800);
    expect(watch.expired).not.to.equal(null);
    watch.doubtEtcd(nowMs);
    expect(watch.expired).to.equal(null);
    pass(700);
    expect(watch.expired).not.to.equal(null);
  });

  it('challenges a head that answers pings but does not confirm within twice the detection time', () => {
    watch = new HeadWatch(SETTINGS, patience, nowMs);
    watch.follow(HEAD, false, nowMs);
    pass(1_480, { state: 'standby', epoch: null });
    expect(puts).to.deep.equal([]);
    pass(40, { state: 'standby', epoch: null });
    expect(puts).to.have.length(1);
  });

  it('counts the time to confirm anew from each error of etcd', () => {
    watch = new HeadWatch(SETTINGS, patience, nowMs);
    watch.follow(HEAD, false, nowMs);
    pass(1_000, { state: 'standby', epoch: null });
    watch.doubtEtcd(nowMs);
    pass(1_480, { state: 'standby', epoch: null });
    expect(puts).to.deep.equal([]);
  });

  it('challenges a head that neither confirms nor answers as soon as any other', () => {
    watch = new HeadWatch(SETTINGS, patience, nowMs);
    watch.follow(HEAD, false, nowMs);
    pass(260);
    expect(puts).to.have.length(1);
  });

  it('asks nothing of a foreign key', () => {
    watch.follow(entry('foreign', 6n), false, nowMs);
    pass(3_000);
    expect(puts).to.deep.equal([]);
  });

  it('lets those who stand nearer ask first', () => {
    nowMs += 100;
    watch.look(nowMs);
    nowMs += 100;
    watch.look(nowMs);
    nowMs += 60;
    watch.look(nowMs);
    expect(watch.ask(nowMs, 20)).to.equal(null);
    nowMs += 10;
    expect(watch.ask(nowMs, 20)?.type).to.equal('put');
  });

  it('tries again when the challenge could not be put', () => {
    pass(240);
    nowMs += 10;
    watch.look(nowMs);
    expect(watch.ask(nowMs, 0)?.type).to.equal('put');
    watch.challengePut(5n, { kind: 'failed' }, nowMs);
    expect(watch.ask(nowMs, 0)).to.equal(null);
    nowMs += 100;
    watch.look(nowMs);
    expect(watch.ask(nowMs, 0)?.type).to.equal('put');
  });
});
