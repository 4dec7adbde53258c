import { expect } from 'chai';
import type { JobMasterId } from '../../../../src/core/ids.ts';
import {
  asker,
  BookDriver,
  find,
  granted,
  LEASE_MS,
  refusal,
} from '../../../support/taskexecutor/book-driver.ts';
import { leaseKey, PROFILE, requestSlot } from '../../../support/taskexecutor/task-executor-fixture.ts';
import { tokenOf } from '../../../support/taskexecutor/testing-resource-manager.ts';

const A1 = leaseKey(0, 'a1', 'instance-1', 1);

function withGrant(): BookDriver {
  const d = new BookDriver().registered();
  expect(granted(d.command([requestSlot(0, 'a1')]).results[0])).to.equal(1);
  return d;
}

function withClaim(): BookDriver {
  const d = withGrant();
  expect(d.claim(A1).code).to.equal('ok');
  return d;
}

describe('the leases of a task executor', () => {
  describe('requestSlot', () => {
    it('grants a free slot, unclaimed', () => {
      const d = withGrant();
      expect(d.states).to.deep.equal(['granted', 'free']);
    });

    it('grants the same allocation in the same slot again as the same lease, also while draining', () => {
      const d = withGrant();
      d.command([{ kind: 'drain', draining: true }]);
      expect(granted(d.command([requestSlot(0, 'a1')]).results[0])).to.equal(1);
      expect(d.effects.filter((e) => e.type === 'journal' && e.entry.event === 'grant')).to.have.length(1);
    });

    it('gives a repeated grant its full time to be claimed', () => {
      const d = withGrant();
      d.pause(9_000).command([requestSlot(0, 'a1')]);
      expect(d.pause(9_000).claim(A1).code).to.equal('ok');
    });

    it('does not cut a claimed lease short when it is granted again', () => {
      const d = withClaim();
      d.command([requestSlot(0, 'a1')]);
      expect(d.pause(LEASE_MS - 1).renew([A1])).to.deep.equal(['ok']);
    });

    const refused: [string, string, Parameters<typeof requestSlot>][] = [
      ['a slot that another allocation holds', 'SLOT_TAKEN', [0, 'a2']],
      ['an allocation that holds another slot', 'CONFLICT', [1, 'a1']],
      ['a slot that it does not have', 'NOT_FOUND', [2, 'a2']],
      ['more than the slot offers', 'CONFLICT', [1, 'a2', { profile: { ...PROFILE, cpuCores: 64 } }]],
      [
        'an extended amount that the slot lacks',
        'CONFLICT',
        [1, 'a2', { profile: { ...PROFILE, extended: { gpu: 1 } } }],
      ],
      [
        'the same allocation for another job master',
        'SLOT_TAKEN',
        [0, 'a1', { jobMasterId: 'jm-2' as JobMasterId, order: { generation: 1, revision: 11n } }],
      ],
    ];
    for (const [what, code, args] of refused) {
      it(`refuses ${what} with ${code}`, () => {
        const d = withGrant();
        expect(refusal(d.command([requestSlot(...args)]).results[0])).to.equal(code);
        expect(d.states).to.deep.equal(['granted', 'free']);
      });
    }

    it('refuses to begin a lease while it drains, and begins one when the drain is taken back', () => {
      const d = new BookDriver().registered();
      d.command([{ kind: 'drain', draining: true }]);
      expect(refusal(d.command([requestSlot(0, 'a1')]).results[0])).to.equal('UNAVAILABLE');
      d.command([{ kind: 'drain', draining: false }]);
      expect(refusal(d.command([requestSlot(0, 'a1')]).results[0])).to.equal('done');
    });

    it('refuses the older of two job masters of a job', () => {
      const d = new BookDriver().registered();
      d.command([
        requestSlot(0, 'a1', { jobMasterId: 'jm-2' as JobMasterId, order: { generation: 1, revision: 11n } }),
      ]);
      expect(refusal(d.command([requestSlot(1, 'a2')]).results[0])).to.equal('SUPERSEDED');
    });

    it('ends a grant that nobody claims in time', () => {
      const d = withGrant();
      d.pause(10_000).handle({ type: 'tick' });
      expect(d.states).to.deep.equal(['free', 'free']);
      expect(d.claim(A1).code).to.equal('UNKNOWN_ALLOCATION');
    });

    it('holds no grant unclaimed for longer than a lease lasts', () => {
      const d = new BookDriver().registered();
      d.command([requestSlot(0, 'a1', { unclaimedMs: 86_400_000 })]);
      d.pause(LEASE_MS).handle({ type: 'tick' });
      expect(d.states).to.deep.equal(['free', 'free']);
    });
  });

  describe('claim', () => {
    it('puts the slot into the hand for one lease duration', () => {
      const d = withGrant();
      const { durationMs, effects } = d.claim(A1);
      expect(durationMs).to.equal(LEASE_MS);
      expect(effects[0]?.type).to.equal('persist');
      expect(find(effects, 'leaseClaimed')?.lease).to.include({ slotNumber: 0, grantNumber: 1 });
      expect(d.states).to.deep.equal(['claimed', 'free']);
    });

    it('answers a repetition the same, tells nobody twice, and lets the lease run anew', () => {
      const d = withClaim();
      const again = d.pause(20_000).claim(A1);
      expect(again.durationMs).to.equal(LEASE_MS);
      expect(find(again.effects, 'leaseClaimed')).to.equal(undefined);
      expect(d.pause(20_000).renew([A1])).to.deep.equal(['ok']);
    });

    const refused: [string, string, () => [typeof A1, ReturnType<typeof asker>?]][] = [
      ['another instance', 'UNKNOWN_ALLOCATION', () => [leaseKey(0, 'a1', 'instance-0', 1)]],
      ['another grant number', 'UNKNOWN_ALLOCATION', () => [leaseKey(0, 'a1', 'instance-1', 2)]],
      ['another allocation than the slot holds', 'SLOT_TAKEN', () => [leaseKey(0, 'a2', 'instance-1', 1)]],
      ['a slot that is free', 'UNKNOWN_ALLOCATION', () => [leaseKey(1, 'a1', 'instance-1', 1)]],
      ['a slot that is not there', 'UNKNOWN_ALLOCATION', () => [leaseKey(9, 'a1', 'instance-1', 1)]],
      ['another job master', 'UNKNOWN_ALLOCATION', () => [A1, asker('jm-2', 99)]],
      ['another job', 'UNKNOWN_ALLOCATION', () => [A1, asker('jm-1', 10, 'job-2')]],
    ];
    for (const [what, code, args] of refused) {
      it(`is refused to ${what} with ${code}`, () => {
        const d = withGrant();
        expect(d.claim(...args()).code).to.equal(code);
        expect(d.states).to.deep.equal(['granted', 'free']);
      });
    }

    it('of a stranger with a high order does not shut the job out', () => {
      const d = withGrant();
      d.claim(leaseKey(0, 'a1', 'instance-1', 7), asker('jm-9', 999));
      expect(d.claim(A1).code).to.equal('ok');
    });

    it('that comes after the pause in which the grant ran out is refused, though no timer has run', () => {
      const d = withGrant();
      expect(d.pause(10_000).claim(A1).code).to.equal('UNKNOWN_ALLOCATION');
    });
  });

  describe('renewal', () => {
    it('moves the end one duration away from its receipt', () => {
      const d = withClaim();
      expect(d.pause(29_999).renew([A1])).to.deep.equal(['ok']);
      expect(d.pause(29_999).renew([A1])).to.deep.equal(['ok']);
    });

    it('writes nothing: after a restart the lease runs in full anyway', () => {
      const d = withClaim();
      const before = d.effects.length;
      d.renew([A1]);
      expect(find(d.effects.slice(before), 'persist')).to.equal(undefined);
    });

    it('that comes after the pause in which the lease ended is refused, though no timer has run', () => {
      const d = withClaim();
      expect(d.pause(LEASE_MS).renew([A1])).to.deep.equal(['UNKNOWN_ALLOCATION']);
      expect(find(d.effects, 'leaseEnded')).to.include({ reason: 'lapsed' });
    });

    it('is judged for each lease by itself', () => {
      const d = withClaim();
      const other = leaseKey(1, 'a9', 'instance-1', 1);
      expect(d.renew([other, A1])).to.deep.equal(['UNKNOWN_ALLOCATION', 'ok']);
    });

    it('of a grant that was not claimed is refused', () => {
      expect(withGrant().renew([A1])).to.deep.equal(['UNKNOWN_ALLOCATION']);
    });

    it('needs no leader: it is not judged by a token', () => {
      const d = withClaim();
      d.announce(tokenOf(99), 5);
      expect(d.renew([A1])).to.deep.equal(['ok']);
    });
  });

  describe('release', () => {
    it('frees the slot at once', () => {
      const d = withClaim();
      const effects = d.release([A1]);
      expect(find(effects, 'leaseEnded')).to.include({ reason: 'released' });
      expect(d.states).to.deep.equal(['free', 'free']);
    });

    it('withdraws a grant that was not claimed, so that a claim still under way finds nothing', () => {
      const d = withGrant();
      const effects = d.release([A1]);
      expect(find(effects, 'leaseEnded')).to.equal(undefined);
      expect(d.claim(A1).code).to.equal('UNKNOWN_ALLOCATION');
    });

    it('is answered again when it comes twice, and does not touch the next lease', () => {
      const d = withClaim();
      d.release([A1]);
      expect(granted(d.command([requestSlot(0, 'a2')]).results[0])).to.equal(2);
      expect(find(d.release([A1]), 'answerRelease')).to.not.equal(undefined);
      expect(d.states).to.deep.equal(['granted', 'free']);
    });

    it('of another job master frees nothing', () => {
      const d = withClaim();
      d.release([A1], asker('jm-2', 99));
      expect(d.states).to.deep.equal(['claimed', 'free']);
    });
  });

  describe('freeSlot', () => {
    it('withdraws an unclaimed grant of that allocation', () => {
      const d = withGrant();
      const { results } = d.command([{ kind: 'freeSlot', slotNumber: 0, allocationId: A1.allocationId }]);
      expect(refusal(results[0])).to.equal('done');
      expect(d.states).to.deep.equal(['free', 'free']);
    });

    it('does not end a claimed lease: only its release or its time does', () => {
      const d = withClaim();
      const { results } = d.command([{ kind: 'freeSlot', slotNumber: 0, allocationId: A1.allocationId }]);
      expect(refusal(results[0])).to.equal('CONFLICT');
      expect(d.states).to.deep.equal(['claimed', 'free']);
    });

    it('leaves the slot alone when another allocation holds it', () => {
      const d = withGrant();
      const other = leaseKey(0, 'a2', 'instance-1', 1).allocationId;
      const { results } = d.command([{ kind: 'freeSlot', slotNumber: 0, allocationId: other }]);
      expect(refusal(results[0])).to.equal('done');
      expect(d.states).to.deep.equal(['granted', 'free']);
    });
  });

  describe('two job masters of one job', () => {
    function withNewer(): BookDriver {
      const d = withClaim();
      const order = { generation: 1, revision: 11n };
      d.command([requestSlot(1, 'a2', { jobMasterId: 'jm-2' as JobMasterId, order })]);
      return d;
    }

    it('the older one is told SUPERSEDED, and its lease is not cut but lapses', () => {
      const d = withNewer();
      expect(d.renew([A1])).to.deep.equal(['SUPERSEDED']);
      expect(d.claim(A1).code).to.equal('SUPERSEDED');
      expect(d.states).to.deep.equal(['claimed', 'granted']);
      d.pause(LEASE_MS).handle({ type: 'tick' });
      expect(d.states[0]).to.equal('free');
    });

    it('the older one may give its slot back', () => {
      const d = withNewer();
      d.release([A1]);
      expect(d.states[0]).to.equal('free');
    });

    it('the newer one is still known as such after a restart', () => {
      const d = withNewer().restart();
      expect(d.renew([A1])).to.deep.equal(['SUPERSEDED']);
    });

    it('a process is not superseded by itself, whatever order it names', () => {
      const d = withClaim();
      expect(d.renew([A1], asker('jm-1', 20))).to.deep.equal(['ok']);
      expect(d.renew([A1], asker('jm-1', 10))).to.deep.equal(['ok']);
    });

    it('a later generation is newer whatever the revision', () => {
      const d = withClaim();
      const order = { generation: 2, revision: 1n };
      d.command([requestSlot(1, 'a2', { jobMasterId: 'jm-2' as JobMasterId, order })]);
      expect(d.renew([A1])).to.deep.equal(['SUPERSEDED']);
    });
  });

  it('gives each lease of a slot a higher grant number, over restarts too', () => {
    const d = withClaim();
    d.release([A1]);
    expect(granted(d.command([requestSlot(0, 'a2')]).results[0])).to.equal(2);
    d.pause(10_000).handle({ type: 'tick' });
    const after = d.restart().registered(tokenOf(2));
    const { results } = after.command([requestSlot(0, 'a3')], { instanceId: 'instance-2', n: 1 });
    expect(granted(results[0])).to.equal(3);
  });
});
