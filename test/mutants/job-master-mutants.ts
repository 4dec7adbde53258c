import { type Mutant, simulation } from './mutant.ts';

/** What a job may use, and what becomes of its requests (G3, G4, G7, G9). */
export const JOB_MASTER_MUTANTS: readonly Mutant[] = [
  {
    name: 'grant-used-before-claim-acknowledged',
    fault: 'a slot is in hand as soon as its claim is sent',
    after: 'G3: a slot is in hand only when its task executor has acknowledged the claim',
    patches: [
      {
        file: 'core/jobmaster/claiming.js',
        from: "state.out.push({ type: 'claimSlot', callId: phase.callId, peer: peer.id, lease });",
        to: "state.out.push({ type: 'claimSlot', callId: phase.callId, peer: peer.id, lease });\n            claimed(state, state.allocations.get(id), phase, state.timing.slotLeaseMs, nowMs);",
      },
    ],
    checks: [simulation('storm', 200)],
  },
  {
    name: 'second-claim-beside-the-first',
    fault: 'a second grant is claimed while the claim of the first one is unanswered',
    after: 'G4: one allocation, one slot',
    patches: [
      {
        file: 'core/jobmaster/claiming.js',
        from: 'return moveTo(state, phase, grant);\n            return defer(state, allocation, grant, nowMs);',
        to: 'return moveTo(state, phase, grant);\n            return beginClaim(state, allocation, grant, nowMs, nowMs);',
      },
    ],
    checks: [simulation('claim-unanswered', 5)],
  },
  {
    name: 'leader-ends-a-held-lease',
    fault: 'what a leader says of a held lease ends it, without a question to its task executor',
    after: 'G9: what a leader says about a held lease is a hint',
    patches: [
      {
        file: 'core/jobmaster/holding.js',
        from: 'state.peers.get(peerId(grant))?.renewSoon(nowMs);',
        to: "endLease(state, state.allocations.get(id), state.allocations.get(id).phase, 'refused', 'the leader says so', nowMs);",
      },
    ],
    checks: [simulation('forgotten-while-held', 5)],
  },
  {
    name: 'unfinished-set-not-sent-again',
    fault: 'a new leader is told of no request that an earlier one knew, and heartbeats name none',
    after: "G7: a request is the job master's until it ends there",
    patches: [
      {
        file: 'core/jobmaster/leader-requests.js',
        from: 'this.#unsent = new Set(unfinished);',
        to: 'this.#unsent = newTerm ? new Set() : new Set(unfinished);',
      },
      {
        file: 'jobmaster/job-master-endpoint.js',
        from: 'unfinished: this.#pool.unfinished(),',
        to: 'unfinished: [],',
      },
    ],
    checks: [simulation('leader-crash', 5)],
    why: 'The ids in each heartbeat make a leader say what it does not know: either is enough.',
  },
  {
    name: 'no-gap-rule-at-the-job-master',
    fault: 'a job master does not notice that it, or its machine, stood still',
    after: 'G3, G6; code that wakes up with a lock whose lease is over',
    patches: [
      {
        file: 'core/jobmaster/gap-detector.js',
        from: 'if (!stoodStill && Math.abs(driftMs) <= this.#driftMs)\n            return null;',
        to: 'if (true)\n            return null;',
      },
    ],
    checks: [simulation('job-machine-sleeps', 3)],
  },
];
