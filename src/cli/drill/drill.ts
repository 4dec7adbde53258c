import { join } from 'node:path';
import { cpus, totalmem } from 'node:os';
import type {
  DrillReport,
  DrillRound,
  DrillVerdict,
  GuaranteeVerdict,
} from '../../core/drill/drill-evidence.ts';
import { DRILL_GUARANTEES } from '../../core/drill/drill-evidence.ts';
import { summarize } from '../../core/drill/summary.ts';
import type { Timing } from '../../core/timing.ts';
import type { CommandContext } from '../command-context.ts';
import { preciseWallMs } from './drill-clock.ts';
import { DrillGround } from './drill-ground.ts';
import { judgeDrill } from './judge-drill.ts';
import { RoundRunner } from './drill-run.ts';
import { SCENARIOS, type ScenarioName } from './scenarios.ts';

export interface DrillOptions {
  readonly context: CommandContext;
  readonly signal: AbortSignal;
  /** As the user named it: a scenario, or `all`. */
  readonly name: string;
  readonly scenarios: readonly ScenarioName[];
  readonly rounds: number;
  readonly timing: Timing;
  readonly logLevel: string;
  /** Keeps journals and logs; null: nothing is kept. */
  readonly folder: string | null;
  readonly etcdMembers: 1 | 3;
  /** Null: what the scenario takes. */
  readonly etcdHeartbeatMs: number | null;
  readonly etcdElectionTimeoutMs: number | null;
  /** Where `ip` is that makes a namespace for each process; null: links are cut by proxies. */
  readonly namespacesBy: string | null;
  readonly onProgress: (line: string) => void;
  readonly onRound: (round: DrillRound) => void;
}

const HEARTBEAT_MS = 100;
const QUICK_HEARTBEAT_MS = 20;
const HEARTBEATS_PER_ELECTION = 10;
/** etcd looks for leases that have run out this often. */
const EXPIRY_SCAN_MS = 500;

/** Runs the scenarios one after the other, each on a cluster of its own, and judges what was seen. */
export async function runDrill(options: DrillOptions): Promise<DrillReport> {
  const { context, scenarios } = options;
  const startedWallMs = preciseWallMs(context.clock);
  const rounds: DrillRound[] = [];
  const verdicts: DrillVerdict[] = [];
  for (const name of scenarios) {
    const { evidence, log } = await runScenario(options, name, rounds.length);
    const judged = judgeDrill(evidence, log);
    verdicts.push(judged.verdict);
    rounds.push(...judged.rounds);
  }
  const violations = verdicts.flatMap((verdict) => verdict.violations);
  const judged: Record<string, number> = {};
  for (const verdict of verdicts) {
    for (const [what, number] of Object.entries(verdict.judged)) judged[what] = (judged[what] ?? 0) + number;
  }
  return {
    ...summarize(options.name, rounds),
    guarantees: together(verdicts),
    violations,
    judged,
    scenarios: scenarios.map((name) =>
      summarize(
        name,
        rounds.filter(({ scenario }) => scenario === name),
      ),
    ),
    perRound: rounds,
    startedWallMs,
    endedWallMs: preciseWallMs(context.clock),
    conditions: conditionsOf(options),
    limits: limitsOf(rounds.length / scenarios.length),
  };
}

async function runScenario(
  options: DrillOptions,
  name: ScenarioName,
  roundsBefore: number,
): ReturnType<DrillGround['evidence']> {
  const { context, signal, timing, rounds, folder } = options;
  const scenario = SCENARIOS[name];
  const etcd = etcdTimes(options, scenario.quickEtcd);
  const started = `etcd with ${options.etcdMembers} members, 3 resource managers, 3 task executors, jobs`;
  options.onProgress(`${name}: starting ${started}`);
  const ground = new DrillGround({
    context,
    signal,
    scenario,
    timing,
    logLevel: options.logLevel,
    folder: folder === null ? null : join(folder, name),
    etcdMembers: options.etcdMembers,
    namespacesBy: options.namespacesBy,
    ...etcd,
  });
  try {
    const parts = await ground.open();
    const leaseTtlMs = timing.leaseTtlSeconds * 1_000;
    const { slotLeaseMs } = timing;
    const runner = new RoundRunner(parts, {
      clock: context.clock,
      signal,
      name,
      scenario,
      leaseTtlMs,
      slotLeaseMs,
    });
    const done: DrillRound[] = [];
    for (let n = 1; n <= rounds; n += 1) {
      const round = await runner.run(roundsBefore + n, n);
      done.push(round);
      options.onRound(round);
    }
    return await ground.evidence(done, liveWithinMs(timing, etcd.etcdElectionTimeoutMs));
  } finally {
    await ground.close();
  }
}

