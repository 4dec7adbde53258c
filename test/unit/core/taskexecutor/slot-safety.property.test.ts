import { expect } from 'chai';
import fc from 'fast-check';
import { compareCommandNumbers, type CommandNumber } from '../../../../src/core/command-number.ts';
import { compareTokens, type FencingToken } from '../../../../src/core/fencing-token.ts';
import type { InstanceId } from '../../../../src/core/ids.ts';
import type { LeaseKey } from '../../../../src/core/messages/slots.ts';
import type { TaskExecutorEffect } from '../../../../src/core/taskexecutor/task-executor-events.ts';
import type { TaskExecutorState } from '../../../../src/core/taskexecutor/task-executor-state.ts';
import { HOLDER_SHARE } from '../../../../src/core/timing.ts';
import { toJson } from '../../../../src/rpc/wire-format.ts';
import { asker, BookDriver, LEASE_MS, type Asker } from '../../../support/taskexecutor/book-driver.ts';
import { requestSlot } from '../../../support/taskexecutor/task-executor-fixture.ts';
import { tokenOf } from '../../../support/taskexecutor/testing-resource-manager.ts';

type Step =
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'restart'; readonly lost: boolean }
  | { readonly kind: 'announce'; readonly epoch: number }
  | {
      readonly kind: 'request' | 'free';
      readonly slot: number;
      readonly allocation: number;
      readonly of: number;
      readonly epoch: number;
      readonly n: number;
    }
  | { readonly kind: 'claim' | 'renew' | 'release'; readonly lease: number; readonly as: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 12_000 }), fc.constantFrom(1, 9_999, 26_999, 30_000)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), lost: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('announce' as const), epoch: fc.integer({ min: 1, max: 6 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('request' as const, 'request' as const, 'free' as const),
      slot: fc.integer({ min: 0, max: 1 }),
      allocation: fc.integer({ min: 0, max: 2 }),
      of: fc.integer({ min: 0, max: 1 }),
      // 0: of the present leader, with the next number; else whatever may still be on its way.
      epoch: fc.integer({ min: 0, max: 6 }).map((epoch) => (epoch > 3 ? 0 : epoch)),
      n: fc.integer({ min: 1, max: 20 }),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constantFrom('claim' as const, 'claim' as const, 'renew' as const, 'release' as const),
      lease: fc.nat(12),
      as: fc.integer({ min: 0, max: 1 }),
    }),
  },
);

/** The tightest case: another one gets the slot as soon as the last holder has stopped to believe in it. */
function takeOver(slot: number, allocation: number, of: number): Step[] {
  return [
    { kind: 'wait', ms: HOLDER_SHARE * LEASE_MS - 1 },
    { kind: 'request', slot, allocation, of, epoch: 0, n: 20 },
    { kind: 'claim', lease: -1, as: of },
  ];
}

const steps: fc.Arbitrary<Step[]> = fc
  .array(
    fc.oneof(
      { weight: 12, arbitrary: step.map((each) => [each]) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(fc.nat(1), fc.nat(2), fc.nat(1))
          .map(([slot, allocation, of]) => takeOver(slot, allocation, of)),
      },
    ),
    { minLength: 10, maxLength: 60 },
  )
  .map((groups) => groups.flat());

/** Job masters of one job each, so that nobody is superseded. */
const ASKERS: readonly Asker[] = [asker('jm-1', 10, 'job-1'), asker('jm-2', 11, 'job-2')];

/** What the outside sees of one task executor over its restarts, and what must always hold of it. */
class Observer {
  driver = new BookDriver({ slotLeaseMs: LEASE_MS });
  /** What a crash leaves: the state that was durable last. */
  saved: TaskExecutorState = this.driver.book.state();
  readonly known: LeaseKey[] = [];
  /** Until when each holder may use a slot, as it reckons itself. */
  readonly hands: { readonly key: LeaseKey; untilMs: number }[] = [];
  readonly grantNumbers = new Map<number, number>();
  #inUse = new Set<number>();
  #token: FencingToken | null = null;
  #executed: CommandNumber | null = null;
  #instances = 1;
  #n = 100;

