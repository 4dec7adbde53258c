import { expect } from 'chai';
import type { InstanceId } from '../../../../src/core/ids.ts';
import { BookDriver, find, granted, LEASE_MS, refusal } from '../../../support/taskexecutor/book-driver.ts';
import { leaseKey, PROFILE, requestSlot } from '../../../support/taskexecutor/task-executor-fixture.ts';
import { tokenOf } from '../../../support/taskexecutor/testing-resource-manager.ts';

const A1 = leaseKey(0, 'a1', 'instance-1', 1);

function withClaim(): BookDriver {
  const d = new BookDriver().registered();
  d.command([requestSlot(0, 'a1')]);
  d.claim(A1);
  return d;
}

describe('the reports of a task executor', () => {
  it('are numbered without a gap, each delta naming only what changed', () => {
    const d = withClaim();
    d.release([A1]);
    const [, ...deltas] = d.reports.slice(1);
    expect(d.reports.map((report) => report.reportNumber)).to.deep.equal([1, 2, 3, 4, 5]);
    expect(deltas.map((report) => [report.full, report.slots.map((slot) => slot.state)])).to.deep.equal([
      [false, ['granted']],
      [false, ['claimed']],
      [false, ['free']],
    ]);
  });

  it('name the last command seen, and the lease with its instance and grant number', () => {
    const report = withClaim().reports.at(-1);
    expect(report?.lastSeen).to.deep.equal({ generation: 1, epoch: 1n, n: 1 });
    expect(report?.slots[0]?.lease).to.deep.equal({
      allocationId: 'a1',
      jobId: 'job-1',
      jobMasterId: 'jm-1',
      instanceId: 'instance-1',
      grantNumber: 1,
    });
  });

  it('say when it drains', () => {
    const d = new BookDriver().registered();
    d.command([{ kind: 'drain', draining: true }]);
    expect(d.reports.at(-1)).to.deep.include({ draining: true, slots: [] });
  });

  it('are full on request, of the leader only', () => {
    const d = withClaim();
    const instanceId = 'instance-1' as InstanceId;
    expect(d.handle({ type: 'reportRequested', token: tokenOf(0), instanceId })).to.deep.equal([]);
    const effects = d.handle({ type: 'reportRequested', token: tokenOf(1), instanceId });
    const report = find(effects, 'reportSlots')?.report;
    expect(report?.full).to.equal(true);
    expect(report?.slots.map((slot) => slot.state)).to.deep.equal(['claimed', 'free']);
  });

  it('wait while nobody has acknowledged the registration, and then hold what changed since', () => {
    const d = withClaim();
    d.announce(tokenOf(2), 2);
    expect(find(d.release([A1]), 'reportSlots')).to.equal(undefined);
    const effects = d.handle({
      type: 'registrationAcknowledged',
      linkKey: 2,
      token: tokenOf(2),
      knownBefore: false,
    });
    const effect = find(effects, 'reportSlots');
    expect(effect?.linkKey).to.equal(2);
    expect(effect?.report.slots.map((slot) => [slot.slotNumber, slot.state])).to.deep.equal([[0, 'free']]);
  });

  it('do not follow an acknowledgement that a later leader has overtaken', () => {
    const d = withClaim();
    d.announce(tokenOf(2), 2);
    d.announce(tokenOf(3), 3);
    d.handle({ type: 'registrationAcknowledged', linkKey: 2, token: tokenOf(2), knownBefore: false });
    expect(find(d.release([A1]), 'reportSlots')).to.equal(undefined);
    expect(d.command([{ kind: 'noOperation' }], { token: tokenOf(2), n: 9 }).problem?.code).to.equal(
      'FENCED',
    );
  });
});

describe('a restarted task executor', () => {
  it('with its state honours each lease for one full duration, under its instance id of old', () => {
    const d = withClaim().pause(29_000).restart();
    expect(find(d.effects, 'leaseClaimed')).to.deep.include({ restored: true });
    expect(d.pause(29_999).renew([A1])).to.deep.equal(['ok']);
    expect(d.pause(LEASE_MS).renew([A1])).to.deep.equal(['UNKNOWN_ALLOCATION']);
  });

  it('honours a lease for the longer duration that its predecessor may have promised', () => {
    const d = withClaim().restart({ slotLeaseMs: 5_000 });
    expect(d.pause(29_999).renew([A1])).to.deep.equal(['ok']);
  });

  it('writes the longer duration that it promises itself, for its successor', () => {
    const longer = withClaim().restart({ slotLeaseMs: 60_000 });
    longer.renew([A1]);
    const d = longer.restart({ slotLeaseMs: 30_000 });
    expect(d.pause(59_999).renew([A1])).to.deep.equal(['ok']);
  });

  it('lets a grant be claimed that it finds in its state, in the time for claims', () => {
    const d = new BookDriver().registered();
    d.command([requestSlot(0, 'a1')]);
    expect(d.restart().pause(9_999).claim(A1).code).to.equal('ok');
    expect(d.restart().pause(10_000).claim(A1).code).to.equal('UNKNOWN_ALLOCATION');
  });

  it('keeps an ordered drain, and forgets its own end', () => {
    const d = new BookDriver().registered();
    d.handle({ type: 'closing' });
    expect(d.restart().book.draining).to.equal(false);
    d.command([{ kind: 'drain', draining: true }]);
    expect(d.restart().book.draining).to.equal(true);
  });

  it('keeps a slot that is configured no more until its lease ends, and then reports in full without it', () => {
    const d = withClaim();
    d.command([requestSlot(1, 'a2')]);
    d.claim(leaseKey(1, 'a2', 'instance-1', 1));
    const fewer = d.restart({ slots: [PROFILE] }).registered(tokenOf(2));
    expect(fewer.states).to.deep.equal(['claimed', 'claimed']);
    fewer.release([leaseKey(1, 'a2', 'instance-1', 1)]);
    expect(fewer.reports.at(-1)).to.deep.include({ full: true });
    expect(fewer.states).to.deep.equal(['claimed']);
    const { results } = fewer.command([requestSlot(1, 'a3')], { instanceId: 'instance-2' });
    expect(refusal(results[0])).to.equal('NOT_FOUND');
    const more = fewer.restart({ slots: [PROFILE, PROFILE] }).registered(tokenOf(3));
    const again = more.command([requestSlot(1, 'a3')], { instanceId: 'instance-2' });
    expect(granted(again.results[0])).to.equal(2);
  });
});

