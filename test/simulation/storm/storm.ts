import { DEFAULT_TIMING, type Timing, timingProblems } from '../../../src/core/timing.ts';
import type { WatchEvent } from '../../../src/ha/coordination-store.ts';
import { SeededRandomness } from '../../support/testing-randomness.ts';
import { JournalJudge } from '../journal-judge.ts';
import { CLUSTER, SimulatedCluster } from '../simulated-cluster.ts';
import { STRANGERS } from './etcd-faults.ts';
import { CommitJudge, writesOf } from '../write-judge.ts';
import { Ending } from './ending.ts';
import { drawSchedule, type FaultAction } from './fault-action.ts';
import { ALL_KINDS, CALM_KINDS, FaultDriver, type StruckFault, TURNOVER_KINDS } from './fault-driver.ts';
import { Invariants } from './invariants.ts';
import { placeOf, Sightings } from './sightings.ts';
import { CLOCK_RATES, type Population, StormWorld } from './storm-world.ts';

/** Times in the proportions of the defaults, but for the workers' shorter ones, so that much happens in a short time. */
const BRISK_TIMING: Partial<Timing> = {
  leaseTtlSeconds: 4,
  heartbeatIntervalMs: 1_000,
  heartbeatTimeoutMs: 2_500,
  slotLeaseMs: 6_000,
  slotRenewalMs: 1_500,
  unclaimedMs: 2_000,
  taskExecutorCallMs: 500,
  slotRequestTimeoutMs: 15_000,
  graceMs: 3_000,
};
const QUALITY = {
  leastDelayMs: 0.1,
  mostDelayMs: 3,
  slowShare: 0.02,
  stallShare: 0.0003,
  breakShare: 0.0005,
};
const START_MS = 900;
/** Shares of the seeds that are dear: with many workers, and with long trouble. */
const FLEETS = 0.0125;
const LONG_TROUBLES = 0.0625;
/** Seeds above it are for runs of hours: longer, and the leader is struck all the time. */
const LAST_SHORT_SEED = 1_000_000;

/** What a run of one seed was and found. */
export interface StormResult {
  readonly seed: number;
  readonly digest: string;
  /** Lines of the trace. */
  readonly events: number;
  readonly virtualMs: number;
  /** Terms that were confirmed. */
  readonly terms: number;
  /** After the last fault, until all was right and everything given back. */
  readonly convergenceMs: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly interleavings: Readonly<Record<string, number>>;
}

/** A run that broke a guarantee. */
export class StormFailure extends Error {
  readonly seed: number;
  readonly atMs: number;
  /** Of the faults that struck before it, in order. */
  readonly struck: readonly StruckFault[];
  readonly trace: readonly string[];
  readonly digest: string;

  constructor(storm: Storm, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.seed = storm.seed;
    this.atMs = storm.world.nowMs;
    this.struck = storm.driver.struck;
    this.trace = storm.world.cluster.trace.lines();
    this.digest = storm.world.cluster.trace.digest();
  }

  /** `G3` and the like: what comes first in each such message. */
  get invariant(): string {
    return /^\w+/.exec(this.message)?.[0] ?? 'unknown';
  }
}

/** How a seed is played, when not as usual. */
export interface StormOptions {
  /** Only these faults of its schedule, by their numbers. */
  readonly keep?: readonly number[] | undefined;
  /** Is given the trace of a seed that passed. */
  readonly onTrace?: ((lines: readonly string[]) => void) | undefined;
  /** How fast the monotonic clock of a process runs; null for the rate that the seed gives it. */
  readonly clockRate?: ((id: string) => number | null) | undefined;
}

/** Plays one seed to its end; throws a `StormFailure`. */
export async function storm(seed: number, options: StormOptions = {}): Promise<StormResult> {
  const run = new Storm(seed, options);
  const { keep, onTrace } = options;
  const schedule =
    keep === undefined ? run.schedule : run.schedule.filter(({ number }) => keep.includes(number));
  try {
    const result = await run.play(schedule);
    onTrace?.(run.world.cluster.trace.lines());
    return result;
  } catch (error) {
    throw new StormFailure(run, error);
  }
}

/** Everything that a seed decides, and the run of it. */
class Storm {
  readonly seed: number;
  readonly world: StormWorld;
  readonly driver: FaultDriver;
  readonly schedule: readonly FaultAction[];
  readonly #troubleMs: number;
  readonly #sightings: Sightings;
  readonly #invariants: Invariants;
  readonly #ending: Ending;
  readonly #judge = new JournalJudge();
  readonly #commits = new CommitJudge(CLUSTER);

