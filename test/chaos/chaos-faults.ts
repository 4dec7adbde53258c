import { QuartermasterError } from '../../src/core/problem.ts';
import { pause } from '../../src/cli/pause.ts';
import type { DrillParts } from '../../src/cli/drill/drill-ground.ts';
import { type Scenario, SCENARIOS, type Stage, type Strike } from '../../src/cli/drill/scenarios.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { BREAKS, type PlannedFault, type PlannedStep } from './fault-plan.ts';

/** A fault that was done. */
export interface DoneFault {
  readonly step: number;
  readonly kind: PlannedFault['kind'];
  readonly what: string;
  readonly atMs: number;
}

export interface ChaosFaultsOptions {
  readonly parts: DrillParts;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** How long it may take until there is a resource manager to strike and another one that is ready. */
  readonly readyWithinMs: number;
  readonly say: (line: string) => void;
}

/** The cluster was not fit for the next fault in time: it does not recover. */
export class NotRecovered extends Error {}

const POLL_MS = 50;

/** Carries out planned faults. A resource manager is struck only while another one is ready and not struck itself. */
export class ChaosFaults {
  readonly done: DoneFault[] = [];
  /** Faults that could not be done, such as a step-down that was refused, and why. */
  readonly refused: string[] = [];
  /** Times of blows and repairs, in order. */
  readonly blowsMs: number[] = [];
  /** Steps in which two faults were under way at once. */
  overlapped = 0;
  readonly #options: ChaosFaultsOptions;
  readonly #struck = new Set<string>();
  #underWay = 0;

  constructor(options: ChaosFaultsOptions) {
    this.#options = options;
  }

  /** Resolves when what the step broke is mended; nobody has waited for recovery. */
  async carryOut(step: PlannedStep): Promise<void> {
    const { clock, signal } = this.#options;
    await pause(clock, step.quietMs, signal);
    const { second } = step;
    const together = [this.#fault(step.number, step.first)];
    if (second !== null) {
      const later = async (): Promise<void> => {
        await pause(clock, second.afterMs, signal);
        await this.#fault(step.number, second);
      };
      together.push(later());
    }
    const ends = await Promise.allSettled(together);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  async #fault(step: number, planned: PlannedFault): Promise<void> {
    const { parts, clock, signal, say } = this.#options;
    const { strikes }: Scenario = SCENARIOS[planned.kind];
    for (const prepare of strikes) {
      if (signal.aborted) return;
      const target = await this.#target(planned);
      try {
        const stage = { cluster: parts.cluster, clock, signal, leader: target ?? '', round: planned.round };
        const strike = await this.#prepared(planned, prepare, stage);
        if (strike === null) continue;
        this.#blow();
        strike.hit();
        this.#underWay += 1;
        const isSecond = this.#underWay > 1;
        if (isSecond) this.overlapped += 1;
        this.done.push({ step, kind: planned.kind, what: strike.fault, atMs: clock.monotonicMs() });
        say(
          `step ${step}, ${planned.kind}: ${strike.fault}${isSecond ? ', while the one before lasts' : ''}`,
        );
        await pause(clock, planned.holdMs, signal);
        await this.#repair(planned, strike);
      } finally {
        if (target !== null) this.#struck.delete(target);
      }
    }
  }

  async #prepared(
    { kind }: PlannedFault,
    prepare: (stage: Stage) => Promise<Strike>,
    stage: Stage,
  ): Promise<Strike | null> {
    try {
      return await prepare(stage);
    } catch (error) {
      if (!(error instanceof QuartermasterError)) throw error;
      this.#refuse(`${kind} could not be prepared: ${error.message}`);
      return null;
    }
  }

  async #repair({ kind }: PlannedFault, strike: Strike): Promise<void> {
    try {
      await strike.repair();
    } catch (error) {
      // An order may be refused, as when nobody could take over at that moment; all else has to be mended.
      if (kind !== 'step-down' || !(error instanceof QuartermasterError)) throw error;
      this.#refuse(`${strike.fault} was refused: ${error.message}`);
    } finally {
      this.#underWay -= 1;
      this.#blow();
    }
  }

  #refuse(why: string): void {
    this.refused.push(why);
    this.#options.say(why);
  }

  #blow(): void {
    this.blowsMs.push(this.#options.clock.monotonicMs());
  }

  /** The resource manager to strike, marked as struck; null for a fault that strikes none, or each by its own choice. */
  async #target(planned: PlannedFault): Promise<string | null> {
    const { parts, clock, signal, readyWithinMs } = this.#options;
    const broken = BREAKS[planned.kind];
    const isOne = broken.includes('resource-manager');
    if (!isOne && !broken.includes('every-resource-manager')) return null;
    const all = parts.cluster.resourceManagers.length;
    const endMs = clock.monotonicMs() + readyWithinMs;
    for (;;) {
      const ready = await parts.health.readyResourceManagers();
      signal.throwIfAborted();
      const { unexpectedEnd } = parts.cluster;
      if (unexpectedEnd !== null) throw new NotRecovered(unexpectedEnd);
      const whole = ready.filter((id) => !this.#struck.has(id));
      if (!isOne && whole.length === all) return null;
      const leader = parts.sightings.leader?.resourceManagerId;
      const chosen = whole.find((id) => (id === leader) === (planned.target === 'leader')) ?? whole[0];
      if (isOne && chosen !== undefined && whole.length > 1) {
        this.#struck.add(chosen);
        return chosen;
      }
      if (clock.monotonicMs() > endMs) {
        const which = ready.length === 0 ? 'no resource manager' : `only ${ready.join(' and ')}`;
        throw new NotRecovered(
          `Of the resource managers ${which} came to be ready within ${readyWithinMs} ms.`,
        );
      }
      await pause(clock, POLL_MS, signal);
    }
  }
}
