import { expect } from 'chai';
import fc from 'fast-check';
import type { AllocationId } from '../../../../src/core/ids.ts';
import type { SlotPoolEffect } from '../../../../src/core/jobmaster/slot-pool-events.ts';
import type { LeaseKey } from '../../../../src/core/messages/slots.ts';
import type { ProblemCode } from '../../../../src/core/problem.ts';
import { DEFAULT_TIMING, HOLDER_SHARE } from '../../../../src/core/timing.ts';
import { grantFor, problemOf, TestingSlotPool } from '../../../support/testing-slot-pool.ts';

const OPERATIONS = [
  'request',
  'register',
  'lose',
  'grant',
  'grant',
  'grantAgain',
  'connect',
  'connect',
  'disconnect',
  'answerClaim',
  'answerClaim',
  'answerRenewal',
  'answerRelease',
  'release',
  'hint',
  'gap',
  'pass',
  'pass',
  'pass',
] as const;

interface Step {
  readonly operation: (typeof OPERATIONS)[number];
  readonly pick: number;
  readonly ms: number;
  readonly code: ProblemCode | null;
}

interface Call {
  readonly callId: number;
  readonly peer: string;
  readonly sentMs: number;
  readonly leases: readonly LeaseKey[];
}

const leaseName = (lease: LeaseKey): string =>
  `${lease.allocationId}:${lease.instanceId}/${lease.slotNumber}#${lease.grantNumber}`;
const PROVES_NOTHING_HELD: readonly (ProblemCode | null)[] = ['UNKNOWN_ALLOCATION', 'SLOT_TAKEN', 'STALE'];

/** Drives a pool at random and keeps its own account of what each task executor may hold for it. */
class Account {
  readonly t = new TestingSlotPool();
  readonly claims: Call[] = [];
  readonly renewals: Call[] = [];
  readonly releases: Call[] = [];
  /** For each allocation the leases that may be claimed at some task executor, with their last possible end. */
  readonly possible = new Map<string, Map<string, number>>();
  /** For each lease when it ends by the last acknowledgement, and when the call behind that was sent. */
  readonly proved = new Map<string, { endMs: number; sentMs: number }>();
  readonly grants: ReturnType<typeof grantFor>[] = [];
  readonly ids: string[] = [];
  readonly firstSentMs = new Map<string, number>();
  /** Leases that their task executor has once said not to hold: it never says otherwise again. */
  readonly gone = new Set<string>();
  latchedMs = -Infinity;

  take(effects: readonly SlotPoolEffect[]): void {
    for (const effect of effects) {
      const sentMs = this.t.nowMs;
      if (effect.type === 'claimSlot') {
        this.#claimed(effect.lease);
        const name = leaseName(effect.lease);
        if (!this.firstSentMs.has(name)) this.firstSentMs.set(name, sentMs);
        this.claims.push({ callId: effect.callId, peer: effect.peer, sentMs, leases: [effect.lease] });
      } else if (effect.type === 'renewLeases') {
        for (const lease of effect.leases) {
          expect(this.#others(lease), 'renewed beside another').to.deep.equal([]);
        }
        this.renewals.push({ ...effect, sentMs });
      } else if (effect.type === 'releaseLeases') {
        this.releases.push({ ...effect, sentMs });
      } else if (effect.type === 'slotInHand') {
        expect(this.t.isInHand(effect.grant.allocationId), 'in hand when the user is told').to.equal(true);
      } else if (effect.type === 'leaseEnded') {
        expect(this.t.isInHand(effect.allocationId), 'not in hand when it has ended').to.equal(false);
      }
    }
    for (const id of this.ids) if (this.t.isInHand(id)) this.#checkInHand(id);
  }

  /** What a task executor that keeps to its word answers, when the dice say `wanted`. */
  truth(lease: LeaseKey, wanted: ProblemCode | null): ProblemCode | null {
    if (this.gone.has(leaseName(lease))) return 'UNKNOWN_ALLOCATION';
    if (PROVES_NOTHING_HELD.includes(wanted)) this.over(lease);
    return wanted;
  }

  over(lease: LeaseKey): void {
    this.gone.add(leaseName(lease));
    this.possible.get(lease.allocationId)?.delete(leaseName(lease));
  }

  #claimed(lease: LeaseKey): void {
    const { nowMs } = this.t;
    const leases = this.possible.get(lease.allocationId) ?? new Map<string, number>();
    this.possible.set(lease.allocationId, leases);
    for (const [name, endMs] of leases) if (endMs <= nowMs) leases.delete(name);
    expect(this.#others(lease), 'claimed while another lease may stand').to.deep.equal([]);
    leases.set(leaseName(lease), nowMs + DEFAULT_TIMING.unclaimedMs + DEFAULT_TIMING.slotLeaseMs);
  }

  #others(lease: LeaseKey): string[] {
    const leases = this.possible.get(lease.allocationId) ?? new Map<string, number>();
    return [...leases.keys()].filter((other) => other !== leaseName(lease));
  }

