import { exploration, type Mutant, namedTest, simulation } from './mutant.ts';

/** Leaders, slot managers and task executors: who is obeyed, and what the books say (G2, G3, G7, G9). */
export const SLOT_MUTANTS: readonly Mutant[] = [
  {
    name: 'uuid-only-fence',
    fault: 'a receiver obeys whatever session id it was told last: ids without an order',
    after: "G2; Flink's leader session ids have no order",
    patches: [
      {
        file: 'core/fencing-token.js',
        from: 'return order > 0 || (order === 0 && offered.leaderSessionId === highest.leaderSessionId);',
        to: 'return true;',
      },
    ],
    checks: [
      simulation('storm', 200),
      namedTest(
        'unit/core/fencing-token.test.ts',
        'never falls at a receiver, whatever is offered in whatever order',
      ),
    ],
  },
  {
    name: 'stale-report-cancels-a-request',
    fault: 'a report that was sent before a command was seen judges the slot of that command',
    after: 'G7; the SlotManager of FLIP-6 in 2016',
    patches: [
      {
        file: 'core/slotmanager/command-sender.js',
        from: 'if (slot.queuedCommands > 0)\n        return false;\n    if (slot.lastNumber === null)\n        return true;\n    return lastSeen !== null && compareCommandNumbers(slot.lastNumber, lastSeen) <= 0;',
        to: 'return true;',
      },
    ],
    checks: [
      simulation('stale-report', 5),
      namedTest(
        'unit/core/slotmanager/defects-2016.test.ts',
        'a stale "empty" report lost a request under way',
      ),
    ],
  },
  {
    name: 'command-numbers-not-checked',
    fault: 'a task executor executes a command whatever its number is',
    after: 'G2; a call that comes twice or after its successor',
    patches: [
      {
        file: 'core/taskexecutor/fencing-gate.js',
        from: 'if (last !== null && compareCommandNumbers(number, last) <= 0) {',
        to: 'if (false) {',
      },
    ],
    checks: [simulation('storm', 600), exploration('slots, ')],
  },
  {
    name: 'command-numbers-without-generation',
    fault: 'command numbers are ordered by epoch first, without the generation',
    after: 'G2; a restored etcd counts its revisions anew',
    patches: [
      {
        file: 'core/command-number.js',
        from: 'if (a.generation !== b.generation)\n        return a.generation - b.generation;\n',
        to: '',
      },
    ],
    checks: [simulation('restored-etcd', 5)],
  },
  {
    name: 'slot-table-forgotten-at-restart',
    fault: 'a task executor that starts again forgets the leases of its state file',
    after: 'G3; a TaskExecutor whose slot table is in memory only',
    patches: [{ file: 'core/taskexecutor/slot-table.js', from: 'of remembered) {', to: 'of []) {' }],
    checks: [simulation('storm', 200), exploration('slots, restart')],
  },
  {
    name: 'renewal-fenced-by-token',
    fault: 'a task executor renews only leases that the present leader has granted',
    after: 'G9: running jobs must not notice that a leader died',
    patches: [
      {
        file: 'core/taskexecutor/task-executor-book.js',
        from: 'const verdict = this.#table.renew(body, key, durationMs, this.#nowMs);',
        to: `const of = this.#table.leases().find((lease) => lease.allocationId === key.allocationId);
            if (of !== undefined && !this.#gate.isHighest(of.token))
                return { allocationId: key.allocationId, problem: { code: 'FENCED', detail: 'granted by an earlier leader', token: this.#gate.highestToken } };
            const verdict = this.#table.renew(body, key, durationMs, this.#nowMs);`,
      },
    ],
    checks: [simulation('leader-crash', 5)],
  },
  {
    name: 'request-forgotten-with-its-task-executor',
    fault: 'a request whose task executor dies before it has answered is not tried elsewhere',
    after: 'G7; the SlotManager of FLIP-6 in 2016',
    patches: [
      {
        file: 'core/slotmanager/task-executor-desk.js',
        from: '            this.#requests.wait(request);\n            this.#sender.freeSlot(slot);\n        }\n    }\n    /** An instance',
        to: '        }\n    }\n    /** An instance',
      },
      {
        file: 'core/slotmanager/task-executor-desk.js',
        from: '        for (const request of requests)\n            this.#requests.wait(request);\n        this.#answers.giveUpLost(entry);',
        to: '',
      },
    ],
    checks: [simulation('executor-dies-under-request', 5)],
  },
  {
    name: 'two-job-masters-served',
    fault: 'neither the leader nor a task executor tells an older process of a job from a newer one',
    after: 'G3, G7; two JobManagers of one job',
    patches: [
      {
        file: 'core/taskexecutor/job-orders.js',
        from: 'return compareOrders(order, known.order) <= 0;\n    }\n    /** Remembers a process',
        to: 'return false;\n    }\n    /** Remembers a process',
      },
      {
        file: 'resourcemanager/job-master-desk.js',
        from: 'if (cameLater || record?.superseded.includes(jobMasterId) === true) {',
        to: 'if (false) {',
      },
      {
        file: 'resourcemanager/job-master-desk.js',
        from: "older?.channel.notify('problem', supersededProblem(jobId));",
        to: '',
      },
      {
        file: 'resourcemanager/job-master-desk.js',
        from: 'if (this.#keeper.get(jobId).record?.superseded.includes(jobMasterId))\n            return supersededProblem(jobId);\n',
        to: '',
      },
    ],
    checks: [simulation('second-job-master', 5)],
    why: 'The record of the job and the orders at task executors each end the older one alone.',
  },
];
