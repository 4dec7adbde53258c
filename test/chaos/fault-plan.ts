import type { ScenarioName } from '../../src/cli/drill/scenarios.ts';
import { SeededRandomness } from '../support/testing-randomness.ts';

/** What a fault of that kind breaks: two at once must not break the same. */
export type Broken = 'resource-manager' | 'every-resource-manager' | 'etcd' | 'task-executor' | 'job-master';

/** A scenario of the drill that needs no network of its own: here links are cut by proxies. */
export type FaultKind = Exclude<ScenarioName, 'unplug-leader' | 'unplug-etcd-leader'>;

/** What each of them breaks. */
export const BREAKS: Readonly<Record<FaultKind, readonly Broken[]>> = {
  'step-down': ['resource-manager'],
  'terminate-leader': ['resource-manager'],
  'kill-leader': ['resource-manager'],
  'pause-leader': ['resource-manager'],
  'block-loop': ['resource-manager'],
  'partition-leader-from-etcd': ['resource-manager'],
  'partition-leader-from-standbys': ['resource-manager'],
  'kill-etcd-member': ['etcd'],
  'kill-etcd-leader': ['etcd'],
  'kill-etcd-leader-with-leader': ['etcd', 'resource-manager'],
  'kill-task-executor': ['task-executor'],
  'kill-job-master': ['job-master'],
  'rolling-upgrade': ['every-resource-manager'],
};

/** One fault that is to come. */
export interface PlannedFault {
  readonly kind: FaultKind;
  /** Which resource manager it strikes, where it strikes one. */
  readonly target: 'leader' | 'standby';
  /** Picks the worker, where it strikes one. */
  readonly round: number;
  /** From the blow to the repair. */
  readonly holdMs: number;
}

/** One fault, or two that overlap. */
export interface PlannedStep {
  readonly number: number;
  /** Quiet time before it. */
  readonly quietMs: number;
  readonly first: PlannedFault;
  /** Comes `afterMs` later, at the latest when the first is about to be repaired. */
  readonly second: (PlannedFault & { readonly afterMs: number }) | null;
}

const KINDS = Object.keys(BREAKS) as FaultKind[];
/** A loop hangs for 3 s, and nobody can end that sooner. */
const BLOCK_HOLD_MS = 3_500;
const LONGEST_HOLD_MS = 5_000;
/** Running work must not lose its lease by a worker that stays away for too long. */
const LONGEST_WORKER_HOLD_MS = 2_000;
const LONGEST_QUIET_MS = 3_000;
const SHARE_OF_PAIRS = 0.45;
const SHARE_OF_STANDBYS = 0.25;

/** Without an end. The same seed gives the same faults in the same order, with the same times between them. */
export function* planFaults(seed: number): Generator<PlannedStep, never> {
  const chance = new SeededRandomness(seed);
  // Every kind comes before any comes again, whatever the order.
  let left: FaultKind[] = [];
  const rounds = new Map<FaultKind, number>();
  const draw = (fits: (kind: FaultKind) => boolean): PlannedFault | null => {
    if (left.length === 0) left = [...KINDS];
    const fitting = left.filter(fits);
    const kind = fitting[Math.floor(chance.fraction() * fitting.length)];
    if (kind === undefined) return null;
    left = left.filter((each) => each !== kind);
    const round = (rounds.get(kind) ?? 0) + 1;
    rounds.set(kind, round);
    const isStandby = chance.fraction() < SHARE_OF_STANDBYS && kind !== 'step-down';
    return { kind, target: isStandby ? 'standby' : 'leader', round, holdMs: holdMs(kind, chance) };
  };
  for (let number = 1; ; number += 1) {
    const quietMs = chance.between(0, LONGEST_QUIET_MS);
    const first = draw(() => true);
    if (first === null) throw new Error('there is no kind of fault');
    const afterMs = chance.between(0, first.holdMs);
    const isPair = chance.fraction() < SHARE_OF_PAIRS;
    const second = isPair ? draw((kind) => mayOverlap(first.kind, kind)) : null;
    yield { number, quietMs, first, second: second === null ? null : { ...second, afterMs } };
  }
}

/** Whether two faults may be done at once: a third resource manager and two members of etcd stay whole. */
export function mayOverlap(one: FaultKind, other: FaultKind): boolean {
  if (one === other) return false;
  const both = [...BREAKS[one], ...BREAKS[other]];
  const count = (broken: Broken): number => both.filter((each) => each === broken).length;
  if (count('every-resource-manager') > 0 && count('resource-manager') > 0) return false;
  return count('etcd') <= 1;
}

function holdMs(kind: FaultKind, chance: SeededRandomness): number {
  const [broken] = BREAKS[kind];
  const longest =
    broken === 'task-executor' || broken === 'job-master' ? LONGEST_WORKER_HOLD_MS : LONGEST_HOLD_MS;
  const drawn = chance.between(100, longest);
  return kind === 'block-loop' ? Math.max(drawn, BLOCK_HOLD_MS) : drawn;
}