  #checkInHand(id: string): void {
    const held = this.t.pool.held().find((grant) => grant.allocationId === id)!;
    const lease = { ...held, slotNumber: held.slotId.slotNumber };
    const proof = this.proved.get(leaseName(lease));
    expect(proof, 'in hand without an acknowledgement').to.not.equal(undefined);
    expect(this.t.nowMs).to.be.lessThan(proof!.endMs);
    expect(this.t.pool.isInHand(held.allocationId, proof!.endMs), 'in hand past its end').to.equal(false);
    expect(proof!.sentMs, 'proved before the gap').to.be.at.least(this.latchedMs);
  }
}

function grant(a: Account, { pick, ms }: Step): SlotPoolEffect[] {
  const id = a.ids[pick % a.ids.length];
  if (id === undefined) return [];
  const where = { te: `te${Math.floor(ms) % 2}`, slot: pick % 2, number: a.grants.length + 1 };
  a.grants.push(grantFor(id, where));
  return a.t.grant(a.grants.at(-1)!);
}

function answerClaim(a: Account, { pick, code: wanted }: Step): SlotPoolEffect[] {
  const [call] = a.claims.splice(pick % Math.max(1, a.claims.length), 1);
  if (call === undefined) return [];
  const lease = call.leases[0]!;
  const { allocationId } = lease;
  const code = a.truth(lease, wanted);
  if (code === null) {
    // A claim that is sent again counts from the first time, whichever of them is answered.
    const firstMs = a.firstSentMs.get(leaseName(lease)) ?? call.sentMs;
    if (!a.proved.has(leaseName(lease)))
      a.proved.set(leaseName(lease), { endMs: firstMs + 30_000 * HOLDER_SHARE, sentMs: call.sentMs });
    const answer = { ok: true, reply: { durationMs: 30_000 } } as const;
    return a.t.tell({ type: 'claimAnswered', callId: call.callId, allocationId, answer });
  }
  const answer = { ok: false, problem: problemOf(code) } as const;
  return a.t.tell({ type: 'claimAnswered', callId: call.callId, allocationId, answer });
}

function answerRenewal(a: Account, { pick, code: wanted }: Step): SlotPoolEffect[] {
  const [call] = a.renewals.splice(pick % Math.max(1, a.renewals.length), 1);
  if (call === undefined) return [];
  const { callId, peer, sentMs } = call;
  if (wanted === 'NO_ANSWER') {
    const code = wanted;
    return a.t.tell({
      type: 'renewalAnswered',
      callId,
      peer,
      answer: { ok: false, problem: problemOf(code) },
    });
  }
  const results = call.leases.map((lease) => {
    const code = a.truth(lease, wanted);
    const known = a.proved.get(leaseName(lease));
    if (code === null && (known === undefined || known.sentMs <= sentMs)) {
      a.proved.set(leaseName(lease), { endMs: sentMs + 30_000 * HOLDER_SHARE, sentMs });
      a.possible.get(lease.allocationId)?.set(leaseName(lease), sentMs + 30_000);
    }
    return { allocationId: lease.allocationId, problem: code === null ? null : problemOf(code) };
  });
  const answer = { ok: true, reply: { durationMs: 30_000, results } } as const;
  return a.t.tell({ type: 'renewalAnswered', callId, peer, answer });
}

