import type { DrillLeader, DrillMark, DrillRound, LoadObservation } from '../../core/drill/drill-evidence.ts';
import { endedByTtl } from '../../core/drill/ended-by-ttl.ts';
import { waitBeforeFaultMs } from '../../core/drill/spacing.ts';
import { compareTokens } from '../../core/fencing-token.ts';
import { QuartermasterError } from '../../core/problem.ts';
import { DEPOSITION_WINDOW_MS, MOST_DEPOSITIONS } from '../../ha/history.ts';
import type { Clock } from '../../runtime/clock.ts';
import { pause } from '../pause.ts';
import { preciseWallMs } from './drill-clock.ts';
import type { DrillParts } from './drill-ground.ts';
import type { TakeOver } from './observer.ts';
import type { Scenario, Stage, Strike } from './scenarios.ts';
import { ServingProbe } from './serving-probe.ts';

/** Requests without a slot at each fault, at least. */
const LEAST_WAITING = 3;
const WAITING_TIMEOUT_MS = 10_000;
const HEALTH_TIMEOUT_MS = 90_000;
/** A term ends with its lease at the latest; beyond that there is something wrong. */
const TAKE_OVER_MARGIN_MS = 20_000;
/** Whoever asked a leader for nothing keeps quiet for a minute at most, and may have asked again since. */
const PATIENCE_TIMEOUT_MS = 180_000;
const POLL_MS = 10;
/**
 * Requests that waited at a fault have this long to be fulfilled once all is well again, and the duration of a slot
 * lease: for as long they are kept from a task executor that could not be reached.
 */
const ANSWER_TIMEOUT_MS = 15_000;
/** What comes late of a fault still belongs to its round. */
const LATE_EFFECTS_MS = 300;

export interface RoundOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly name: string;
  readonly scenario: Scenario;
  readonly leaseTtlMs: number;
  readonly slotLeaseMs: number;
}

/** One fault of a round and what was seen of it. */
interface Episode {
  readonly fault: string;
  readonly faultAtWallMs: number;
  readonly waiting: ReadonlySet<number>;
  readonly leaderBefore: DrillLeader;
  readonly takeOver: TakeOver | null;
  readonly idleMs: number;
  /** Leaders that were confirmed although the one before must stay. */
  readonly needlessChanges: number;
}

/** Runs rounds of one scenario on a cluster under load. */
export class RoundRunner {
  readonly #parts: DrillParts;
  readonly #options: RoundOptions;

  constructor(parts: DrillParts, options: RoundOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** One round: `number` counts over the whole drill, `inScenario` from 1. Rejects when it cannot be carried out. */
  async run(number: number, inScenario: number): Promise<DrillRound> {
    const { observer } = this.#parts;
    const { scenario, name } = this.#options;
    const marksBefore = observer.marks.length;
    const episodes: Episode[] = [];
    for (const prepare of scenario.strikes) {
      episodes.push(await this.#episode(prepare, inScenario));
    }
    const [first] = episodes;
    if (first === undefined) throw new Error(`scenario ${name} has no fault`);
    const lost = await this.#lostRequests(episodes);
    await pause(this.#options.clock, LATE_EFFECTS_MS, this.#options.signal);
    return this.#sum(number, first, episodes, lost, observer.marks.slice(marksBefore));
  }

  async #episode(prepare: (stage: Stage) => Promise<Strike>, round: number): Promise<Episode> {
    const { cluster, health, load, sightings, observer } = this.#parts;
    const { clock, signal } = this.#options;
    await health.untilHealthy(HEALTH_TIMEOUT_MS);
    const waitMs = waitBeforeFaultMs(sightings.depositions, preciseWallMs(clock), {
      most: MOST_DEPOSITIONS,
      windowMs: DEPOSITION_WINDOW_MS,
    });
    await pause(clock, waitMs, signal);
    if (this.#options.scenario.silent) {
      const ready = (): boolean => sightings.isWatched(preciseWallMs(clock));
      await health.until(
        () => (ready() ? null : 'standbys that may ask a silent leader'),
        PATIENCE_TIMEOUT_MS,
      );
    }
    const leaderBefore = sightings.leader;
    if (leaderBefore === null) throw new Error('nobody was ever confirmed');
    const leader = leaderBefore.resourceManagerId;
    const strike = await prepare({ cluster, clock, signal, leader, round });
    await health.until(
      () => (load.waiting.length < LEAST_WAITING ? 'requests that find no free slot' : null),
      WAITING_TIMEOUT_MS,
      POLL_MS,
    );
    sightings.assertStillLeads(leaderBefore);
    const waiting = new Set(load.waiting.map(({ requestId }) => requestId));
    const place = cluster.resourceManagers.find(({ id }) => id === leader);
    const probe = strike.leadership === 'changes' ? null : new ServingProbe(clock, place?.listen ?? '');
    const faultAtWallMs = preciseWallMs(clock);
    strike.hit();
    load.hurry();
    observer.mark(faultAtWallMs, 'fault', 'drill', strike.fault);
    const takeOver = await this.#watch(strike, leaderBefore, faultAtWallMs);
    const idleMs = (await probe?.stop()) ?? 0;
    if (takeOver !== null) this.#markTakeOver(strike, faultAtWallMs, takeOver);
    observer.mark(preciseWallMs(clock), 'repair', 'drill', 'repair begins');
    await strike.repair();
    await health.untilHealthy(HEALTH_TIMEOUT_MS);
    observer.mark(preciseWallMs(clock), 'repair', 'drill', 'the cluster is healthy');
    const { fault } = strike;
    const changes = sightings.confirms.filter(
      ({ leader: next }) => compareTokens(next, leaderBefore) > 0,
    ).length;
    const needlessChanges = strike.leadership === 'stays' ? changes : 0;
    return { fault, faultAtWallMs, waiting, leaderBefore, takeOver, idleMs, needlessChanges };
  }

  #markTakeOver(
    { leadership }: Strike,
    faultAtWallMs: number,
    { leaderAfter, confirmMs, leaderlessMs, firstGrantMs }: TakeOver,
  ): void {
    const { observer } = this.#parts;
    const { resourceManagerId: id, epoch } = leaderAfter;
    const mark = (afterMs: number, kind: DrillMark['kind'], lane: string, label: string): void =>
      observer.mark(faultAtWallMs + afterMs, kind, lane, label);
    mark(confirmMs, 'leader', id, `${id} is confirmed, epoch ${epoch}`);
    mark(leaderlessMs, 'leader', id, `${id} has accepted its first call`);
    mark(firstGrantMs, 'load', 'load', 'the first waiting request has its slot');
    if (leadership !== 'stays') return;
    mark(confirmMs, 'note', 'drill', 'leadership has changed hands, which this fault should not bring about');
  }

  /** Until the next leader has fulfilled a request; for a leader that stays, for a while. */
  async #watch(strike: Strike, before: DrillLeader, faultAtWallMs: number): Promise<TakeOver | null> {
    const { health, observer, sightings } = this.#parts;
    const { clock, signal, leaseTtlMs } = this.#options;
    if (strike.leadership !== 'changes') {
      await pause(clock, strike.watchMs, signal);
      if (sightings.leader?.leaderSessionId === before.leaderSessionId) return null;
    }
    let takeOver: TakeOver | null = null;
    await health.until(
      () => {
        takeOver = observer.takeOver(before, faultAtWallMs);
        return takeOver === null ? `a successor of ${before.resourceManagerId} and its first slot` : null;
      },
      leaseTtlMs + TAKE_OVER_MARGIN_MS,
      POLL_MS,
    );
    return takeOver;
  }

