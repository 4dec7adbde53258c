import { expect } from 'chai';
import { createSlotManager } from '../../src/core/slotmanager/create-slot-manager.ts';
import type {
  SlotManager,
  SlotManagerEffect,
  SlotManagerEvent,
} from '../../src/core/slotmanager/slot-manager-events.ts';
import {
  compareManagers,
  drawRun,
  type MakeManager,
  ManagerDiffers,
  OPERATIONS_OF_A_RUN,
  shrinkRun,
} from './compare-managers.ts';

const seed = Math.trunc(Math.random() * 2 ** 31);
/** `make properties` runs many more. */
const MOST_RUNS = 300;
const MOST_MS = 2_000;
/** However slow the machine is. */
const LEAST_RUNS = 20;

/** The first of so many runs that differs, or null. */
function firstDifference(make: MakeManager, runs: number): { run: number; found: ManagerDiffers } | null {
  for (let run = 0; run < runs; run++) {
    try {
      compareManagers(drawRun(seed, run), make);
    } catch (error) {
      if (!(error instanceof ManagerDiffers)) throw error;
      return { run, found: error };
    }
  }
  return null;
}

/** A slot manager that is right but for what `change` makes of its effects. */
function changing(
  change: (effects: SlotManagerEffect[], event: SlotManagerEvent) => SlotManagerEffect[],
): MakeManager {
  return (options) => {
    const right = createSlotManager(options);
    return withOther(right, { handle: (event, nowMs) => change(right.handle(event, nowMs), event) });
  };
}

function withOther(right: SlotManager, other: Partial<SlotManager>): SlotManager {
  return {
    handle: (event, nowMs) => right.handle(event, nowMs),
    nextDueMs: () => right.nextDueMs(),
    slotCounts: () => right.slotCounts(),
    pendingRequests: () => right.pendingRequests(),
    slots: () => right.slots(),
    taskExecutors: () => right.taskExecutors(),
    recovery: () => right.recovery(),
    ...other,
  };
}

describe(`the slot manager and a naive model of it (seed ${seed})`, () => {
  it(`say the same and have the same books, over runs of ${OPERATIONS_OF_A_RUN} operations`, () => {
    const endMs = performance.now() + MOST_MS;
    const isEnough = (run: number): boolean =>
      run >= MOST_RUNS || (run >= LEAST_RUNS && performance.now() >= endMs);
    for (let run = 0; !isEnough(run); run++) {
      try {
        compareManagers(drawRun(seed, run));
      } catch (error) {
        if (!(error instanceof ManagerDiffers)) throw error;
        throw new Error(`${error.message}\nagain: make properties SEED=${seed} FROM=${run} RUNS=1`);
      }
    }
  });

  it('draw the same run from the same numbers', () => {
    expect(drawRun(5, 7)).to.deep.equal(drawRun(5, 7));
    expect(drawRun(5, 7)).to.not.deep.equal(drawRun(5, 8));
    expect(drawRun(5, 7)).to.not.deep.equal(drawRun(6, 7));
  });

  const wrongs: Readonly<Record<string, MakeManager>> = {
    'tells nobody of a grant': changing((effects) =>
      effects.filter((effect) => effect.type !== 'notifySlotsAllocated'),
    ),
    'tells of each grant twice': changing((effects) => [
      ...effects,
      ...effects.filter((effect) => effect.type === 'notifySlotsAllocated'),
    ]),
    'uses a command number twice': changing((effects) =>
      effects.map((effect) =>
        effect.type === 'sendSlotCommands' ? { ...effect, number: { ...effect.number, n: 1 } } : effect,
      ),
    ),
    'leaves the last command of a call out': changing((effects) =>
      effects.map((effect) =>
        effect.type === 'sendSlotCommands' ? { ...effect, commands: effect.commands.slice(0, -1) } : effect,
      ),
    ),
    'asks for a container too many': changing((effects, event) =>
      event.type === 'slotsRequested'
        ? [...effects, ...effects.filter((effect) => effect.type === 'allocateContainer')]
        : effects,
    ),
    'miscounts what is quarantined': (options) => {
      const right = createSlotManager(options);
      return withOther(right, { slotCounts: () => ({ ...right.slotCounts(), quarantined: 0 }) });
    },
    'sleeps through what is due': (options) =>
      withOther(createSlotManager(options), { nextDueMs: () => null }),
    'keeps a slot in the books twice': (options) => {
      const right = createSlotManager(options);
      return withOther(right, { slots: () => [...right.slots()].flatMap((view) => [view, view]) });
    },
  };
  for (const [what, make] of Object.entries(wrongs)) {
    it(`differ when the slot manager ${what}`, () => {
      expect(firstDifference(make, 20)).to.not.equal(null);
    });
  }

  it('are shown in the shortest run that was found to differ', () => {
    const make = wrongs['tells nobody of a grant'] as MakeManager;
    const first = firstDifference(make, 20);
    if (first === null) throw new Error('nothing differs');
    const { drawn, difference } = shrinkRun(drawRun(seed, first.run), first.found, make);
    expect(drawn.operations.length).to.be.lessThan(20);
    expect(difference.message).to.include('grant to');
    expect(difference.trace.join('\n')).to.include('taskExecutorRegistered');
    expect(() => compareManagers(drawn, make)).to.throw(ManagerDiffers);
    expect(() => compareManagers(drawn)).to.not.throw();
  });
});