  run(step: Step): void {
    switch (step.kind) {
      case 'wait':
        this.driver.pause(step.ms);
        return;
      case 'restart':
        return this.#restart(step.lost);
      case 'announce': {
        const token = tokenOf(step.epoch);
        this.#see(this.driver.announce(token));
        this.#see(
          this.driver.handle({ type: 'registrationAcknowledged', linkKey: 1, token, knownBefore: false }),
        );
        return;
      }
      case 'request':
      case 'free':
        return this.#command(step);
      default:
        return this.#ask(step.kind, step.lease, step.as);
    }
  }

  #restart(lost: boolean): void {
    const { nowMs, book } = this.driver;
    // Events whose write was lost with the process: nobody has heard of them.
    if (lost) for (const who of ASKERS) for (const key of this.known) this.driver.claim(key, who);
    if (lost) for (const who of ASKERS) this.driver.release(this.known, who);
    this.#instances += 1;
    const state = lost ? this.saved : book.state();
    const instanceId = `instance-${this.#instances}` as InstanceId;
    this.driver = new BookDriver({ state, startMs: nowMs, instanceId });
    this.saved = this.driver.book.state();
    this.#inUse = new Set();
    this.#see(this.driver.effects);
  }

  #command(step: Extract<Step, { kind: 'request' | 'free' }>): void {
    const { slot, allocation, of, epoch, n } = step;
    const who = ASKERS[of];
    const allocationId = `a-${allocation}-${of}`;
    const command =
      step.kind === 'request'
        ? requestSlot(slot, allocationId, { ...who })
        : { kind: 'freeSlot' as const, slotNumber: slot, allocationId: allocationId as never };
    const token = epoch === 0 ? (this.driver.book.highestToken ?? tokenOf(1)) : tokenOf(epoch);
    // Now and then a call comes twice.
    if (epoch === 0 && n > 3) this.#n += 1;
    const number = epoch === 0 ? this.#n : n;
    const instanceId = `instance-${this.#instances}`;
    const sent = this.driver.command([command], { token, n: number, instanceId });
    this.#see(sent.effects);
    const [result] = sent.results;
    if (result === undefined) return;
    const executed = { generation: token.generation, epoch: token.epoch, n: number };
    if (this.#executed !== null) {
      expect(compareCommandNumbers(executed, this.#executed), 'commands executed in order').to.be.greaterThan(
        0,
      );
    }
    this.#executed = executed;
    if (result.outcome === 'done' && result.grantNumber !== null) {
      this.known.push({
        slotNumber: slot,
        allocationId: allocationId as never,
        instanceId: instanceId as InstanceId,
        grantNumber: result.grantNumber,
      });
    }
  }

  #ask(kind: 'claim' | 'renew' | 'release', index: number, as: number): void {
    const key = this.known.at(index < 0 ? index : index % Math.max(1, this.known.length));
    const who = ASKERS[as];
    if (key === undefined || who === undefined) return;
    const { nowMs } = this.driver;
    if (kind === 'release') {
      this.#see(this.driver.release([key], who));
      if (key.allocationId.endsWith(`-${as}`)) this.#drop(key);
      return;
    }
    let held: boolean;
    if (kind === 'claim') {
      const { code, effects } = this.driver.claim(key, who);
      this.#see(effects);
      held = code === 'ok';
    } else {
      const before = this.driver.effects.length;
      held = this.driver.renew([key], who)[0] === 'ok';
      this.#see(this.driver.effects.slice(before));
    }
    if (!held) return;
    expect(key.allocationId.endsWith(`-${as}`), 'only its own job master holds a lease').to.equal(true);
    this.#drop(key);
    const untilMs = nowMs + HOLDER_SHARE * LEASE_MS;
    for (const other of this.hands) {
      if (other.key.slotNumber !== key.slotNumber) continue;
      expect(other.untilMs, `slot ${key.slotNumber} is in one hand`).to.be.at.most(nowMs);
    }
    this.hands.push({ key, untilMs });
  }

  #drop(key: LeaseKey): void {
    const at = this.hands.findIndex(
      (hand) => hand.key.slotNumber === key.slotNumber && hand.key.grantNumber === key.grantNumber,
    );
    if (at >= 0) this.hands.splice(at, 1);
  }

  #see(effects: readonly TaskExecutorEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'persist') this.saved = this.driver.book.state();
      if (effect.type === 'leaseClaimed') {
        expect(this.#inUse.has(effect.lease.slotNumber), 'begins once').to.equal(false);
        this.#inUse.add(effect.lease.slotNumber);
      }
      if (effect.type === 'leaseEnded')
        expect(this.#inUse.delete(effect.lease.slotNumber), 'ends once').to.equal(true);
      if (effect.type !== 'journal' || effect.entry.event !== 'grant') continue;
      const { slotNumber, grantNumber } = effect.entry.lease;
      expect(grantNumber).to.be.greaterThan(this.grantNumbers.get(slotNumber) ?? 0);
      this.grantNumbers.set(slotNumber, grantNumber);
    }
    expect(toJson(this.driver.book.state()), 'nothing durable changes unwritten').to.equal(
      toJson(this.saved),
    );
    const highest = this.driver.book.highestToken;
    if (this.#token !== null && highest !== null)
      expect(compareTokens(highest, this.#token), 'tokens never fall').to.be.at.least(0);
    this.#token = highest ?? this.#token;
    const allocations = this.driver.book.leases().map((lease) => lease.allocationId);
    expect(new Set(allocations).size, 'one slot for an allocation').to.equal(allocations.length);
  }
}

describe('a task executor under any sequence of commands, claims, pauses and restarts', () => {
  it('has each slot in one hand, grants growing numbers, never lets its token or command number fall', () => {
    let claims = 0;
    fc.assert(
      fc.property(steps, (sequence) => {
        const observer = new Observer();
        observer.run({ kind: 'announce', epoch: 1 });
        for (const each of sequence) observer.run(each);
        claims += observer.hands.length;
      }),
      { numRuns: 500 },
    );
    expect(claims, 'the sequences do reach claimed leases').to.be.greaterThan(50);
  });
});
