import type { SlotBounds } from './slot-world.ts';
import type { PlantedFault, WorldOfBounds } from './world-of-bounds.ts';

/** One slot, two job masters that want it, one change of leader; nothing goes wrong. */
const CALM: SlotBounds = {
  taskExecutors: 1,
  slotsEach: 1,
  wanted: [1, 1],
  changes: 1,
  losses: 0,
  delays: 0,
  doubles: 0,
  restarts: 0,
  amnesias: 0,
  pauses: 0,
  cuts: 0,
  releases: 0,
  timeSteps: 1,
  order: 'sent',
};

function world(name: string, changes: Partial<SlotBounds>): WorldOfBounds<SlotBounds> {
  return { name, bounds: { ...CALM, ...changes } };
}

/** Explored whenever the tests run. */
export const SMALL_SLOT_WORLDS: readonly WorldOfBounds<SlotBounds>[] = [
  world('any order', { changes: 0, order: 'any' }),
  world('any order, change of leader', { wanted: [1], order: 'any' }),
  world('delayed messages', { delays: 1, timeSteps: 2 }),
  world('restart', { restarts: 1, timeSteps: 2 }),
];

/** Explored by `make exhaustive` only. */
export const LARGE_SLOT_WORLDS: readonly WorldOfBounds<SlotBounds>[] = [
  world('any order, a message lost', { changes: 0, losses: 1, order: 'any' }),
  world('two job masters, any order, change of leader', { order: 'any', timeSteps: 0 }),
  world('delayed messages, longer', { delays: 1, timeSteps: 7 }),
  world('delayed messages, two slots', { slotsEach: 2, delays: 1, timeSteps: 4 }),
  world('delayed messages, two task executors', { taskExecutors: 2, delays: 1, timeSteps: 3 }),
  world('two delayed messages', { delays: 2, timeSteps: 1 }),
  world('two delayed messages, two task executors', {
    taskExecutors: 2,
    wanted: [1],
    delays: 2,
    timeSteps: 2,
  }),
  world('lost and delayed messages', { losses: 1, delays: 1, timeSteps: 2 }),
  world('two lost messages', { losses: 2, timeSteps: 2 }),
  world('a message that comes twice, and a delayed one', { doubles: 1, delays: 1, timeSteps: 1 }),
  world('restart and a lost message', { changes: 0, restarts: 1, losses: 1, timeSteps: 3 }),
  world('restart without the state file, and a delayed message', { amnesias: 1, delays: 1, timeSteps: 1 }),
  world('restart and a delayed message', { restarts: 1, delays: 1, timeSteps: 2 }),
  world('pause and cut', { changes: 0, pauses: 1, cuts: 1, timeSteps: 8 }),
  world('pause, cut, and a change of leader', { pauses: 1, cuts: 1, timeSteps: 3 }),
];

export const SLOT_MUTANTS: readonly PlantedFault<SlotBounds>[] = [
  {
    name: 'a task executor does not compare the token of a command',
    patch: {
      file: 'core/taskexecutor/fencing-gate.js',
      from: 'const highest = this.#highestToken;\n        if (highest !== null && !mayObey(highest, token)) {',
      to: 'const highest = this.#highestToken;\n        if (false) {',
    },
    world: { delays: 1, wanted: [1] },
    finding: 'G2: a command of epoch 1 was executed after epoch 2 had been accepted',
  },
  {
    name: 'command numbers are not checked',
    patch: {
      file: 'core/taskexecutor/fencing-gate.js',
      from: 'if (last !== null && compareCommandNumbers(number, last) <= 0) {',
      to: 'if (false) {',
    },
    world: { changes: 0, delays: 1, wanted: [1] },
    finding: 'G2: the number of the last command executed fell',
  },
  {
    name: 'the slot table is forgotten at a restart',
    patch: {
      file: 'core/taskexecutor/slot-table.js',
      from: 'of remembered) {',
      to: 'of []) {',
    },
    world: { changes: 0, restarts: 1 },
    finding: 'G3: te-0#0 is in the hand of',
  },
  {
    name: 'a grant is used before the claim is acknowledged',
    patch: {
      file: 'core/jobmaster/slot-pool.js',
      from: "return phase?.kind === 'held' && isInHand(this.#state, phase, nowMs);",
      to: "return phase?.kind === 'claiming' || (phase?.kind === 'held' && isInHand(this.#state, phase, nowMs));",
    },
    world: { changes: 0 },
    finding: 'G3: a00 is in hand, and no claim of it was acknowledged',
  },
  {
    name: 'a second grant is claimed while the first claim is unanswered',
    patch: {
      file: 'core/jobmaster/claiming.js',
      from: 'return defer(state, allocation, grant, nowMs);',
      to: 'return beginClaim(state, allocation, grant, nowMs, nowMs);',
    },
    world: { taskExecutors: 2, wanted: [1], delays: 2, timeSteps: 0 },
    finding: 'G4: a00 has claimed',
  },
  {
    name: 'a claim without an answer is not withdrawn before the next one',
    patch: {
      file: 'core/jobmaster/claiming.js',
      from: 'if (key === null) {\n        state.reject',
      to: 'if (true) {\n        state.reject',
    },
    world: { changes: 0, taskExecutors: 2, wanted: [1], delays: 1, losses: 1, timeSteps: 2 },
    finding: 'G4: a00 has claimed',
  },
  {
    name: 'a task executor without its state file takes its slots for free',
    patch: {
      file: 'core/taskexecutor/task-executor-book.js',
      from: 'if (knownBefore) {',
      to: 'if (false) {',
    },
    world: { changes: 0, amnesias: 1, delays: 1, timeSteps: 2 },
    finding: 'G3: te-0#0 is in the hands of',
  },
  {
    name: 'a job master counts a lease from the answer, and longer than its task executor',
    patch: {
      file: 'core/jobmaster/claiming.js',
      from: 'const deadlineMs = sentMs + durationMs * HOLDER_SHARE;',
      to: 'const deadlineMs = nowMs + durationMs * 1.5;',
    },
    world: { changes: 0, cuts: 1, timeSteps: 7 },
    finding: 'G3: te-0#0 is in the hand of',
  },
  {
    name: 'a call without an answer is forgotten',
    patch: {
      file: 'core/slotmanager/command-answers.js',
      from: 'line.lost.push({ slot: command.slot, request: command.request });',
      to: ';',
    },
    world: { changes: 0, losses: 1, wanted: [1] },
    finding: 'not right after',
  },
];

/** The bounds of a world that differs from the calm one in that. */
export function boundsOf(changes: Partial<SlotBounds>): SlotBounds {
  return { ...CALM, ...changes };
}
