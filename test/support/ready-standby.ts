import type { ResourceManagerBench } from './resource-manager-bench.ts';
import { candidate } from './testing-leader-election.ts';
import { TestingStandby } from './testing-standby.ts';

/** Puts them in line behind the bench's own one; the last of them is connected and answers pings. */
export async function readyStandby(
  bench: ResourceManagerBench,
  ...names: readonly string[]
): Promise<TestingStandby> {
  const name = names.at(-1) ?? '';
  const made = new TestingStandby(bench.clock, bench.network, name, `${name}:1`, `${name}-boot`);
  const line = ['rm-1', ...names];
  bench.election.setCandidates(line.map((each) => candidate(each, `${each}:1`)));
  await bench.clock.until(() => made.introductions > 0);
  await bench.clock.advance(2_000);
  return made;
}