  constructor(seed: number, { clockRate }: StormOptions) {
    this.seed = seed;
    const chance = new SeededRandomness(Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995, 'storm');
    const population = drawPopulation(chance);
    const timing = drawTiming(chance);
    const isLong = seed > LAST_SHORT_SEED;
    this.#troubleMs = drawTrouble(chance, isLong);
    const cluster = this.#cluster(timing, population, chance, clockRate);
    this.world = new StormWorld(cluster, new SeededRandomness(seed ^ 0x2c1b3c6d, 'customers'), population);
    this.driver = new FaultDriver(this.world);
    this.#sightings = new Sightings(() => cluster.clock.monotonicMs(), cluster.timing.servingDeadlineMs);
    this.#invariants = new Invariants(this.world, this.#sightings);
    this.#ending = new Ending(this.world, this.#sightings.interleavings);
    this.schedule = drawFaults(chance, this.#troubleMs, isLong);
    this.#follow();
  }

  #cluster(
    timing: Partial<Timing>,
    population: Population,
    chance: SeededRandomness,
    given: StormOptions['clockRate'],
  ): SimulatedCluster {
    const rates = new Map<string, number>();
    return new SimulatedCluster({
      seed: this.seed,
      quality: QUALITY,
      timing,
      resourceManagers: StormWorld.resourceManagerNames(population),
      clockRate: (id) => {
        const rate =
          rates.get(id) ?? CLOCK_RATES.least + (CLOCK_RATES.most - CLOCK_RATES.least) * chance.fraction();
        rates.set(id, rate);
        return given?.(id) ?? rate;
      },
      observer: {
        onSend: (...all) => this.#sightings.onSend(...all),
        onResume: () => this.#sightings.onResume(),
        onFrame: (...all) => this.#sightings.onFrame(...all),
        onTransaction: (...all) => this.#sightings.onTransaction(...all),
        answered: (...all) => this.#sightings.answered(...all),
      },
      onJournal: (process, event, fields) => {
        this.#judge.note(this.world.cluster.clock.wallMs(), process, event, fields);
        this.#invariants.onJournal(process, event, fields);
        this.#sightings.onJournal(process, event, fields);
      },
    });
  }

  #follow(): void {
    const { cluster } = this.world;
    const sightings = this.#sightings;
    sightings.onSpot = this.driver.see;
    sightings.mayOverlap = (epoch) => this.world.overlaps.covers(epoch, this.world.nowMs);
    cluster.etcd.onEra = (base) => {
      this.#commits.begin(base);
      sightings.beginEra();
    };
    cluster.etcd.onCommit = (commit) => {
      for (const event of commit.events) cluster.trace.add('etcd', writtenBy(event));
      this.#commits.take(commit.events);
      sightings.onCommit(commit, this.driver.seeLater);
    };
    cluster.trace.onLog = (who, event, fields) => {
      sightings.onLog(who, event, fields);
      if (event === 'registered') this.world.registered(who, Number.parseInt(String(fields['token']), 10));
      if (event === 'wrong-cluster') this.world.operator.met(who, String(fields['known']));
      if (event === 'receiver-ahead') this.world.operator.ahead(who, String(fields['own']));
    };
    cluster.links.onTrouble = (from, to) => this.world.strikeLink(0, placeOf(from), placeOf(to));
    this.world.onForgotten = (resourceId) => this.#invariants.forget(resourceId);
    this.world.onExecutorsChanged = () => this.#invariants.touch();
    this.world.operator.onDeclared = () => sightings.interleavings.saw('generations declared by an operator');
    sightings.onGeneration = () => this.world.allowOverlap({});
    sightings.onDeposed = (epoch, evidence) => this.world.deposed(epoch, evidence);
    sightings.onWake = () => this.#invariants.touch();
  }

  async play(schedule: readonly FaultAction[]): Promise<StormResult> {
    const { world } = this;
    const { cluster } = world;
    world.begin();
    this.driver.start(schedule);
    await this.#until('the end of the trouble', () => world.nowMs >= this.#troubleMs, 2 * this.#troubleMs);
    world.heal();
    const healedMs = world.nowMs;
    await this.#come('to come right', () => this.#ending.missing());
    await this.#agree();
    this.#ending.close();
    await this.#come('to be given back', () => this.#ending.left());
    await this.#agree();
    const convergenceMs = world.nowMs - healedMs;
    this.#judge.check(writesOf(cluster.etcd, CLUSTER), this.#isExcepted);
    this.#countUp();
    return {
      seed: this.seed,
      digest: cluster.trace.digest(),
      events: cluster.trace.count,
      virtualMs: world.nowMs,
      terms: this.#invariants.epochs.size,
      convergenceMs,
      faults: Object.fromEntries(this.driver.counts),
      interleavings: Object.fromEntries(this.#sightings.interleavings.counts),
    };
  }

  /** Keys, and places of task executors, that others than the processes of the run have written in or doubled. */
  readonly #isExcepted = (key: string): boolean => {
    const { doubled } = this.world.struck;
    return [key, key.split('/')[0] ?? ''].some((name) => doubled.has(name) || STRANGERS.has(name));
  };

  #countUp(): void {
    const { interleavings } = this.#sightings;
    const { cluster, customers } = this.world;
    interleavings.saw('frames overtaken on another connection', cluster.links.overtaking);
    for (const { failures } of customers.values())
      interleavings.saw('requests ended without slots', failures);
    for (const name of cluster.etcd.memberNames)
      interleavings.saw('answers from the stale store of a member', cluster.etcd.member(name).staleAnswers);
  }

  /** All is right and stays so within a bound that follows from the times of the protocol. */
  get #convergenceMs(): number {
    const { slotLeaseMs, heartbeatTimeoutMs, graceMs, slotRequestTimeoutMs } = this.world.timing;
    return 2 * (slotLeaseMs + heartbeatTimeoutMs + graceMs) + slotRequestTimeoutMs + 2 * this.world.ttlMs;
  }

  #until(what: string, condition: () => boolean, limitMs: number): Promise<void> {
    return this.world.cluster.clock.until(
      () => {
        this.#invariants.check();
        this.#commits.check(this.#isExcepted);
        return condition();
      },
      limitMs,
      what,
    );
  }

  async #come(what: string, missing: () => string | null): Promise<void> {
    let last: string | null = 'nothing was asked';
    const limitMs = this.#convergenceMs;
    const startMs = this.world.nowMs;
    let nextMs = 0;
    await this.#until(
      what,
      () => {
        // Looking costs more than a step.
        if (this.world.nowMs < nextMs) return false;
        nextMs = this.world.nowMs + 50;
        last = missing();
        if (last !== null && this.world.nowMs - startMs > limitMs)
          throw new Error(`G8: not all came ${what} within ${limitMs} ms: ${last}`);
        return last === null;
      },
      2 * limitMs,
    );
  }

  /** Resource manager, task executors and job masters come to say the same of every slot. */
  async #agree(): Promise<void> {
    const endMs = this.world.nowMs + this.#convergenceMs;
    for (;;) {
      const last = await this.#ending.difference();
      if (last === null) return;
      await this.#ending.letGo();
      if (this.world.nowMs > endMs) throw new Error(`books: they do not come to agree: ${last}`);
      const nextMs = this.world.nowMs + 50;
      await this.#until('a moment', () => this.world.nowMs >= nextMs, 5_000);
    }
  }
}

