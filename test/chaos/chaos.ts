import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandContext } from '../../src/cli/command-context.ts';
import { liveWithinMs as liveBoundMs } from '../../src/cli/drill/drill.ts';
import { DrillGround, type DrillParts } from '../../src/cli/drill/drill-ground.ts';
import { judgeDrill } from '../../src/cli/drill/judge-drill.ts';
import { DRILL_RENEWAL_MS } from '../../src/cli/settings/drill-settings.ts';
import type { DrillEvidence, DrillVerdict, DrillViolation } from '../../src/core/drill/drill-evidence.ts';
import { QuartermasterError } from '../../src/core/problem.ts';
import { DEFAULT_TIMING } from '../../src/core/timing.ts';
import { toJson } from '../../src/rpc/wire-format.ts';
import { ChaosFaults, NotRecovered } from './chaos-faults.ts';
import type { ChaosReport } from './chaos-report.ts';
import { planFaults } from './fault-plan.ts';
import { LeaderProbe } from './leader-probe.ts';
import { lateGaps, longestGapMs } from './leaderless-gaps.ts';

export interface ChaosOptions {
  readonly context: CommandContext;
  readonly signal: AbortSignal;
  readonly seed: number;
  readonly minutes: number;
  /** For journals, logs and state. */
  readonly folder: string;
  readonly say: (line: string) => void;
}

const TIMING = { ...DEFAULT_TIMING, slotRenewalMs: DRILL_RENEWAL_MS };
const JOBS = ['jm-1', 'jm-2', 'jm-3'];
const ETCD_HEARTBEAT_MS = 100;
const ETCD_ELECTION_MS = 1_000;
const LIVE_WITHIN_MS = liveBoundMs(TIMING, ETCD_ELECTION_MS);
/**
 * After the last repair: a leader comes, workers that were silent are heard again, and what a dead job master held runs
 * out before its successor has as much.
 */
const CONVERGED_WITHIN_MS = LIVE_WITHIN_MS + TIMING.heartbeatTimeoutMs + TIMING.slotLeaseMs;
const PROGRESS_MS = 30_000;
const POLL_MS = 20;

type Found = Omit<DrillViolation, 'round'>;

/** Runs it; rejects when it could not be carried out, or was interrupted. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { context, signal, folder, say } = options;
  say(
    `starting etcd with 3 members, 3 resource managers, 3 task executors, ${JOBS.length} job masters, load`,
  );
  const ground = new DrillGround({
    context,
    signal,
    scenario: { proxied: 'all', debuggers: true },
    jobs: JOBS,
    timing: TIMING,
    logLevel: 'info',
    folder,
    etcdMembers: 3,
    etcdHeartbeatMs: ETCD_HEARTBEAT_MS,
    etcdElectionTimeoutMs: ETCD_ELECTION_MS,
  });
  try {
    const parts = await ground.open();
    const run = new ChaosRun(options, parts);
    await run.run();
    const { evidence, log } = await ground.evidence([], LIVE_WITHIN_MS);
    return run.report(evidence, judgeDrill(evidence, log).verdict);
  } finally {
    await ground.close();
  }
}

/** Faults, healing, convergence, and what was seen meanwhile. */
class ChaosRun {
  readonly #options: ChaosOptions;
  readonly #parts: DrillParts;
  readonly #faults: ChaosFaults;
  readonly #probe: LeaderProbe;
  readonly #found: Found[] = [];
  #steps = 0;
  #convergedMs: number | null = null;