  /** Requests that waited at a fault and are neither fulfilled nor failed although all is well. */
  async #lostRequests(episodes: readonly Episode[]): Promise<number> {
    const { health, load } = this.#parts;
    const { slotLeaseMs } = this.#options;
    const left = (): number =>
      load.waiting.filter(({ requestId }) => episodes.some(({ waiting }) => waiting.has(requestId))).length;
    try {
      await health.until(() => (left() > 0 ? 'requests' : null), slotLeaseMs + ANSWER_TIMEOUT_MS, POLL_MS);
    } catch (error) {
      if (!(error instanceof QuartermasterError) || this.#parts.cluster.unexpectedEnd !== null) throw error;
    }
    return left();
  }

  #sum(
    number: number,
    first: Episode,
    episodes: readonly Episode[],
    requestsLost: number,
    marks: readonly DrillMark[],
  ): DrillRound {
    const { observer, tail, sightings } = this.#parts;
    tail.read();
    const since = first.faultAtWallMs;
    const seen = observer.observations.filter(({ atWallMs }) => atWallMs >= since);
    const changed = episodes.filter(({ takeOver }) => takeOver !== null);
    const longest = (of: (takeOver: TakeOver) => number): number | null =>
      changed.length === 0
        ? null
        : Math.max(...changed.map(({ takeOver }) => (takeOver === null ? 0 : of(takeOver))));
    const idleMs = Math.max(...episodes.map((episode) => episode.idleMs));
    const decisive = changed[0] ?? first;
    const ended = changed.map(({ leaderBefore }) => sightings.endOf(leaderBefore));
    return {
      round: number,
      scenario: this.#options.name,
      fault: episodes.map(({ fault }) => fault).join(', then '),
      faultAtWallMs: since,
      leaderBefore: decisive.leaderBefore,
      leaderAfter: changed.at(-1)?.takeOver?.leaderAfter ?? decisive.leaderBefore,
      confirmMs: longest(({ confirmMs }) => confirmMs),
      leaderlessMs: longest(({ leaderlessMs }) => leaderlessMs) ?? (idleMs > 0 ? idleMs : null),
      firstGrantMs: longest(({ firstGrantMs }) => firstGrantMs),
      fellBackToTtl: ended.some(endedByTtl),
      ended: ended[0] ?? null,
      waitingAtFault: Math.min(...episodes.map(({ waiting }) => waiting.size)),
      needlessChanges: episodes.reduce((sum, episode) => sum + episode.needlessChanges, 0),
      sdkErrors: countOf(seen, 'failed') + countOf(seen, 'job-failed'),
      staleRefused: tail.refusals.filter(({ code, atWallMs }) => code === 'FENCED' && atWallMs >= since)
        .length,
      leasesLost: countOf(seen, 'lost'),
      doubleGrants: 0,
      requestsLost,
      overlapMs: observer.overlapSince(since),
      marks: marks.toSorted((a, b) => a.atWallMs - b.atWallMs),
    };
  }
}

function countOf(observations: readonly LoadObservation[], type: LoadObservation['type']): number {
  return observations.filter((observation) => observation.type === type).length;
}
