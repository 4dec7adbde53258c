import { exploration, type Mutant, namedTest, simulation } from './mutant.ts';

/** How a standby comes to lead in place of one that is gone (G8), and what it may believe. */
export const FAILOVER_MUTANTS: readonly Mutant[] = [
  {
    name: 'watch-gap-after-compaction',
    fault:
      'a watch that was compacted is opened again where etcd can be read, without a listing, now or later',
    after: 'G8; the watcher of npm etcd3 loses events without a word when it connects again',
    patches: [
      {
        file: 'ha/election-observer.js',
        from: 'this.#restarts += 1;\n',
        to: 'this.#restarts += 1;\n        return this.#watch((end.compactedRevision ?? this.#state?.storeRevision ?? 0n) + 1n);\n',
      },
      {
        file: 'ha/election-observer.js',
        from: 'this.#timer = this.#context.clock.schedule(COMPARE_MS, () => this.#compare());',
        to: '',
      },
      {
        file: 'core/election/worker-witnesses.js',
        from: 'if (headEpoch !== null && epoch > headEpoch)',
        to: 'if (false)',
      },
    ],
    checks: [simulation('missed-events', 5)],
    why: 'The listing each second finds out alone what a watch did not tell, and so do workers that have obeyed a later key than the one that seems to be first.',
  },
  {
    name: 'timeout-taken-for-refusal',
    fault: 'any attempt to connect that fails counts as a refused one, and so as a proof of death',
    after: 'G8; failure detectors that take a partition for a crash',
    patches: [
      { file: 'resourcemanager/peers.js', from: "if (kind === 'refused')", to: 'if (kind !== null)' },
    ],
    checks: [simulation('cut-from-standbys', 5)],
  },
  {
    name: 'proof-of-death-without-nonce',
    fault: 'whoever else answers at the address of a candidate proves its death',
    after: 'G8; a wrong --advertise',
    patches: [
      {
        file: 'core/election/death-evidence.js',
        from: 'return this.#places.get(address)?.get(bootNonce)?.proof ?? null;',
        to: `for (const [nonce, met] of this.#places.get(address) ?? [])
            if (nonce !== bootNonce && met.brokenAt === null)
                return 'another process answers there';
        return this.#places.get(address)?.get(bootNonce)?.proof ?? null;`,
      },
    ],
    checks: [simulation('leader-advertises-wrong', 5)],
  },
  {
    name: 'challenge-not-compared',
    fault:
      'a deposition does not compare the challenge: one that was answered meanwhile deposes all the same',
    after: 'G6, G8: the answer to a challenge must count up to the last moment',
    patches: [
      { file: 'ha/election-transactions.js', from: 'if (challengeRevision !== null) {', to: 'if (false) {' },
    ],
    checks: [simulation('late-deposition', 5), exploration('election, pause')],
  },
  {
    name: 'challenge-answered-past-a-hung-loop',
    fault: 'a leader answers challenges by a timer of its own, whether or not it can serve',
    after: 'G8; tikv/pd#10671: what keeps the leadership is not what does the work',
    patches: [
      {
        file: 'ha/store-leader-election.js',
        from: "            this.#timerMs = Infinity;\n            this.#dispatch({ type: 'tick' });",
        to: `            this.#timerMs = Infinity;
            const { token } = this.#machine;
            if (token !== null)
                void this.#session?.check({ check: 0, token, purpose: 'answer' });
            this.#dispatch({ type: 'tick' });`,
      },
    ],
    checks: [
      simulation('hung-loop', 5),
      namedTest('unit/ha/deposing.test.ts', 'is made when it leaves the challenge unanswered'),
    ],
  },
  {
    name: 'suspended-taken-for-life',
    fault: 'the answer `suspended` of a leader counts as a sign of life',
    after: 'G8; a leader that is cut off from etcd and answers pings',
    patches: [
      {
        file: 'core/election/head-watch.js',
        from: "this.#suspended = pong.state !== 'serving';",
        to: 'this.#suspended = false;',
      },
    ],
    checks: [simulation('cut-from-etcd', 10)],
  },
  {
    name: 'no-to-a-second-copy-taken-for-a-loss',
    fault:
      'the `no` to a confirm that was sent twice is taken for a loss, though the first copy has committed',
    after: 'G5; retries that are not idempotent',
    patches: [
      {
        file: 'ha/confirm-term.js',
        from: "if (written !== null && sameToken(written.token, record.token))\n        return 'confirmed';",
        to: "if (written !== null && sameToken(written.token, record.token))\n        return { kind: 'key-gone' };",
      },
      {
        file: 'ha/confirm-term.js',
        from: "if (row?.leaderSessionId === record.token.leaderSessionId)\n        return 'confirmed';",
        to: "if (row?.leaderSessionId === record.token.leaderSessionId)\n        return { kind: 'key-gone' };",
      },
    ],
    checks: [simulation('confirm-answer-lost', 5)],
  },
  {
    name: 'books-kept-after-revocation',
    fault: 'the slot manager of the first term goes on in every later one of that process',
    after: 'G5, G7; Flink starts a new ResourceManager for each grant of leadership',
    patches: [
      {
        file: 'resourcemanager/resource-manager.js',
        from: 'slotManager: makeSlotManager({ token, timing, matching, nowMs: clock.monotonicMs() }),',
        to: 'slotManager: (this.keptBooks ??= makeSlotManager({ token, timing, matching, nowMs: clock.monotonicMs() })),',
      },
    ],
    checks: [simulation('storm', 200)],
  },
  {
    name: 'containers-asked-for-before-the-reports',
    fault: 'a new leader asks for workers before those that etcd names have reported',
    after: 'G7: a failover that starts a second fleet',
    patches: [
      {
        file: 'core/slotmanager/recovery.js',
        from: "return this.#phase !== 'over' && this.#silent.size > 0;",
        to: 'return false;',
      },
    ],
    checks: [
      simulation('silent-fleet', 5),
      namedTest(
        'unit/core/slotmanager/recovery.test.ts',
        'asks for no container before all expected task executors have reported',
      ),
    ],
  },
];
