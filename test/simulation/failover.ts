import { SeededRandomness } from '../support/testing-randomness.ts';
import { FAILOVER_SCENARIOS, FailoverScene, type Findings } from './failover-scenarios.ts';
import { FailedRun, type Result } from './leader-crash.ts';
import { CLUSTER, SimulatedCluster } from './simulated-cluster.ts';
import { checkWrites } from './write-judge.ts';

const QUALITY = { leastDelayMs: 0.1, mostDelayMs: 3, slowShare: 0.01, stallShare: 0, breakShare: 0 };

/** A run of one failover scenario and what it found. */
export interface FailoverResult extends Result {
  readonly findings: Findings;
}

/** Plays one of `FAILOVER_SCENARIOS` from a seed; fails when it took too long, or when two served at once. */
export async function failover(name: string, seed: number): Promise<FailoverResult> {
  const scenario = FAILOVER_SCENARIOS[name];
  if (scenario === undefined) throw new Error(`There is no scenario ${name}.`);
  const resourceManagers = ['rm-1', 'rm-2', 'rm-3'];
  const cluster = new SimulatedCluster({ seed, quality: QUALITY, resourceManagers });
  const scene = new FailoverScene(cluster);
  const randomness = new SeededRandomness(seed ^ 0x2545f491, name);
  try {
    await scene.begin();
    const findings = await scenario.play(scene, () => randomness.fraction());
    const overlapMs = Math.max(0, ...scene.overlapsMs);
    if (overlapMs > scenario.overlapMs) throw new Error(`G6: two served at once for ${overlapMs} ms`);
    if (cluster.fatal.length > 0) throw new Error(`G8: a process ended itself: ${cluster.fatal.join('; ')}`);
    checkWrites(cluster.etcd, CLUSTER);
    return {
      digest: cluster.trace.digest(),
      events: cluster.trace.count,
      trouble: cluster.links.breaks + cluster.links.stalls,
      findings,
    };
  } catch (error) {
    throw new FailedRun(seed, cluster, error, name);
  }
}
