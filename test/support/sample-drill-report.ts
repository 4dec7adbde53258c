import {
  DRILL_GUARANTEES,
  type DrillLeader,
  type DrillMark,
  type DrillReport,
  type DrillRound,
} from '../../src/core/drill/drill-evidence.ts';
import { SeededRandomness } from './testing-randomness.ts';

const FAULTS: Readonly<Record<string, readonly [string, number, number]>> = {
  'kill-leader': ['SIGKILL', 8, 30],
  'step-down': ['step-down', 2, 10],
  'pause-leader': ['SIGSTOP', 780, 300],
};
const START_MS = Date.UTC(2026, 0, 1, 12);

/** A report of made-up figures, to look at pages and tests by; it is no measurement. */
export function sampleReport(scenarios: readonly string[], roundsEach: number): DrillReport {
  const chance = new SeededRandomness(1, 'report');
  const perRound = scenarios.flatMap((scenario, nth) =>
    Array.from({ length: roundsEach }, (_, index) =>
      sampleRound(scenario, nth * roundsEach + index + 1, () => chance.fraction()),
    ),
  );
  const summary = (scenario: string): DrillReport['scenarios'][number] => {
    const rounds = perRound.filter((round) => scenario === 'all' || round.scenario === scenario);
    const times = (
      of: 'leaderlessMs' | 'firstGrantMs',
    ): { p50: number; p90: number; p99: number; max: number } => {
      const sorted = rounds.map((round) => round[of] ?? 0).toSorted((a, b) => a - b);
      const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
      return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
    };
    return {
      scenario,
      rounds: rounds.length,
      leaderlessMs: times('leaderlessMs'),
      firstGrantMs: times('firstGrantMs'),
      overlapMs: { max: 0 },
      needlessChanges: 0,
      sdkErrors: 0,
      staleRefused: rounds.reduce((sum, { staleRefused }) => sum + staleRefused, 0),
      leasesLost: 0,
      doubleGrants: 0,
      requestsLost: 0,
      fellBackToTtl: 0,
    };
  };
  return {
    ...summary('all'),
    scenario: scenarios.length === 1 ? scenarios[0]! : 'all',
    guarantees: Object.fromEntries(
      DRILL_GUARANTEES.map((name) => [name, 'held']),
    ) as DrillReport['guarantees'],
    violations: [],
    judged: { leaderRecords: perRound.length + 1, registrations: 9, leases: 400, tokens: 30, requests: 500 },
    scenarios: scenarios.map(summary),
    perRound,
    startedWallMs: START_MS,
    endedWallMs: START_MS + perRound.length * 15_000,
    conditions: { etcdMembers: 3, leaseTtlSeconds: 10, cores: 2, node: 'v20' },
    limits: ['All processes run on one machine.'],
  };
}

function sampleRound(scenario: string, number: number, chance: () => number): DrillRound {
  const [fault, leastMs, spanMs] = FAULTS[scenario] ?? ['fault', 5, 20];
  const leader = (index: number): DrillLeader => ({
    resourceManagerId: `rm-${(index % 3) + 1}`,
    generation: 1,
    epoch: BigInt(10 + index * 9),
    leaderSessionId: `session-${index}`,
  });
  const faultAtWallMs = START_MS + number * 15_000;
  const confirmMs = leastMs + spanMs * chance() ** 3;
  const leaderlessMs = confirmMs + 1 + 3 * chance();
  const firstGrantMs = leaderlessMs + 2 + 8 * chance();
  const before = leader(number);
  const after = leader(number + 1);
  const mark = (afterMs: number, lane: string, kind: DrillMark['kind'], label: string): DrillMark => ({
    atWallMs: faultAtWallMs + afterMs,
    lane,
    kind,
    label,
  });
  return {
    round: number,
    scenario,
    fault: `${fault} to ${before.resourceManagerId}`,
    faultAtWallMs,
    leaderBefore: before,
    leaderAfter: after,
    confirmMs,
    leaderlessMs,
    firstGrantMs,
    fellBackToTtl: false,
    ended: { reason: 'deposed', evidence: `${before.resourceManagerId}: connection refused` },
    waitingAtFault: 4,
    needlessChanges: 0,
    sdkErrors: 0,
    staleRefused: scenario === 'pause-leader' ? 1 : 0,
    leasesLost: 0,
    doubleGrants: 0,
    requestsLost: 0,
    overlapMs: 0,
    marks: [
      mark(0, 'drill', 'fault', `${fault} to ${before.resourceManagerId}`),
      mark(confirmMs - 1, 'etcd', 'store', `${before.resourceManagerId}'s key is deleted`),
      mark(confirmMs, 'etcd', 'leader', `${after.resourceManagerId} is confirmed, epoch ${after.epoch}`),
      mark(leaderlessMs, after.resourceManagerId, 'leader', 'serves its first call'),
      mark(leaderlessMs + 1, 'te-1', 'note', `adopts token 1-${after.epoch}`),
      mark(leaderlessMs + 1.5, 'te-2', 'note', `adopts token 1-${after.epoch}`),
      mark(firstGrantMs - 1, 'te-1', 'note', 'grants a slot'),
      mark(firstGrantMs, 'load', 'load', 'a request that waited has its slot'),
      mark(firstGrantMs + 0.4, 'load', 'load', 'another one'),
      mark(4_000, 'drill', 'repair', 'repair begins'),
      mark(5_200, 'drill', 'repair', 'the cluster is healthy'),
    ],
  };
}
