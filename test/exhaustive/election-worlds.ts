import type { ElectionBounds } from './election-world.ts';
import type { PlantedFault, WorldOfBounds } from './world-of-bounds.ts';

/** Two candidates, of which the first leads; nothing goes wrong. */
const CALM: ElectionBounds = {
  candidates: 2,
  from: 'leader',
  readsAhead: false,
  crashes: 0,
  pauses: 0,
  cuts: 0,
  isolations: 0,
  lostAnswers: 0,
  held: 0,
  writes: 0,
  resignations: 0,
  timeSteps: 4,
};

/** The bounds of a world that differs from the calm one in that. */
export function electionBounds(changes: Partial<ElectionBounds>): ElectionBounds {
  return { ...CALM, ...changes };
}

function world(name: string, changes: Partial<ElectionBounds>): WorldOfBounds<ElectionBounds> {
  return { name, bounds: electionBounds(changes) };
}

/** Explored whenever the tests run. */
export const SMALL_ELECTION_WORLDS: readonly WorldOfBounds<ElectionBounds>[] = [
  world('start of two', { from: 'nothing', timeSteps: 1 }),
  world('crash', { crashes: 1, writes: 1, timeSteps: 4 }),
  world('pause', { pauses: 1, timeSteps: 8 }),
  world('cut', { cuts: 1, timeSteps: 7 }),
  world('isolation', { isolations: 1, timeSteps: 8 }),
  world('asked to go', { readsAhead: true, resignations: 1, timeSteps: 4 }),
  world('first confirm, a crash, a transaction held back', {
    from: 'line',
    crashes: 1,
    held: 1,
    timeSteps: 1,
  }),
];

/** Explored by `make exhaustive` only. */
export const LARGE_ELECTION_WORLDS: readonly WorldOfBounds<ElectionBounds>[] = [
  world('start of two, a crash, a transaction held back', {
    from: 'nothing',
    crashes: 1,
    held: 1,
    timeSteps: 1,
  }),
  world('crash and a lost answer', { crashes: 1, lostAnswers: 1, timeSteps: 4 }),
  world('crash and a transaction held back', { crashes: 1, held: 1, timeSteps: 4 }),
  world('pause with a record to write', { pauses: 1, writes: 1, timeSteps: 9 }),
  world('pause and a lost answer', { pauses: 1, lostAnswers: 1, timeSteps: 8 }),
  world('cut, longer', { cuts: 1, timeSteps: 10 }),
  world('cut, and a record to write', { cuts: 1, writes: 1, timeSteps: 8 }),
  world('isolation and a transaction held back', { isolations: 1, held: 1, timeSteps: 8 }),
  world('crash and pause', { crashes: 1, pauses: 1, timeSteps: 7 }),
  world('three candidates, a crash', { candidates: 3, crashes: 1, timeSteps: 5 }),
  world('asked to go, and a crash', { readsAhead: true, resignations: 1, crashes: 1, timeSteps: 5 }),
  world('asked to go, and a transaction held back', {
    readsAhead: true,
    resignations: 1,
    held: 1,
    timeSteps: 4,
  }),
  world('asked to go, and a lost answer', {
    readsAhead: true,
    resignations: 1,
    lostAnswers: 1,
    timeSteps: 4,
  }),
  world('asked to go, and a pause', { readsAhead: true, resignations: 1, pauses: 1, timeSteps: 8 }),
  world('three candidates, one asked to go', {
    candidates: 3,
    readsAhead: true,
    resignations: 1,
    timeSteps: 3,
  }),
  world('a lease that runs out behind one that is cut off', {
    readsAhead: true,
    crashes: 1,
    cuts: 1,
    timeSteps: 13,
  }),
  world('three candidates, two crashes', { candidates: 3, crashes: 2, timeSteps: 4 }),
  world('three candidates, a pause', { candidates: 3, pauses: 1, timeSteps: 8 }),
];

export const ELECTION_MUTANTS: readonly PlantedFault<ElectionBounds>[] = [
  {
    name: 'the challenge is not compared in the deposition',
    patch: {
      file: 'ha/election-transactions.js',
      from: 'if (challengeRevision !== null) {',
      to: 'if (false) {',
    },
    world: { pauses: 1, timeSteps: 8 },
    finding: 'G6: rm-0 serves in epoch',
  },
  {
    // Each of the two alone keeps a late confirm out: the deposition leaves a row of the term that never confirmed.
    name: 'a confirm compares neither its own key nor the absence of a row of its term',
    patch: {
      file: 'ha/election-transactions.js',
      from: "stands(own),\n            ...nobodyAhead,\n            { key: keys.identity, target: 'value', result: '==', operand: request.identityValue },\n            absent(row),",
      to: "...nobodyAhead,\n            { key: keys.identity, target: 'value', result: '==', operand: request.identityValue },",
    },
    world: { from: 'line', crashes: 1, held: 1, timeSteps: 1 },
    finding: 'G5: a confirm of epoch',
  },
  {
    name: 'a challenge is taken for unanswered without a wait',
    patch: {
      file: 'core/election/head-watch.js',
      from: 'challenge.expired = challenge.readSentMs >= challenge.sinceMs + challengeWaitMs;',
      to: 'challenge.expired = true;',
    },
    world: { cuts: 1, timeSteps: 7 },
    finding: 'G6: rm-0 serves in epoch',
  },
  {
    name: 'a leader has no serving deadline',
    patch: {
      file: 'core/election/leadership-clock.js',
      from: 'elapsedMs(this.#check.sent, now) < this.#settings.servingDeadlineMs &&',
      to: '',
    },
    world: { isolations: 1, timeSteps: 8 },
    finding: 'G6: rm-0 serves in epoch',
  },
  {
    name: 'a refused confirm is taken for a committed one',
    patch: {
      file: 'ha/confirm-term.js',
      from: "if (deposed === undefined || head === undefined)\n        return { kind: 'refused' };",
      to: "if (deposed === undefined || head === undefined)\n        return 'confirmed';\n    return 'confirmed';",
    },
    world: { pauses: 1, timeSteps: 8 },
    finding: 'G5: session-',
  },
  {
    name: 'a confirm that has not read history does not compare that the predecessor has closed its term',
    patch: {
      file: 'ha/election-transactions.js',
      from: '...(history.closedUnread === undefined ? [] : [unchanged(history.closedUnread)]),',
      to: '',
    },
    world: { readsAhead: true, crashes: 1, cuts: 1, timeSteps: 13 },
    finding: 'G1: the term of epoch',
  },
  {
    name: "a leader's write does not compare its own key",
    patch: {
      file: 'ha/election-transactions.js',
      from: 'compare: [stands(own), ...write.alsoIf],',
      to: 'compare: [...write.alsoIf],',
    },
    world: { crashes: 1, writes: 1, timeSteps: 3 },
    finding: 'G1: epoch',
  },
];