  constructor(options: ChaosOptions, parts: DrillParts) {
    this.#options = options;
    this.#parts = parts;
    const { clock } = options.context;
    const { signal, say } = options;
    this.#faults = new ChaosFaults({ parts, clock, signal, say, readyWithinMs: CONVERGED_WITHIN_MS });
    this.#probe = new LeaderProbe(
      clock,
      parts.cluster.resourceManagers.map(({ listen }) => listen),
    );
  }

  async run(): Promise<void> {
    const { context, signal, seed, minutes, say } = this.#options;
    const { clock } = context;
    const beganMs = clock.monotonicMs();
    const endMs = beganMs + minutes * 60_000;
    let progressMs = beganMs + PROGRESS_MS;
    try {
      for (const step of planFaults(seed)) {
        if (clock.monotonicMs() >= endMs) break;
        signal.throwIfAborted();
        await this.#faults.carryOut(step);
        this.#steps = step.number;
        if (clock.monotonicMs() < progressMs) continue;
        progressMs = clock.monotonicMs() + PROGRESS_MS;
        say(this.#progress(clock.monotonicMs() - beganMs));
      }
      say('the faults are over');
    } catch (error) {
      if (!(error instanceof NotRecovered)) throw error;
      this.#find('G8', 'not-recovered', error.message);
    }
    await this.#converge();
    await this.#probe.stop();
  }

  /** What waits when all is mended has its slot soon, and the cluster is as at the start. */
  async #converge(): Promise<void> {
    const { clock } = this.#options.context;
    const { cluster, health, load } = this.#parts;
    cluster.mend();
    const beganMs = clock.monotonicMs();
    const waiting = new Set(load.waiting.map(({ requestId }) => requestId));
    const left = (): number => load.waiting.filter(({ requestId }) => waiting.has(requestId)).length;
    try {
      await health.untilHealthy(CONVERGED_WITHIN_MS);
      const restMs = Math.max(0, CONVERGED_WITHIN_MS - (clock.monotonicMs() - beganMs));
      await health.until(() => (left() > 0 ? `${left()} requests` : null), restMs, POLL_MS);
      this.#convergedMs = clock.monotonicMs() - beganMs;
    } catch (error) {
      if (!(error instanceof QuartermasterError) || this.#options.signal.aborted) throw error;
      this.#find('G8', 'not-converged', error.message);
    }
  }

  /** Keeps all writes beside the journals when something was violated. */
  report(evidence: DrillEvidence, verdict: DrillVerdict): ChaosReport {
    const { seed, minutes, folder } = this.#options;
    const { sightings, tail } = this.#parts;
    const { done, refused, overlapped } = this.#faults;
    this.#judgeGaps();
    const violations = [...verdict.violations, ...this.#found.map((found) => ({ ...found, round: null }))];
    const isLate = this.#found.some(({ guarantee }) => guarantee === 'G8');
    if (violations.length > 0) {
      writeFileSync(
        join(folder, 'writes.jsonl'),
        evidence.events.map((event) => `${toJson(event)}\n`).join(''),
      );
      writeFileSync(
        join(folder, 'observations.jsonl'),
        evidence.observations.map((seen) => `${toJson(seen)}\n`).join(''),
      );
    }
    const seen = (type: string): number => evidence.observations.filter((each) => each.type === type).length;
    const former = sightings.confirms.slice(0, -1);
    return {
      seed,
      minutes,
      steps: this.#steps,
      faults: countBy(done.map(({ kind }) => kind)),
      faultsInAll: done.length,
      overlapped,
      refused: refused.length,
      failovers: former.length,
      endedBy: countBy(former.map(({ leader }) => sightings.endOf(leader)?.reason ?? 'nobody knows')),
      longestLeaderlessMs: longestGapMs(this.#probe.gaps),
      requests: { asked: seen('asked'), served: seen('claimed'), failed: seen('failed') },
      staleRefused: tail.refusals.filter(({ code }) => code === 'FENCED').length,
      convergedMs: this.#convergedMs,
      guarantees: { ...verdict.guarantees, G8: isLate ? 'broken' : former.length > 0 ? 'held' : 'unseen' },
      judged: verdict.judged,
      violations,
      kept: violations.length > 0 ? folder : null,
    };
  }

  #judgeGaps(): void {
    const { gaps } = this.#probe;
    for (const { fromMs, toMs } of lateGaps(gaps, this.#faults.blowsMs, LIVE_WITHIN_MS)) {
      const before = this.#faults.done.findLast(({ atMs }) => atMs <= toMs);
      const lastMs = Math.round(toMs - fromMs);
      const after =
        before === undefined ? '' : ` The last fault before its end: ${before.what}, step ${before.step}.`;
      this.#find('G8', 'leaderless-too-long', `Nobody led and served for ${lastMs} ms.${after}`);
    }
  }

  #find(guarantee: Found['guarantee'], rule: string, detail: string): void {
    this.#found.push({ guarantee, rule, detail, places: [] });
    this.#options.say(`${guarantee} ${rule}: ${detail}`);
  }

  #progress(sinceMs: number): string {
    const { observer, sightings } = this.#parts;
    const served = observer.observations.filter(({ type }) => type === 'claimed').length;
    const longest = Math.round(longestGapMs(this.#probe.gaps));
    return (
      `${(sinceMs / 60_000).toFixed(1)} min: ${this.#faults.done.length} faults, ` +
      `${sightings.confirms.length - 1} failovers, ${served} requests served, ` +
      `at most ${longest} ms without a serving leader`
    );
  }
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names.toSorted()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