export type { Storm };

/** A write, as the trace tells of it. */
function writtenBy(event: WatchEvent): string {
  if (event.type === 'delete') return `${event.modRevision} deletes ${event.key}`;
  const { key, value, modRevision } = event.keyValue;
  return `${modRevision} has ${key} ${value}`;
}

/** Seconds as a rule; in a few short seeds long enough for faults of three TTL. */
function drawTrouble(chance: SeededRandomness, isLong: boolean): number {
  if (isLong) return chance.between(12_000, 24_000);
  return chance.fraction() < LONG_TROUBLES ? chance.between(12_500, 16_000) : chance.between(2_300, 5_200);
}

/** Three resource managers as a rule, five at most; in a few runs many workers. */
function drawPopulation(chance: SeededRandomness): Population {
  const of = chance.fraction();
  const resourceManagers = of < 0.78 ? 3 : of < 0.93 ? 4 : 5;
  const isFleet = chance.fraction() < FLEETS;
  const [least, most] = isFleet ? [12, 24] : [3, 5];
  const taskExecutors = Array.from({ length: chance.between(least, most) }, () => {
    const slots = chance.between(1, 3);
    return chance.fraction() < 0.2 ? -slots : slots;
  });
  return { resourceManagers, taskExecutors, jobs: isFleet ? chance.between(8, 14) : chance.between(3, 4) };
}

/** In one of five runs workers are left alone; in three of five the leader is struck over and over besides. */
function drawFaults(chance: SeededRandomness, untilMs: number, isLong: boolean): FaultAction[] {
  const kinds = chance.fraction() < 0.2 ? CALM_KINDS : ALL_KINDS;
  const all = drawSchedule(chance, { kinds, count: chance.between(5, 18), fromMs: START_MS, untilMs });
  if (chance.fraction() < 0.4 && !isLong) return all;
  const count = isLong ? chance.between(80, 160) : chance.between(10, 45);
  const turnover = drawSchedule(chance, { kinds: TURNOVER_KINDS, count, fromMs: START_MS, untilMs });
  return [...all, ...turnover.map((action) => ({ ...action, number: all.length + action.number }))];
}

function drawTiming(chance: SeededRandomness): Partial<Timing> {
  const timing =
    chance.fraction() < 0.15
      ? BRISK_TIMING
      : { ...BRISK_TIMING, peerPingMs: 200, silenceMs: 450, leaseTtlSeconds: 4 };
  const [problem] = timingProblems({ ...DEFAULT_TIMING, ...timing });
  if (problem !== undefined) throw new Error(problem);
  return timing;
}
