import { expect } from 'chai';
import { ElectionRig, TTL_MS } from '../../../support/election-rig.ts';

describe('deadlines of a leader', () => {
  let rig: ElectionRig;

  beforeEach(() => {
    rig = new ElectionRig();
    rig.lead();
    rig.forget();
  });

  /** Silences etcd and the contender; what they are asked stays unanswered until the test answers it. */
  function silence(): void {
    rig.etcdAnswers = false;
    rig.forget();
  }

  /** Lets the next check through the contender and returns its number and when it was sent. */
  function sendCheck(): { check: number; sent: typeof rig.now } {
    const { check } = rig.last('probe');
    rig.send({ type: 'probed', candidacy: 1, check });
    return { check: rig.last('sendCheck').check, sent: rig.now };
  }

  it('serves on while checks are acknowledged', () => {
    rig.pass(60_000);
    expect(rig.serving).to.equal(true);
    expect(rig.all('servingChanged')).to.deep.equal([]);
    expect(rig.all('sendCheck').length).to.be.within(475, 485);
    expect(rig.all('keepAlive').length).to.be.within(17, 19);
  });

  it('counts the serving deadline from the send of a check, not from its answer', () => {
    silence();
    rig.pass(125);
    const { check, sent } = sendCheck();
    rig.pass(250);
    rig.answerCheck(check, sent);
    rig.pass(149);
    expect(rig.serving).to.equal(true);
    rig.pass(2);
    expect(rig.serving).to.equal(false);
    expect(rig.last('servingChanged').serving).to.equal(false);
    expect(rig.all('revokeLeadership')).to.deep.equal([]);
  });

  it('counts from the copy that was answered, however late its check was begun', () => {
    silence();
    rig.pass(125);
    const { check } = rig.last('probe');
    rig.pass(200);
    rig.send({ type: 'probed', candidacy: 1, check });
    const sent = rig.now;
    rig.answerCheck(check, sent);
    rig.pass(399);
    expect(rig.serving).to.equal(true);
  });

  it('is not moved back by an answer that comes after that of a later check', () => {
    silence();
    rig.pass(125);
    const early = sendCheck();
    rig.pass(100);
    const late = sendCheck();
    expect(late.check).to.be.greaterThan(early.check);
    rig.answerCheck(late.check, late.sent);
    rig.answerCheck(early.check, early.sent);
    rig.pass(399);
    expect(rig.serving).to.equal(true);
    rig.pass(2);
    expect(rig.serving).to.equal(false);
  });

  it('serves again, in the same term, once a check is acknowledged', () => {
    silence();
    rig.pass(1_000);
    expect(rig.serving).to.equal(false);
    rig.etcdAnswers = true;
    const { check } = rig.last('probe');
    rig.send({ type: 'probed', candidacy: 1, check });
    expect(rig.serving).to.equal(true);
    expect(rig.last('servingChanged').serving).to.equal(true);
    expect(rig.all('grantLeadership')).to.deep.equal([]);
  });

  it('does not feed serving by keepalives', () => {
    silence();
    for (let round = 0; round < 5; round++) {
      const outcome = { kind: 'kept', ttlMs: TTL_MS, sent: rig.now } as const;
      rig.send({ type: 'keepAliveAnswered', candidacy: 1, outcome });
      rig.pass(100);
    }
    expect(rig.serving).to.equal(false);
  });

  it('does not feed the lease by checks alone', () => {
    silence();
    for (let passedMs = 125; passedMs < 0.9 * TTL_MS; passedMs += 125) {
      rig.pass(125);
      expect(rig.serving).to.equal(true);
      const { check, sent } = sendCheck();
      rig.answerCheck(check, sent);
    }
    expect(rig.all('revokeLeadership')).to.deep.equal([]);
    rig.pass(126);
    expect(rig.last('revokeLeadership').reason).to.equal('lease deadline passed');
  });

  it('does not feed the lease by keepalives alone', () => {
    silence();
    for (let passedMs = 0; passedMs < 0.9 * TTL_MS; passedMs += 1_000) {
      expect(rig.all('revokeLeadership')).to.deep.equal([]);
      const outcome = { kind: 'kept', ttlMs: TTL_MS, sent: rig.now } as const;
      rig.send({ type: 'keepAliveAnswered', candidacy: 1, outcome });
      rig.pass(1_000);
    }
    rig.pass(1);
    expect(rig.last('revokeLeadership').reason).to.equal('lease deadline passed');
  });

  it('measures the lease by what was granted, not by what was asked', () => {
    const outcome = { kind: 'kept', ttlMs: 2_000, sent: rig.now } as const;
    rig.send({ type: 'keepAliveAnswered', candidacy: 1, outcome });
    silence();
    rig.pass(1_799);
    expect(rig.all('revokeLeadership')).to.deep.equal([]);
    rig.pass(2);
    expect(rig.all('revokeLeadership')).to.have.length(1);
  });

  it('gives up leadership by itself when its loop hangs, without piling up checks', () => {
    silence();
    rig.pass(0.9 * TTL_MS + 1);
    expect(rig.all('probe')).to.have.length(1);
    expect(rig.all('servingChanged')).to.have.length(1);
    expect(rig.all('revokeLeadership')).to.have.length(1);
  });

  it('begins the next check soon after one that is not answered', () => {
    silence();
    rig.pass(125);
    sendCheck();
    rig.pass(101);
    expect(rig.all('probe')).to.have.length(2);
  });

  it('may not serve in the first turn after a pause, before anything else has run', () => {
    rig.freeze(401);
    expect(rig.serving).to.equal(false);
  });

  it('latches after a gap of its loop until a check begun afterwards is acknowledged', () => {
    silence();
    rig.pass(125);
    const before = sendCheck();
    rig.freeze(5_000);
    rig.answerCheck(before.check, { ...rig.now });
    expect(rig.serving).to.equal(false);
    const after = sendCheck();
    expect(after.check).to.be.greaterThan(before.check);
    rig.answerCheck(after.check, after.sent);
    expect(rig.serving).to.equal(true);
  });

  for (const jumpMs of [3_000, -3_000]) {
    it(`latches when the wall clock jumps by ${jumpMs} ms, until a check begun afterwards`, () => {
      silence();
      rig.pass(125);
      const before = sendCheck();
      rig.wallMs += jumpMs;
      expect(rig.serving).to.equal(false);
      rig.answerCheck(before.check, rig.now);
      expect(rig.serving).to.equal(false);
      expect(rig.all('servingChanged')).to.have.length(1);
      const after = sendCheck();
      rig.answerCheck(after.check, after.sent);
      expect(rig.serving).to.equal(true);
      expect(rig.all('revokeLeadership')).to.deep.equal([]);
    });
  }

  it('serves again after a machine slept only when both a check and a keepalive begun afterwards came back', () => {
    silence();
    rig.wallMs += 0.95 * TTL_MS;
    rig.send({ type: 'tick' });
    expect(rig.all('revokeLeadership')).to.deep.equal([]);
    const { check, sent } = sendCheck();
    rig.answerCheck(check, sent);
    expect(rig.serving).to.equal(false);
    rig.pass(125);
    expect(rig.all('keepAlive')).to.have.length(1);
    const outcome = { kind: 'kept', ttlMs: TTL_MS, sent: rig.now } as const;
    rig.send({ type: 'keepAliveAnswered', candidacy: 1, outcome });
    expect(rig.serving).to.equal(true);
  });

  it('never lengthens a deadline by a wall clock that was set back', () => {
    silence();
    rig.wallMs -= 60_000;
    rig.pass(0.9 * TTL_MS + 1);
    expect(rig.all('revokeLeadership')).to.have.length(1);
  });

  it('does not serve on a confirm during which the machine slept and its wall clock was set back', () => {
    rig = new ElectionRig();
    rig.beginConfirm();
    const confirmSent = rig.now;
    silence();
    rig.wallMs -= 60_000;
    const outcome = { kind: 'confirmed', sent: confirmSent } as const;
    rig.send({ type: 'confirmAnswered', candidacy: rig.candidacy, outcome });
    expect(rig.serving).to.equal(false);
    const { check, sent } = sendCheck();
    rig.answerCheck(check, sent);
    expect(rig.serving).to.equal(true);
  });

  it('feeds no deadline by a check that finds a challenge, but by the answer to it', () => {
    silence();
    rig.pass(125);
    const looked = sendCheck();
    rig.answerCheck(looked.check, looked.sent, 'challenged');
    const answering = rig.last('probe');
    expect(answering.check).to.be.greaterThan(looked.check);
    rig.pass(300);
    expect(rig.serving).to.equal(false);
    rig.send({ type: 'probed', candidacy: 1, check: answering.check });
    expect(rig.last('sendCheck').purpose).to.equal('answer');
    rig.answerCheck(answering.check, rig.now);
    expect(rig.serving).to.equal(true);
    rig.pass(130);
    sendCheck();
    expect(rig.last('sendCheck').purpose).to.equal('look');
  });
});
