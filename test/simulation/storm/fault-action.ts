import type { SeededRandomness } from '../../support/testing-randomness.ts';

/** What is seen in a run that a fault may wait for. */
export type TroubleSpot =
  | 'request'
  | 'command'
  | 'grant'
  | 'notification'
  | 'claim'
  | 'renewal'
  | 'release'
  | 'report'
  | 'registration'
  | 'confirm'
  | 'confirmed'
  | 'challenge'
  | 'deposition'
  | 'revocation';

export const TROUBLE_SPOTS: readonly TroubleSpot[] = [
  'request',
  'command',
  'grant',
  'notification',
  'claim',
  'renewal',
  'release',
  'report',
  'registration',
  'confirm',
  'confirmed',
  'challenge',
  'deposition',
  'revocation',
];

/**
 * One fault as data: when it strikes, whom and for how long. It needs nothing of the others, so that a schedule
 * can be shortened by leaving some out.
 */
export interface FaultAction {
  readonly number: number;
  readonly kind: string;
  /** From then on it waits for its spot, if it has one; it strikes without after a while. */
  readonly notBeforeMs: number;
  readonly spot: TroubleSpot | null;
  /** After the spot was seen; 0 strikes in the middle of that very turn. */
  readonly delayMs: number;
  /** Fractions from 0 to 1: whom it strikes, and in which of its ways. */
  readonly target: number;
  readonly variant: number;
  /** From 0 to 1: for how long, of what is usual for its kind. */
  readonly duration: number;
}

/** What the schedule of a seed is made of. */
export interface ScheduleOptions {
  /** Kinds to choose from, each as often as it is named. */
  readonly kinds: readonly string[];
  readonly count: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A fault that finds its spot nowhere strikes after so long all the same. */
export const SPOT_PATIENCE_MS = 2_500;

/**
 * Faults by chance from a seed. Two of three wait for a spot where trouble hurts, and some come in clusters: at
 * nearly the same time, for the same spot.
 */
export function drawSchedule(randomness: SeededRandomness, options: ScheduleOptions): FaultAction[] {
  const { kinds, count, fromMs, untilMs } = options;
  const pick = <T>(all: readonly T[]): T => {
    const one = all[randomness.between(0, all.length - 1)];
    if (one === undefined) throw new Error('nothing to choose from');
    return one;
  };
  // As many kinds of trouble at once as chance will have it: few together go deeper than all of them.
  const some = kinds.filter(() => randomness.fraction() < 0.5);
  const mine = some.length < 3 ? kinds : some;
  const actions: FaultAction[] = [];
  for (let number = 0; number < count; number++) {
    const before = actions.at(-1);
    const follows = before !== undefined && randomness.fraction() < 0.35;
    const spot = randomness.fraction() < 0.67 ? pick(TROUBLE_SPOTS) : null;
    actions.push({
      number,
      kind: pick(mine),
      notBeforeMs: follows
        ? before.notBeforeMs + randomness.between(0, 300)
        : randomness.between(fromMs, untilMs),
      spot: follows ? before.spot : spot,
      delayMs: randomness.fraction() < 0.6 ? 0 : randomness.between(0, 60),
      target: randomness.fraction(),
      variant: randomness.fraction(),
      duration: randomness.fraction(),
    });
  }
  return actions;
}