function answerRelease(a: Account, { pick, code }: Step): SlotPoolEffect[] {
  const [call] = a.releases.splice(pick % Math.max(1, a.releases.length), 1);
  if (call === undefined) return [];
  const { callId, peer } = call;
  if (code === null || PROVES_NOTHING_HELD.includes(code)) for (const lease of call.leases) a.over(lease);
  const answer =
    code === null ? ({ ok: true, reply: {} } as const) : ({ ok: false, problem: problemOf(code) } as const);
  return a.t.tell({ type: 'releaseAnswered', callId, peer, answer });
}

function perform(a: Account, step: Step): SlotPoolEffect[] {
  const { t } = a;
  const id = a.ids[step.pick % Math.max(1, a.ids.length)] as AllocationId | undefined;
  switch (step.operation) {
    case 'request':
      a.ids.push(`a${a.ids.length}`);
      return t.request(a.ids.at(-1)!);
    case 'register':
      return t.register(step.ms % 2 === 0);
    case 'lose':
      return t.tell({ type: 'registrationLost' });
    case 'grant':
      return grant(a, step);
    case 'grantAgain': {
      const again = a.grants[step.pick % Math.max(1, a.grants.length)];
      return again === undefined ? [] : t.grant(again);
    }
    case 'connect':
      return t.connect(`te${step.pick % 2}`);
    case 'disconnect':
      return t.disconnect(`te${step.pick % 2}`);
    case 'answerClaim':
      return answerClaim(a, step);
    case 'answerRenewal':
      return answerRenewal(a, step);
    case 'answerRelease':
      return answerRelease(a, step);
    case 'release':
      return id === undefined ? [] : t.tell({ type: 'allocationsReleased', allocationIds: [id] });
    case 'hint':
      return id === undefined ? [] : t.tell({ type: 'allocationsDoubted', allocationIds: [id] });
    case 'gap': {
      const lostMs = step.pick % 2 === 0 ? 0 : step.ms;
      a.latchedMs = t.nowMs;
      for (const proof of a.proved.values()) proof.endMs -= lostMs;
      return t.tell({ type: 'gap', lostMs });
    }
    case 'pass':
      return t.pass(step.ms);
  }
}

describe('any slot pool', () => {
  const step: fc.Arbitrary<Step> = fc.record({
    operation: fc.constantFrom(...OPERATIONS),
    pick: fc.nat(20),
    ms: fc.oneof(fc.nat(500), fc.nat(500), fc.nat(5_000), fc.nat(15_000), fc.nat(60_000)),
    code: fc.constantFrom(
      null,
      null,
      null,
      'NO_ANSWER',
      'UNKNOWN_ALLOCATION',
      'INTERNAL',
      'SLOT_TAKEN',
      'OVERLOADED',
    ),
  });

  it('claims one lease of an allocation at a time, and has in hand only what was proved by a call sent in time', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100, size: 'max' }), (steps) => {
        const a = new Account();
        a.take(a.t.register());
        a.ids.push('first');
        a.take(a.t.request('first'));
        for (const each of steps) a.take(perform(a, each));
      }),
      { numRuns: 1_000 },
    );
  });

  it('gives every slot back in the end, whatever has happened', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
        const a = new Account();
        a.take(a.t.register());
        a.ids.push('first');
        a.take(a.t.request('first'));
        for (const each of steps) perform(a, each);
        a.t.tell({ type: 'closing' });
        for (let second = 0; second < 120; second += 1) a.t.pass(1_000);
        expect(a.t.pool.empty).to.equal(true);
        expect(a.t.pool.nextDueMs() === null || !a.t.pool.quiet).to.equal(true);
      }),
      { numRuns: 300 },
    );
  });
});
