import { ETCD_FAULTS } from './etcd-faults.ts';
import { ETCD_LOSSES } from './etcd-losses.ts';
import { type FaultAction, SPOT_PATIENCE_MS, type TroubleSpot } from './fault-action.ts';
import type { Fault, Sighting, Strike } from './fault-kind.ts';
import { NETWORK_FAULTS, WORKER_NETWORK_FAULTS } from './network-faults.ts';
import { RESOURCE_MANAGER_FAULTS, WORKER_FAULTS } from './process-faults.ts';
import type { StormWorld } from './storm-world.ts';

const FAULTS: Readonly<Record<string, Fault>> = {
  ...RESOURCE_MANAGER_FAULTS,
  ...WORKER_FAULTS,
  ...NETWORK_FAULTS,
  ...WORKER_NETWORK_FAULTS,
  ...ETCD_FAULTS,
  ...ETCD_LOSSES,
};

/** Kinds that leave workers and the links between them alone: nobody's work may end by them. */
export const CALM_KINDS: readonly string[] = [
  RESOURCE_MANAGER_FAULTS,
  NETWORK_FAULTS,
  ETCD_FAULTS,
  ETCD_LOSSES,
].flatMap(Object.keys);
/** All kinds; those of workers, and the commonest of all, more often than others. */
export const ALL_KINDS: readonly string[] = [
  ...Object.keys(FAULTS),
  ...Object.keys(WORKER_FAULTS),
  ...Object.keys(WORKER_NETWORK_FAULTS),
  'crash-rm',
  'pause-leader',
  'hold-back',
  'lose-answer',
];

/** Kinds that end terms, each in its way. */
export const TURNOVER_KINDS: readonly string[] = [
  'crash-leader',
  'crash-leader',
  'step-down',
  'step-down',
  'operator-delete',
  'operator-revoke',
  'premature-expiry',
  'pause-leader',
  'partition-rm-etcd',
];

/** One fault as it struck, for people. */
export interface StruckFault {
  readonly number: number;
  readonly atMs: number;
  readonly what: string;
  readonly where: string;
}

/** Carries out a schedule: waits for each fault's spot, strikes, and remembers what it did. */
export class FaultDriver {
  /** How many of each kind have struck, in the words of README's table. */
  readonly counts = new Map<string, number>();
  readonly struck: StruckFault[] = [];
  readonly #world: StormWorld;
  readonly #waiting = new Map<TroubleSpot, FaultAction[]>();

  constructor(world: StormWorld) {
    this.#world = world;
    world.onStruck = (what) => this.#count(what);
  }

  start(schedule: readonly FaultAction[]): void {
    const { clock } = this.#world.cluster;
    for (const action of schedule) {
      clock.schedule(action.notBeforeMs, () => {
        const { spot } = action;
        if (spot === null) return this.#strike({ action, at: null });
        const waiting = this.#waiting.get(spot) ?? [];
        this.#waiting.set(spot, [...waiting, action]);
        clock.schedule(SPOT_PATIENCE_MS, () => {
          if (this.#takes(spot, action)) this.#strike({ action, at: null });
        });
      });
    }
  }

  /** Something is about to happen where faults may wait. */
  readonly see = (at: Sighting): void => {
    const waiting = this.#waiting.get(at.spot);
    if (waiting === undefined || waiting.length === 0) return;
    for (const action of waiting) {
      this.#takes(at.spot, action);
      if (action.delayMs === 0) this.#strike({ action, at });
      else this.#world.cluster.clock.schedule(action.delayMs, () => this.#strike({ action, at }));
    }
  };

  /** As `see`, for what has happened at etcd: nothing strikes in the turn of a commit. */
  readonly seeLater = (at: Sighting): void => {
    if ((this.#waiting.get(at.spot)?.length ?? 0) > 0)
      this.#world.cluster.clock.schedule(0, () => this.see(at));
  };

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  #takes(spot: TroubleSpot, action: FaultAction): boolean {
    const waiting = this.#waiting.get(spot) ?? [];
    const rest = waiting.filter((other) => other !== action);
    this.#waiting.set(spot, rest);
    return rest.length < waiting.length;
  }

  #strike(strike: Strike): void {
    const world = this.#world;
    if (world.healed) return;
    const { kind, number } = strike.action;
    const fault = FAULTS[kind];
    if (fault === undefined) throw new Error(`there is no fault ${kind}`);
    const what = fault(world, strike);
    if (what === null) return;
    world.disturbedMs = world.nowMs;
    const told = typeof what === 'string' ? what : `${what.laid}, laid`;
    if (typeof what === 'string') this.#count(what);
    const where =
      strike.at === null
        ? 'by the clock'
        : `at a ${strike.at.spot} of ${strike.at.by ?? strike.at.peer ?? 'etcd'}`;
    this.struck.push({ number, atMs: world.nowMs, what: told, where });
    world.cluster.trace.add('FAULT', `${number} ${told}, ${where}`);
  }
}