describe('a task executor without a state', () => {
  it('shows its slots as quarantined until the registration says what was before', () => {
    const d = new BookDriver();
    expect(d.states).to.deep.equal(['quarantined', 'quarantined']);
    d.registered();
    expect(d.states).to.deep.equal(['free', 'free']);
    expect(d.reports.at(-1)).to.deep.include({ full: false });
  });

  it('that was known before is quarantined for one lease duration from its start', () => {
    const d = new BookDriver().pause(10_000).registered(tokenOf(1), 1, true);
    expect(d.states).to.deep.equal(['quarantined', 'quarantined']);
    expect(refusal(d.command([requestSlot(0, 'a1')]).results[0])).to.equal('SLOT_TAKEN');
    expect(d.book.nextDueMs()).to.equal(1_000 + LEASE_MS);
    d.pause(LEASE_MS - 10_000).handle({ type: 'tick' });
    expect(d.states).to.deep.equal(['free', 'free']);
    expect(refusal(d.command([requestSlot(0, 'a1')]).results[0])).to.equal('done');
  });

  it('whose quarantine a later leader knows nothing of stays in it', () => {
    const d = new BookDriver().registered(tokenOf(1), 1, true).registered(tokenOf(2), 2, false);
    expect(d.states).to.deep.equal(['quarantined', 'quarantined']);
  });

  it('that dies in quarantine leaves a state that says so', () => {
    const d = new BookDriver().registered(tokenOf(1), 1, true).restart();
    expect(d.states).to.deep.equal(['quarantined', 'quarantined']);
    d.registered(tokenOf(2), 1, true);
    expect(d.states).to.deep.equal(['quarantined', 'quarantined']);
  });

  it('whose slots die with the process is free at once', () => {
    const d = new BookDriver({ slotsDieWithProcess: true }).registered(tokenOf(1), 1, true);
    expect(d.states).to.deep.equal(['free', 'free']);
  });

  it('grants above any number of a former process, whether a leader knew of that one or not', () => {
    const grantNumberFloor = 1_000_000;
    const known = new BookDriver({ grantNumberFloor }).registered(tokenOf(1), 1, true).pause(LEASE_MS);
    expect(granted(known.command([requestSlot(0, 'a1')]).results[0])).to.equal(1_000_001);
    const unknown = new BookDriver({ grantNumberFloor }).registered(tokenOf(1), 1, false);
    expect(granted(unknown.command([requestSlot(0, 'a1')]).results[0])).to.equal(1_000_001);
    const dying = new BookDriver({ grantNumberFloor, slotsDieWithProcess: true }).registered();
    expect(granted(dying.command([requestSlot(0, 'a1')]).results[0])).to.equal(1_000_001);
    const restarted = unknown.restart({ grantNumberFloor: 2_000_000 }).registered(tokenOf(2));
    const { results } = restarted.command([requestSlot(1, 'a2')], { instanceId: 'instance-2' });
    expect(granted(results[0])).to.equal(1_000_001);
  });

  it('grants above any number of a former process in a slot that its state does not name', () => {
    const fewer = new BookDriver({ grantNumberFloor: 1_000_000, slots: [PROFILE] }).registered();
    const more = fewer.restart({ grantNumberFloor: 2_000_000 }).registered(tokenOf(2));
    const commands = [requestSlot(0, 'a1'), requestSlot(1, 'a2')];
    const { results } = more.command(commands, { instanceId: 'instance-2' });
    expect(results.map(granted)).to.deep.equal([1_000_001, 2_000_001]);
  });
});

describe('a closing task executor', () => {
  it('grants nothing more, lets granted slots be claimed and claimed ones be renewed', () => {
    const d = withClaim();
    d.command([requestSlot(1, 'a2')]);
    d.handle({ type: 'closing' });
    expect(d.reports.at(-1)?.draining).to.equal(true);
    expect(d.claim(leaseKey(1, 'a2', 'instance-1', 1)).code).to.equal('ok');
    expect(d.renew([A1])).to.deep.equal(['ok']);
    d.release([A1]);
    expect(refusal(d.command([requestSlot(0, 'a3')]).results[0])).to.equal('UNAVAILABLE');
    d.command([{ kind: 'drain', draining: false }]);
    expect(refusal(d.command([requestSlot(0, 'a3')]).results[0])).to.equal('UNAVAILABLE');
  });

  it('is told to end by a stop', () => {
    const d = new BookDriver().registered();
    const { effects } = d.command([{ kind: 'stop' }]);
    expect(find(effects, 'stop')).to.not.equal(undefined);
    expect(d.book.draining).to.equal(true);
  });
});