/** Within it a leader is confirmed while etcd answers and one resource manager reaches it (G8). */
export function liveWithinMs(timing: Timing, etcdElectionTimeoutMs: number): number {
  const { leaseTtlSeconds, silenceMs, challengeWaitMs } = timing;
  return leaseTtlSeconds * 1_000 + EXPIRY_SCAN_MS + 2 * etcdElectionTimeoutMs + silenceMs + challengeWaitMs;
}

function etcdTimes(
  { etcdHeartbeatMs, etcdElectionTimeoutMs }: DrillOptions,
  quick: boolean,
): { readonly etcdHeartbeatMs: number; readonly etcdElectionTimeoutMs: number } {
  const heartbeatMs = etcdHeartbeatMs ?? (quick ? QUICK_HEARTBEAT_MS : HEARTBEAT_MS);
  return {
    etcdHeartbeatMs: heartbeatMs,
    etcdElectionTimeoutMs: etcdElectionTimeoutMs ?? HEARTBEATS_PER_ELECTION * heartbeatMs,
  };
}

/** Broken when it was broken anywhere, held when it was seen to hold and never broken. */
function together(verdicts: readonly DrillVerdict[]): DrillReport['guarantees'] {
  const of = (name: (typeof DRILL_GUARANTEES)[number]): GuaranteeVerdict => {
    const all = verdicts.map(({ guarantees }) => guarantees[name]);
    return all.includes('broken') ? 'broken' : all.includes('held') ? 'held' : 'unseen';
  };
  return Object.fromEntries(DRILL_GUARANTEES.map((name) => [name, of(name)])) as DrillReport['guarantees'];
}

function conditionsOf(options: DrillOptions): Readonly<Record<string, string | number>> {
  const processors = cpus();
  const times = options.scenarios.map((name) => etcdTimes(options, SCENARIOS[name].quickEtcd));
  // Several of them where scenarios of a drill differ.
  const all = (values: readonly number[]): string => [...new Set(values)].join(' or ');
  return {
    network: options.namespacesBy === null ? 'proxies' : 'namespaces',
    etcdMembers: options.etcdMembers,
    etcdHeartbeatMs: all(times.map(({ etcdHeartbeatMs }) => etcdHeartbeatMs)),
    etcdElectionTimeoutMs: all(times.map(({ etcdElectionTimeoutMs }) => etcdElectionTimeoutMs)),
    leaseTtlSeconds: options.timing.leaseTtlSeconds,
    roundsPerScenario: options.rounds,
    cores: processors.length,
    processor: processors[0]?.model ?? 'unknown',
    memoryMB: Math.round(totalmem() / 1_048_576),
    node: process.version,
  };
}

/** Below it the nearest rank of the 99th percentile is the longest. */
const ROUNDS_FOR_P99 = 100;

function limitsOf(roundsPerScenario: number): readonly string[] {
  if (roundsPerScenario >= ROUNDS_FOR_P99) return LIMITS;
  const most = `Of fewer than ${ROUNDS_FOR_P99} rounds the 99th percentile is the longest one.`;
  return [...LIMITS, most];
}

const LIMITS = [
  'All processes run on one machine: a crash is seen by a refused connection, which a power loss does not give.',
  'Times are those of the drill: when its watch was told of a confirm, when its jobs were answered.',
  'Overlap is counted to the moment at which a task executor took a command in hand, not to when it was sent.',
] as const;
