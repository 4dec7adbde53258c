import { type Check, comparison, type Mutant, namedTest, simulation } from './mutant.ts';

/** Runs of the slot manager beside the naive model of it. */
const COMPARED: readonly Check[] = [comparison(300)];

/** Slot managers whose books, line of requests or commands are wrong in a detail that no guarantee names by itself. */
export const BOOK_MUTANTS: readonly Mutant[] = [
  {
    name: 'later-request-served-first',
    fault: 'a slot goes to whoever fits it best, though another one that it fits has waited longer',
    after: 'first come, first served among those that a slot fits; a bug of this project',
    patches: [
      {
        file: 'core/slotmanager/placement.js',
        from: 'if (first !== null && first.sequence < request.sequence && this.#place(first))\n                continue;\n',
        to: '',
      },
    ],
    checks: COMPARED,
  },
  {
    name: 'freed-by-the-wrong-request',
    fault: 'a request that has timed out frees the slot it asked for, whoever has it now',
    after: 'G9, G7; a bug of this project',
    patches: [
      {
        file: 'core/slotmanager/create-slot-manager.js',
        from: "if (slot.state === 'requested' && slot.holder?.allocationId === allocationId)",
        to: '',
      },
    ],
    checks: [
      ...COMPARED,
      namedTest(
        'unit/core/slotmanager/slot-requests.test.ts',
        'leaves the slot alone when the news at that very time is that another allocation has it',
      ),
    ],
  },
  {
    name: 'ended-request-brought-back',
    fault: 'a request that has timed out waits again when the worker that it was not yet asked of is lost',
    after: 'G7: a request that has failed at its job master has ended; a bug of this project',
    patches: [
      {
        file: 'core/slotmanager/command-sender.js',
        from: 'if (command.request.slot === command.slot)\n                    requests.push',
        to: 'requests.push',
      },
    ],
    checks: [
      simulation('ended-request', 5),
      ...COMPARED,
      namedTest(
        'unit/core/slotmanager/slot-requests.test.ts',
        'does not bring back what timed out when its task executor becomes unreachable at that very time',
      ),
    ],
  },
  {
    name: 'repetition-keeps-the-old-deadline',
    fault:
      'a request that is being given a slot is kept for its first time, though its job master waits less long',
    after: 'a request ends when its job master says; a bug of this project',
    patches: [
      {
        file: 'core/slotmanager/request-desk.js',
        from: 'this.#requests.awaitDeadline(request);',
        to: ';',
      },
    ],
    checks: COMPARED,
  },
  {
    name: 'smallest-slot-not-taken',
    fault: 'slots with many kinds of extended resources go first',
    after: 'the best fit: a request without `gpu` takes one only when nothing else fits',
    patches: [
      {
        file: 'core/slotmanager/slot-matching.js',
        from: 'return sizeA.kinds - sizeB.kinds || ',
        to: 'return sizeB.kinds - sizeA.kinds || ',
      },
    ],
    checks: COMPARED,
  },
  {
    name: 'older-report-believed',
    fault: 'a report that was overtaken by a later one is taken for news',
    after: 'slot reports: an older one is dropped',
    patches: [
      {
        file: 'core/slotmanager/report-reconciler.js',
        from: 'if (report.reportNumber < last || (report.reportNumber === last && !report.full))\n            return;',
        to: '',
      },
    ],
    checks: COMPARED,
  },
  {
    name: 'gap-in-reports-overlooked',
    fault: 'a delta after a gap is taken, and no full report is asked for',
    after: 'slot reports: a delta after a gap is answered with a request for a full one',
    patches: [
      {
        file: 'core/slotmanager/report-reconciler.js',
        from: 'if (!report.full && report.reportNumber > last + 1)',
        to: 'if (false)',
      },
    ],
    checks: COMPARED,
  },
  {
    name: 'left-out-slot-kept',
    fault: 'a slot that a full report leaves out stays in the books',
    after: 'slot reports: a slot that a full report leaves out is gone',
    patches: [
      {
        file: 'core/slotmanager/report-reconciler.js',
        from: 'if (!named.has(slot.slotNumber) && mayJudge(slot, report.lastSeen))',
        to: 'if (false)',
      },
    ],
    checks: COMPARED,
  },
  {
    name: 'draining-worker-given-work',
    fault: 'an order to drain keeps nobody from being placed there before it was answered',
    after: 'drain: no new slots',
    patches: [
      {
        file: 'core/slotmanager/slot-book.js',
        from: "return entry.draining || entry.drainOrdered === true || entry.stopping !== 'no';",
        to: "return entry.draining || entry.stopping !== 'no';",
      },
    ],
    checks: COMPARED,
  },
  {
    name: 'no-operation-left-out',
    fault: 'a call that was not answered is followed by the next one as if it had been',
    after: 'after a timeout a numbered no-op before the slot is treated as free',
    patches: [
      {
        file: 'core/slotmanager/command-sender.js',
        from: "if (!entry.line.settled)\n            commands.push({ kind: 'noOperation' });",
        to: '',
      },
    ],
    checks: COMPARED,
  },
  {
    name: 'brake-never-released',
    fault: 'the brake holds for its whole time, whoever has reported meanwhile',
    after: 'the brake holds while more than half of the task executors are silent',
    patches: [
      {
        file: 'core/slotmanager/recovery.js',
        from: "if (this.#phase === 'brake' && !this.#mostAreSilent())",
        to: 'if (false)',
      },
    ],
    checks: COMPARED,
  },
  {
    name: 'cancel-forgotten-that-came-first',
    fault: 'a cancel that overtakes its request is not remembered',
    after: 'a request ends when its job master withdraws it',
    patches: [
      {
        file: 'core/slotmanager/request-desk.js',
        from: 'if (this.#requests.finished.get(allocationId) === undefined)',
        to: 'if (false)',
      },
    ],
    checks: COMPARED,
  },
];
