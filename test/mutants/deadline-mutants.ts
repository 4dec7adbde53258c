import { type Mutant, namedTest, simulation } from './mutant.ts';

const CLOCK = 'core/election/leadership-clock.js';
const SERVING = `elapsedMs(this.#check.sent, now) < this.#settings.servingDeadlineMs &&
            this.#leaseElapsedMs(now) < LEASE_SHARE * this.#lease.ttlMs);`;
const LEASE_ELAPSED = 'return Math.max(elapsedMs(this.#check.sent, now), elapsedMs(this.#lease.sent, now));';
const LEASE_SENT = 'const sentMs = Math.min(this.#check.sent.monotonicMs, this.#lease.sent.monotonicMs);';

/** How long a leader may go on without a word of etcd (G6). */
export const DEADLINE_MUTANTS: readonly Mutant[] = [
  {
    name: 'loss-noticed-after-two-ttl',
    fault: 'the loss of the lease is noticed after twice its time to live, and nothing else is looked at',
    after: "G6; npm etcd3, Lease 'lost'",
    patches: [
      { file: CLOCK, from: SERVING, to: 'this.#leaseElapsedMs(now) < LEASE_SHARE * this.#lease.ttlMs);' },
      { file: CLOCK, from: 'export const LEASE_SHARE = 0.9;', to: 'export const LEASE_SHARE = 2;' },
    ],
    checks: [simulation('cut-for-long', 5)],
  },
  {
    name: 'deadline-from-receipt',
    fault: 'the deadlines count from the receipt of an answer, not from the sending of the call',
    after: 'G6; npm etcd3 stamps a keepalive on receipt',
    patches: [
      {
        file: 'core/election/candidacy.js',
        from: 'this.#term?.checkAnswered(check, sent, outcome);',
        to: 'this.#term?.checkAnswered(check, now, outcome);',
      },
      {
        file: 'core/election/candidacy.js',
        from: 'this.#term?.clock.keepAliveAcknowledged(event.outcome);',
        to: 'this.#term?.clock.keepAliveAcknowledged({ ...event.outcome, sent: now });',
      },
    ],
    checks: [simulation('check-answered-late', 5)],
  },
  {
    name: 'sleep-during-confirm',
    fault: 'the clocks are compared from the answer to the confirm on, not from its sending',
    after: 'G6; a machine that sleeps while its wall clock is set back',
    patches: [
      {
        file: CLOCK,
        from: 'this.#latched = this.#apartMs(check.sent, now) > this.#wallGapMs;',
        to: 'this.#latched = false;',
      },
    ],
    checks: [simulation('sleep-during-confirm', 5)],
  },
  {
    name: 'deadline-fed-by-keepalive',
    fault: 'a leader serves for as long as its keepalives are acknowledged, whatever became of its key',
    after: 'G6; a keepalive is acknowledged for a lease whose key is gone',
    patches: [
      { file: CLOCK, from: SERVING, to: 'this.#leaseElapsedMs(now) < LEASE_SHARE * this.#lease.ttlMs);' },
      { file: CLOCK, from: LEASE_ELAPSED, to: 'return elapsedMs(this.#lease.sent, now);' },
      { file: CLOCK, from: LEASE_SENT, to: 'const sentMs = this.#lease.sent.monotonicMs;' },
    ],
    checks: [simulation('checks-unanswered', 5)],
  },
  {
    name: 'lease-deadline-without-keepalive',
    fault: 'the lease deadline counts from the last check alone: the lease may have run out',
    after: 'G6: the check proves the key, the keepalive the lease, neither the other',
    patches: [
      { file: CLOCK, from: LEASE_ELAPSED, to: 'return elapsedMs(this.#check.sent, now);' },
      { file: CLOCK, from: LEASE_SENT, to: 'const sentMs = this.#check.sent.monotonicMs;' },
      {
        file: CLOCK,
        from: 'return elapsedMs(this.#lease.sent, now) >= LEASE_SHARE * this.#lease.ttlMs;',
        to: 'return false;',
      },
    ],
    checks: [simulation('no-keepalive', 5)],
  },
  {
    name: 'no-check-after-a-pause',
    fault:
      'whether it may serve is remembered from the last turn: the first one after a pause does not look at the clock',
    after: 'G6; every lease holder that checks before it is paused, and acts when it wakes',
    patches: [
      {
        file: 'core/election/term.js',
        from: 'this.clock.look(now);\n        return this.clock.serving(now);',
        to: 'return this.#toldServing;',
      },
    ],
    checks: [simulation('storm', 200)],
  },
  {
    name: 'wall-clock-for-a-deadline',
    fault: 'a job master counts its leases on the wall clock',
    after: 'G3, G6; a clock that is set back lengthens the lease',
    patches: [
      {
        file: 'jobmaster/job-master-endpoint.js',
        from: 'this.#environment = environment;\n        this.#listener = listener;\n        const { clock, randomness, timing, prover } = environment;',
        to: `const { randomness, timing, prover } = environment;
        const wallMs = () => environment.clock.wallMs();
        const clock = { wallMs, monotonicMs: wallMs, schedule: (delayMs, call) => environment.clock.schedule(delayMs, call) };
        this.#environment = { ...environment, clock };
        this.#listener = listener;`,
      },
    ],
    checks: [simulation('job-clock-set-back', 3)],
  },
  {
    name: 'stale-member-answers-the-check',
    fault: 'the check has no operation: a member that is cut off answers it from its own store',
    after: 'G6; etcd asks no other member about a transaction that only compares',
    patches: [
      {
        file: 'ha/election-transactions.js',
        from: "success: [{ type: 'range', key: keys.challenge(token.generation, token.epoch) }],\n        failure: [{ type: 'range', key: keys.election, prefix: true }],",
        to: 'success: [],\n        failure: [],',
      },
    ],
    checks: [
      simulation('storm', 200),
      namedTest('unit/ha/leading.test.ts', 'is not fooled by a member that answers from its own store'),
    ],
  },
  {
    name: 'lease-kept-while-the-loop-hangs',
    fault: 'checks do not pass through the mailbox that serves: a loop that hangs keeps its leadership',
    after: 'G6, G8; tikv/pd#10671',
    patches: [
      {
        file: 'ha/store-leader-election.js',
        from: "return this.#tell((contender) => contender.probe(() => this.#dispatch({ type: 'probed', candidacy: effect.candidacy, check: effect.check })));",
        to: "return this.#dispatch({ type: 'probed', candidacy: effect.candidacy, check: effect.check });",
      },
    ],
    checks: [
      simulation('hung-loop', 5),
      namedTest('unit/ha/leading.test.ts', 'gives up leadership by itself when its loop hangs'),
    ],
  },
];
